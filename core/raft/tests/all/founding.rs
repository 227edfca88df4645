//! A group that is named after its servers have started, as `bootstrap_expect` does.

use crate::server::id;
use crate::table::{MS, Table};
use proconsul_raft::{Input, Membership};
use proconsul_types::Planted;

fn group(numbers: &[u128]) -> Membership {
    Membership::of_voters(numbers.iter().map(|number| id(*number)))
}

/// Three servers without a group, of which the judge watches every step.
fn strangers(seed: u64) -> Table {
    let mut table = Table::new(seed, 3, 0, Planted::none());
    table.start_all();
    table.run(2000 * MS);
    assert_eq!(table.leader(), None, "without a group nobody stands");
    table
}

#[test]
fn servers_that_are_told_of_a_group_elect() {
    for seed in 0..20 {
        let mut table = strangers(seed);
        for server in 0..3 {
            table.step(server, Input::Bootstrap(group(&[1, 2, 3])));
        }
        table.run(3000 * MS);
        let leader = table.leader().expect("they elect");
        let ticket = table.propose(leader);
        table.run(500 * MS);
        let committed = table.servers[leader].raft.as_ref().unwrap().committed();
        assert!(committed >= table.proposed[&ticket].index, "and serve");
    }
}

#[test]
fn one_that_was_not_told_follows_those_that_were() {
    let mut table = strangers(7);
    for server in 0..2 {
        table.step(server, Input::Bootstrap(group(&[1, 2, 3])));
    }
    table.run(3000 * MS);
    let members =
        |server: usize| table.servers[server].raft.as_ref().unwrap().membership().members.len();
    assert_eq!([members(0), members(1), members(2)], [3, 3, 3]);
}

#[test]
fn a_group_is_named_once() {
    let mut table = strangers(9);
    for server in 0..3 {
        table.step(server, Input::Bootstrap(group(&[1, 2, 3])));
        table.step(server, Input::Bootstrap(group(&[1])));
        table.step(server, Input::Bootstrap(Membership::default()));
    }
    table.run(3000 * MS);
    for server in 0..3 {
        table.step(server, Input::Bootstrap(group(&[2])));
        let raft = table.servers[server].raft.as_ref().unwrap();
        assert_eq!(*raft.membership(), group(&[1, 2, 3]));
    }
}
