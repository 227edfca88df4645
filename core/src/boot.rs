//! From what the disk held to a running node: the only way state crosses a crash.

use crate::addresses::Addresses;
use crate::agent::Agent;
use crate::agreement::Agreement;
use crate::blocking::Blocking;
use crate::calls::Calls;
use crate::durable::{self, Durable};
use crate::events::Events;
use crate::expect::Expecting;
use crate::joining::Joins;
use crate::keys::KeyOps;
use crate::leader::Duties;
use crate::node::Node;
use crate::places::Places;
use crate::pools::Pools;
use crate::proposals::Proposals;
use crate::publish::Publisher;
use crate::reads::Reads;
use crate::servers::Servers;
use crate::sessions::Sessions;
use crate::snapshots::Snapshots;
use crate::{Boot, BootError, Config, Effect, Event};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Restore};
use proconsul_disk::{Recovered, SnapshotFile};
use proconsul_http::BodyCache;
use proconsul_raft::{Member, Membership, Raft, SnapshotMeta};
use proconsul_types::limits::SNAPSHOT_CHUNK_BYTES;
use proconsul_types::{EntryId, Instant, NodeId, Rng, Seed, TimerTable, WallTime};

impl Node {
    /// A node that goes on where its disk left off. The host's clock stands at
    /// [`Instant::START`]; `seed` must be another one in each life of the node, because the ids it
    /// draws must not come twice.
    ///
    /// # Errors
    /// The disk holds what no crash leaves behind, or what a newer version wrote. The text says
    /// where and what to do; nothing was changed.
    pub fn new(config: Config, seed: Seed, boot: Boot) -> Result<Self, BootError> {
        let mut config = config;
        config.raft.id = config.id;
        config.raft.planted = config.planted;
        config.facts.id = Some(config.id);
        config.facts.planted = config.planted;
        config.facts.session_ttl_min = Some(config.session_ttl_min);
        let rng = Rng::new(seed);
        // Client agents keep their registrations, and no log.
        let recovered = match config.durable && config.facts.server {
            true => Some(recover(&config, &boot)?),
            false => None,
        };
        let kept = match recovered.as_ref().and_then(|recovered| recovered.snapshot.as_ref()) {
            Some(snapshot) => Some(restore(&config, snapshot)?),
            None => None,
        };
        let mut catalog = match &kept {
            Some((_, catalog)) => catalog.clone(),
            None => Catalog::new(Arc::clone(&config.facts.datacenter), config.planted),
        };
        mark(&mut catalog, config.id);
        let raft_boot = raft_boot(&boot, recovered.as_ref(), kept.as_ref().map(|kept| &kept.0))?;
        let forming = raft_boot.force_bootstrap;
        let raft = Raft::new(config.raft.clone(), rng.split("raft"), raft_boot, Instant::START);
        let applied = kept.as_ref().map_or_else(EntryId::default, |(meta, _)| meta.last);
        let state_bytes = recovered
            .as_ref()
            .and_then(|recovered| recovered.snapshot.as_ref())
            .map_or(0, |snapshot| u64::try_from(snapshot.payload.len()).unwrap_or(u64::MAX));
        let mut ids = rng.split("ids");
        let expect = config.cluster.as_ref().map_or(0, |cluster| cluster.bootstrap_expect);
        let mut node = Self {
            planted: config.planted,
            now: Instant::START,
            wall: WallTime::default(),
            leaving: false,
            dns_rng: rng.split("dns"),
            rng: rng.split("http"),
            stopped: false,
            durable: Durable::new(&config, recovered.as_ref(), rng.split("disk")),
            agent: Agent::new(&config, rng.split("checks"), &boot.files),
            publisher: Publisher::new(&config, &catalog, raft.membership().clone()),
            pools: Pools::new(&config, &rng, &boot.files)?,
            servers: Servers::new(rng.split("servers")),
            joins: Joins::default(),
            expecting: Expecting::new(expect),
            duties: Duties::default(),
            events: Events::new(rng.split("events")),
            key_ops: KeyOps::default(),
            places: Places::new(rng.split("places")),
            departure: None,
            met: false,
            raft,
            catalog,
            applied,
            forming,
            agreement: Agreement::default(),
            snapshots: Snapshots::new(kept.map(|(meta, _)| meta.last), state_bytes),
            restoring: None,
            sessions: Sessions::default(),
            addresses: Addresses::new(&boot.peers),
            opens: BTreeMap::new(),
            calls: Calls::new(ids.next_u64()),
            proposals: Proposals::default(),
            reads: Reads::default(),
            blocking: Blocking::default(),
            bodies: BodyCache::default(),
            timers: TimerTable::default(),
            bus: VecDeque::new(),
            ready: VecDeque::new(),
            answers: Vec::new(),
            raft_effects: Vec::new(),
            config: Arc::new(config),
        };
        node.publisher.local_changed(node.agent.view());
        node.tell_of_recovery(recovered.as_ref());
        Ok(node)
    }

