//! Whom a pool probes: in each round everyone once, whoever is suspected included.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Probes of two members differ by at most this many since both are known: a count may begin
/// between their turns in one round, and end between their turns in another.
const UNEVEN_MAX: u32 = 2;

/// How often a pool has probed each member since the last one came.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    own: Option<Arc<str>>,
    probes: BTreeMap<Arc<str>, u32>,
    most: u32,
    /// Pings that others asked for in the present step.
    asked: Vec<Arc<str>>,
}

impl Rounds {
    /// A pool of this name begins to look at these.
    pub(super) fn begin(own: &Arc<str>, members: impl Iterator<Item = Arc<str>>) -> Self {
        let probes = members.filter(|name| name != own).map(|name| (name, 0)).collect();
        Self { own: Some(Arc::clone(own)), probes, ..Self::default() }
    }

    /// Someone is here (again). Who came in the middle of a round may have had no turn in it, so
    /// all are counted anew.
    pub(super) fn joined(&mut self, name: &Arc<str>) {
        if self.own.as_ref() != Some(name) {
            self.probes.insert(Arc::clone(name), 0);
        }
        self.probes.values_mut().for_each(|count| *count = 0);
        self.most = 0;
    }

    /// Someone is gone.
    pub(super) fn gone(&mut self, name: &str) {
        self.probes.remove(name);
    }

    /// A step begins.
    pub(super) fn stepped(&mut self) {
        self.asked.clear();
    }

    /// Another asks this pool to ping someone.
    pub(super) fn asked(&mut self, name: &Arc<str>) {
        self.asked.push(Arc::clone(name));
    }

    /// The pool pings someone. Who was passed over, if anyone was, and by how many probes.
    pub(super) fn pinged(&mut self, name: &Arc<str>) -> Option<(Arc<str>, u32)> {
        if let Some(place) = self.asked.iter().position(|asked| asked == name) {
            self.asked.swap_remove(place);
            return None;
        }
        let count = self.probes.get_mut(name)?;
        *count += 1;
        if *count <= self.most {
            return None;
        }
        self.most = *count;
        let over = |(_, count): &(&Arc<str>, &u32)| **count + UNEVEN_MAX < self.most;
        self.probes.iter().find(over).map(|(name, count)| (Arc::clone(name), self.most - count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(number: usize) -> Arc<str> {
        format!("n{number}").into()
    }

    #[test]
    fn who_is_passed_over_in_a_whole_round_is_found() {
        let mut rounds = Rounds::begin(&named(0), (0..4).map(named));
        for number in [1, 2, 3, 2, 3, 1] {
            assert_eq!(rounds.pinged(&named(number)), None);
        }
        // From now on without the second.
        for number in [1, 3, 3, 1] {
            assert_eq!(rounds.pinged(&named(number)), None);
        }
        assert_eq!(rounds.pinged(&named(3)), Some((named(2), 3)));
    }

    #[test]
    fn pings_for_others_do_not_count_and_newcomers_begin_anew() {
        let mut rounds = Rounds::begin(&named(0), (0..3).map(named));
        for _ in 0..9 {
            rounds.stepped();
            rounds.asked(&named(1));
            assert_eq!(rounds.pinged(&named(1)), None);
        }
        rounds.pinged(&named(1));
        rounds.pinged(&named(1));
        rounds.joined(&named(3));
        assert_eq!(rounds.pinged(&named(1)), None);
        rounds.gone("n2");
        rounds.gone("n3");
        for _ in 0..5 {
            assert_eq!(rounds.pinged(&named(1)), None, "nobody else is left");
        }
    }
}
