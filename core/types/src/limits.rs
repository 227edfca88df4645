//! Every bound of the system, with its reason.

use core::time::Duration;

/// Largest value of a KV write (`limits.kv_max_value_size` in Consul; its default).
pub const KV_VALUE_BYTES_MAX: usize = 512 * 1024;
/// Largest number of operations in one transaction (Consul 1.8).
pub const TXN_OPS_MAX: usize = 64;
/// Longest wait of a blocking query (`max_query_time`).
pub const BLOCKING_WAIT_MAX: Duration = Duration::from_secs(600);
/// Wait of a blocking query that names none (`default_query_time`).
pub const BLOCKING_WAIT_DEFAULT: Duration = Duration::from_secs(300);
/// How long a request waits for a leader to appear (`performance.rpc_hold_timeout`).
pub const RPC_HOLD_TIMEOUT: Duration = Duration::from_secs(7);
/// Largest body of any HTTP request but a snapshot; beyond it the adapter answers 413.
pub const HTTP_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest message between servers: a snapshot chunk or an append batch fits with much to spare.
pub const PEER_MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest bound that can be configured for a value or a transaction: as a request that is
/// forwarded, and as a command, it stays well below [`PEER_MESSAGE_BYTES_MAX`].
pub const WRITE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest command in the log: a message to a follower has room for it.
pub const COMMAND_BYTES_MAX: usize = PEER_MESSAGE_BYTES_MAX - 1024 * 1024;
/// Bytes of one part of a restore, which is one command.
pub const RESTORE_PART_BYTES: usize = 1024 * 1024;
/// Bytes of one snapshot chunk, on the wire and on disk.
pub const SNAPSHOT_CHUNK_BYTES: usize = 256 * 1024;
/// Shortest session TTL (`session_ttl_min`).
pub const SESSION_TTL_MIN: Duration = Duration::from_secs(10);
/// Longest session TTL.
pub const SESSION_TTL_MAX: Duration = Duration::from_secs(86_400);
/// Longest lock-delay; longer ones are cut.
pub const LOCK_DELAY_MAX: Duration = Duration::from_secs(60);
/// Lock-delay of a session that names none.
pub const LOCK_DELAY_DEFAULT: Duration = Duration::from_secs(15);
/// Bytes of check output that are kept.
pub const CHECK_OUTPUT_BYTES_MAX: usize = 4096;