    fn tell_of_recovery(&mut self, recovered: Option<&Recovered>) {
        if let Some(cut) = recovered.and_then(|recovered| recovered.tail_cut.as_ref()) {
            let event = Event::TailCut { file: cut.file.to_string(), offset: cut.offset };
            self.answers.push(Effect::Event(event));
        }
    }
}

/// What the files of the log say.
fn recover(config: &Config, boot: &Boot) -> Result<Recovered, BootError> {
    proconsul_disk::recover(&boot.files, config.planted)
        .map_err(|error| BootError { text: error.to_string() })
}

/// The state and its description, from a snapshot file.
fn restore(config: &Config, snapshot: &SnapshotFile) -> Result<(SnapshotMeta, Catalog), BootError> {
    let meta = durable::decode_meta(snapshot)?;
    let mut restore = Restore::new(Arc::clone(&config.facts.datacenter), config.planted);
    // In pieces: what is pushed at once is copied at once.
    let mut pieces = snapshot.payload.chunks(SNAPSHOT_CHUNK_BYTES);
    let pushed = pieces.try_for_each(|piece| restore.push(piece));
    let catalog = pushed.and_then(|()| restore.finish());
    let catalog = catalog.map_err(|error| BootError {
        text: format!(
            "the snapshot of entry {} cannot be read ({error}): it was written by a newer version, \
             or for another datacenter; start this server with what it was written by",
            snapshot.id
        ),
    })?;
    Ok((meta, catalog))
}

fn raft_boot(
    boot: &Boot,
    recovered: Option<&Recovered>,
    snapshot: Option<&SnapshotMeta>,
) -> Result<proconsul_raft::Boot, BootError> {
    let members: BTreeMap<NodeId, Member> =
        boot.peers.iter().map(|peer| (peer.id, Member { voter: !peer.non_voter })).collect();
    let bootstrap = (!members.is_empty()).then_some(Membership { members });
    if boot.recover && bootstrap.is_none() {
        return Err(BootError {
            text: "peers.json names no server: name at least this one".to_string(),
        });
    }
    let mut raft = proconsul_raft::Boot {
        bootstrap,
        force_bootstrap: boot.recover,
        snapshot: snapshot.cloned(),
        ..proconsul_raft::Boot::default()
    };
    if let Some(recovered) = recovered {
        raft.hard_state = proconsul_raft::HardState {
            term: recovered.hard_state.term,
            vote: recovered.hard_state.vote,
        };
        raft.entries =
            recovered.entries.iter().cloned().map(durable::entry).collect::<Result<_, _>>()?;
        raft.committed = recovered.committed;
        raft.restarted = recovered.restarted;
    }
    Ok(raft)
}

/// Tells this server's catalog from others, for one planted fault; nothing else reads it.
pub(crate) fn mark(catalog: &mut Catalog, id: NodeId) {
    catalog.set_salt(u64::try_from(id.0 & u128::from(u64::MAX)).unwrap_or(0));
}
