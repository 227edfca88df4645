//! Planted faults: real bugs, switched on in test builds, that the simulator must find.
//!
//! Without the `planted` feature [`Planted`] is empty and [`Planted::is`] is the constant `false`,
//! so the compiler removes every planted branch from the shipped binary.

/// One real bug that some system shipped (`spec/engine.md` section 1.2 gives the sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    // raft
    /// A vote is answered before it is durable.
    VoteNotPersisted,
    /// An append is acknowledged before its sync.
    AckBeforeSync,
    /// A vote is granted without comparing logs.
    VoteWithoutLogCheck,
    /// Logs are compared by index before term.
    LogComparedByLength,
    /// Entries of an older term are committed by counting copies (Raft's Figure 8).
    CommitOldTerm,
    /// An append is accepted without checking the previous entry's term.
    NoPreviousTermCheck,
    /// Every append cuts the log behind it, also without a conflict.
    TruncateAlways,
    /// A quorum is one voter short.
    QuorumOffByOne,
    /// Votes are counted by answers, not by distinct voters.
    VotesCountedTwice,
    /// Starting a pre-vote forgets the persisted vote.
    PreVoteClearsVote,
    /// A follower commits up to the leader's commit index beyond what it was just sent.
    CommitBeyondMatched,
    /// A leader without a quorum never steps down.
    LeaderNeverStepsDown,
    /// A leader beats as it is configured, whatever the patience of its voters.
    BeatIgnoresPatience,
    /// The leader counts its own copy before it is synced.
    OwnMatchBeforeSync,
    /// A membership change is accepted before an entry of the own term is committed.
    MembershipBeforeOwnCommit,
    /// A membership takes effect when it is applied, not when it is appended.
    MembershipOnApply,
    /// ReadIndex is answered before the leader has committed in its term.
    ReadBeforeOwnCommit,
    /// Consistent reads skip the quorum round.
    ReadWithoutQuorum,
    /// The lease is measured from the receipt of acknowledgements, without a drift margin.
    LeaseFromReceipt,
    /// Lease reads go on while leadership is being transferred.
    LeaseDuringTransfer,
    /// An interrupted transfer leaves its flag set.
    TransferFlagStuck,
    /// A snapshot chunk of another snapshot is accepted.
    ChunkIgnoresSnapshotId,
    /// An installed snapshot leaves the conflicting log behind it.
    SnapshotKeepsLog,
    /// A restarted server may vote at once although it just promised a lease.
    VoteAtOnceAfterRestart,
    // disk
    /// A torn record at the end of the log is taken for an entry.
    TornTailAccepted,
    /// A damaged batch in the middle of the log is taken for its torn end: what was acknowledged
    /// after it is forgotten.
    HoleSkipped,
    /// The truncation mark is not written before the log is overwritten.
    TruncationNotLogged,
    /// A snapshot is announced before its directory entry is synced.
    SnapshotBeforeDirSync,
    /// A failed sync is taken for a successful one.
    FailedSyncIgnored,
    /// Old log segments are unlinked before the snapshot that replaces them is durable.
    CompactBeforeSnapshot,
    /// A snapshot whose transfer stopped half-way is waited for although the log brought more, so
    /// the server never takes one of its own again, and its log grows without end.
    OldTransferBlocksSnapshots,
    // catalog
    /// Deleting a key does not raise its prefix's index.
    DeleteKeepsPrefixIndex,
    /// Compare-and-set ignores the index.
    CasIgnoresIndex,
    /// A failed transaction leaves its first operations applied.
    TxnPartial,
    /// Deregistering a node forgets the checks of its services.
    CascadeForgetsChecks,
    /// A change of a check alone does not raise the index of its service.
    CheckKeepsServiceIndex,
    /// A restored snapshot lacks the sessions.
    SnapshotWithoutSessions,
    /// A restore that a change of leader breaks off leaves what came of it in force.
    RestoreLeftHalfDone,
    /// Apply depends on the node it runs on.
    ApplyDependsOnNode,
    // sessions
    /// Acquire succeeds although another session holds the key.
    AcquireIgnoresHolder,
    /// A session's end does not release its locks.
    DestroyKeepsLocks,
    /// The lock-delay is not enforced.
    NoLockDelay,
    /// Session timers are not rearmed on a new leader, so they never expire.
    SessionTimersNotRearmed,
    /// A renewal is answered, but the session's deadline stays where it was.
    RenewalKeepsDeadline,
    /// A leader that may have been replaced answers renewals, of which its successor knows nothing.
    RenewalWithoutLease,
    /// A new leader takes the lock-delays it finds for passed.
    LockDelayEndsWithLeader,
    // reads and watches
    /// A watch registered after the write it waits for sleeps through it.
    LostWakeup,
    /// A follower answers default reads from its own catalog.
    FollowerServesDefault,
    /// A deposed leader answers from its old view without looking at the lease.
    LeaseIgnored,
    /// A blocking query answers with the newest index but an older body.
    IndexNewerThanBody,
    /// A write is acknowledged when it is appended, not when it is committed.
    AckBeforeCommit,
    /// A write that may still commit is reported as certainly failed.
    UnknownReportedAsFailed,
    // gossip
    /// A refutation repeats the incarnation it refutes, so nobody believes it: members that are
    /// well are declared dead.
    RefuteWithoutHigherIncarnation,
    /// Others' suspicions do not shorten the deadline, so a death is told far too late.
    SuspicionNeverConfirmed,
    /// One accuser who repeats itself counts as several: one bad link kills a member early.
    SuspicionCountsNamesTwice,
    /// An old death is believed of a member that has spoken since: it flaps.
    DeadBeatsNewerAlive,
    /// A death learned by a full exchange is believed at once, without time to refute it.
    PushPullTrustsRemoteDeath,
    /// Helpers' nacks are not counted: whoever detects failures believes to be slow itself.
    NackNotCounted,
    /// News do not replace older ones about the same member, and contradict them on the wire.
    BroadcastNotInvalidated,
    /// The name of a member that just died is given to another address at once.
    ReclaimIgnoresTime,
    /// Suspects are not probed, so they are never told first by who suspects them.
    ProbeSkipsSuspect,
    // anti-entropy
    /// A deregistration counts as told when it is sent, so one that fails leaves an orphan.
    SyncForgetsDeregister,
    /// A full comparison trusts its own marks, so a catalog that lost its state stays empty.
    SyncTrustsMarks,
    /// A client agent compares itself with whatever server answers, however old its catalog is.
    SyncTrustsOldServer,
    // gossip: Serf
    /// A leave intent is applied whatever its time, so an old one that arrives late (or comes back
    /// by a push/pull) makes a member that has rejoined leave again, and its next failure a leave.
    LeaveIntentIgnoresClock,
    /// A slot of the event ring forgets which time it holds, so an event that equals one of 512
    /// ticks ago is taken for a repeat and never delivered.
    EventRingForgetsTime,
    /// A restarted member does not take its clocks from the rejoin file, so what it says carries
    /// times that were used: its leave and its events are dropped by the others as old.
    RejoinReusesClock,
    /// The reaper forgets the failed without waiting for the reconnect timeout, so nobody tries to
    /// meet them again and a healed partition never finds together.
    ReapForgetsFailedAtOnce,
    /// A member that is told to use a key it was never given takes and uses it, so it seals what
    /// members without the key cannot open.
    KeyUsedBeforeInstalled,
    /// A push/pull does not say who left, so members that missed a leave hold it for a failure.
    PushPullForgetsLeft,
    /// A pool lets in whoever comes: a stray join mixes the LAN and the WAN, or two datacenters.
    GuardLetsOtherPoolIn,
    /// Who is dead keeps its id from others: of two pools that know an old name of a machine set up
    /// anew, neither takes what the other holds.
    DeadKeepTheirId,
    /// A leave counts for who heard its intent, and that is told before the death only: who hears
    /// of the death alone takes it for a failure.
    LeaveToldBefore,
    /// Who contradicts a leave stays left until the failure detector meets it: what others are told
    /// meanwhile are later leaves.
    ReturnKeepsLeft,
    /// Nobody asks a member which of two words of one incarnation is its own.
    OneIncarnationTwice,
    /// Answers to a query are counted, not answerers, so a relayed copy counts twice and a change
    /// of keys is reported complete while members have not answered.
    AnswersCountedTwice,
    // the cluster
    /// An agent meets the list of its configuration once, though all whom it met there died since.
    ListMetOnce,
    /// The leader does not look at members that left: they stay in the catalog.
    ReconcileForgetsLeft,
    /// The leader does not look at the whole pool when it takes over: what happened meanwhile is
    /// never seen.
    ReconcileOnlyEvents,
    /// The leader leaves a name to an identity that nobody has any more: an agent that lost its
    /// disk is refused for good.
    ReconcileKeepsOldId,
    /// Autopilot removes dead servers even where the rest is not safe without them.
    AutopilotBelowQuorum,
    /// Autopilot counts as missing only those that gossip holds for failed: a leader that has not
    /// met the dead gives up others beside them.
    AutopilotCountsFailedOnly,
    /// What gossip tells of the past takes a seat: of a server that was lost with its disk, that of
    /// the one that lives under its name; of one that came back, its own.
    OldNameTakesSeat,
    /// Autopilot makes a server a voter the moment it is added.
    AutopilotPromotesAtOnce,
    /// `bootstrap_expect` does not ask whether the others have a group already.
    BootstrapExpectIgnoresPeers,
    /// A client agent sends a write again that another server may have done.
    ForwardRetriesWrite,
    /// What a server says of its place when it greets counts before what gossip says: another
    /// datacenter is answered at the address that it has in its own.
    GreetingBeatsGossip,
    /// The index of a watch is lost on its way to another agent: it is answered at once, for ever.
    ForwardDropsIndex,
    /// A watch waits on at a server that is gone: nothing wakes it any more.
    LostServerKeepsWatches,
    /// A write that is under way fails as soon as gossip holds the server that has it for gone,
    /// rightly or not.
    FailureTakesWrites,
    /// A watch that is asked again, because its server is gone, waits as long again.
    WaitBeginsAnew,
    /// Who cannot be dialled is forgotten with what it asks on a connection of its own: a watcher
    /// that came back elsewhere waits in vain.
    UnreachedIsForgotten,
}

/// Which fault, if any, this build of a part carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(feature = "planted")]
    fault: Option<Fault>,
}

impl Planted {
    /// Whether this build can carry faults at all. The shipped binary asserts that it cannot.
    pub const POSSIBLE: bool = cfg!(feature = "planted");

    /// No fault.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            #[cfg(feature = "planted")]
            fault: None,
        }
    }

    /// This fault. Only builds with the `planted` feature have it.
    #[cfg(feature = "planted")]
    #[must_use]
    pub const fn with(fault: Fault) -> Self {
        Self { fault: Some(fault) }
    }

    /// Whether `fault` is planted here.
    #[must_use]
    #[inline]
    pub fn is(self, fault: Fault) -> bool {
        #[cfg(feature = "planted")]
        {
            self.fault == Some(fault)
        }
        #[cfg(not(feature = "planted"))]
        {
            let _ = fault;
            false
        }
    }
}
