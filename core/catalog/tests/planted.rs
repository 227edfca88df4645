//! Every planted fault does what its name says; without the feature none can be there.

#[cfg(feature = "planted")]
mod with {
    use crate::support::{
        World, check, create, deregister, kv, kv_op, node, register, service, session,
    };
    use proconsul_catalog::{Command, KvVerb, Outcome, Restore, TxnOp};
    use proconsul_types::{CheckStatus, Fault, Planted, SessionId};
    use std::sync::Arc;

    fn world(fault: Fault) -> World {
        let mut world = World::with(Planted::with(fault));
        world.does(&register(
            node("n", None),
            vec![service("s", "web")],
            vec![check("c", "s", CheckStatus::Passing)],
        ));
        world.does(&create(session(1, "n", &[])));
        world.does(&create(session(2, "n", &[])));
        world
    }

    const ONE: SessionId = SessionId(1);
    const TWO: SessionId = SessionId(2);

    #[test]
    fn keys() {
        let mut faulty = world(Fault::DeleteKeepsPrefixIndex);
        faulty.set("p/1", "");
        let kept = faulty.set("p/2", "");
        faulty.does(&kv(KvVerb::Delete, "p/1", ""));
        assert_eq!(faulty.catalog.kv_prefix_index("p/").0, kept);

        let mut faulty = world(Fault::CasIgnoresIndex);
        faulty.set("k", "");
        assert_eq!(faulty.does(&kv(KvVerb::Cas(0), "k", "x")), Outcome::Answer(true));

        let mut faulty = world(Fault::TxnPartial);
        let ops = vec![TxnOp::Write(kv_op(KvVerb::Set, "a", "")), TxnOp::Get("b".into())];
        assert!(matches!(faulty.does(&Command::Txn(ops)), Outcome::TxnFailed(_)));
        assert!(faulty.catalog.kv_get("a").is_some());

        let mut faulty = world(Fault::ApplyDependsOnNode);
        let mut other = faulty.clone();
        other.catalog.set_salt(1);
        faulty.set("k", "");
        other.set("k", "");
        assert_ne!(faulty.catalog.state_hash(), other.catalog.state_hash());
    }

    #[test]
    fn locks() {
        let mut faulty = world(Fault::AcquireIgnoresHolder);
        faulty.does(&kv(KvVerb::Acquire(ONE), "k", ""));
        assert_eq!(faulty.does(&kv(KvVerb::Acquire(TWO), "k", "")), Outcome::Answer(true));

        let mut faulty = world(Fault::DestroyKeepsLocks);
        faulty.does(&kv(KvVerb::Acquire(ONE), "k", ""));
        faulty.does(&Command::SessionDestroy(ONE));
        assert_eq!(faulty.catalog.kv_get("k").unwrap().session, Some(ONE));

        let mut faulty = world(Fault::NoLockDelay);
        faulty.does(&kv(KvVerb::Acquire(ONE), "k", ""));
        faulty.does(&Command::SessionDestroy(ONE));
        assert_eq!(faulty.does(&kv(KvVerb::Acquire(TWO), "k", "")), Outcome::Answer(true));
    }

    #[test]
    fn tables() {
        let mut faulty = world(Fault::CascadeForgetsChecks);
        faulty.does(&deregister("n", Some("s"), None));
        assert!(faulty.catalog.check("n", "c").is_some());

        let mut faulty = world(Fault::CheckKeepsServiceIndex);
        let kept = faulty.catalog.service_health_index("web");
        faulty.does(&register(
            node("n", None),
            vec![],
            vec![check("c", "s", CheckStatus::Critical)],
        ));
        assert_eq!(faulty.catalog.service_health_index("web"), kept);

        let faulty = world(Fault::SnapshotWithoutSessions);
        let mut restore = Restore::new(Arc::from("dc1"), Planted::none());
        let mut reader = faulty.catalog.snapshot();
        while let Some(chunk) = reader.next_chunk(1000) {
            restore.push(&chunk).unwrap();
        }
        assert_eq!(restore.finish().unwrap().sessions().count(), 0);
    }
}

#[cfg(not(feature = "planted"))]
#[test]
fn none_is_possible() {
    const { assert!(!proconsul_types::Planted::POSSIBLE) };
}
