//! After healing: a leader that stays, writes that go through, servers that agree, watchers that
//! are awake, sessions that ended, disks that did not grow without bound.

use super::{Judge, Seen};
use crate::client;
use crate::machine;
use crate::model::{Service, name_of};
use crate::options::Options;
use crate::schedule::Want;
use crate::world::Run;

const SECOND: u64 = 1_000_000_000;
/// How long news may take to everyone when nothing is broken.
const NEWS_MAX: u64 = 3 * SECOND / 2;

impl Judge {
    /// A leader that has not reached a quorum for long must not go on leading.
    pub(crate) fn lonely_leaders(&mut self, hosts: &[impl Seen]) {
        for (server, host) in hosts.iter().enumerate() {
            // Clocks that run as they like may run at half the rate.
            let bound = if self.judge_default { 3 } else { 6 } * SECOND;
            let lonely = self.raft.alone_since(server).is_some_and(|t| self.now > t + bound);
            let leads = host.is_up() && host.view().leadership.is_leader;
            if lonely && leads && !host.is_paused() && !self.raft.members_changed {
                self.broken("raft.leader-without-quorum", || {
                    let seconds = bound / SECOND;
                    format!("s{server} still leads after {seconds} s without a quorum")
                });
            }
        }
    }

    /// No watcher sleeps behind a change.
    pub(crate) fn watchers_awake(&mut self, runs: &[Run], hosts: &[impl Seen]) {
        for (place, run) in runs.iter().enumerate() {
            let Some(want) = run.want else { continue };
            if !run.open || !client::is_watch(want) || run.index == 0 {
                continue;
            }
            if !hosts[run.server].is_up() {
                continue;
            }
            if let Want::WatchService { service, .. } = want {
                self.service_watcher_awake(place, run, usize::from(service));
                continue;
            }
            let keys = if let Want::WatchKey { key, .. } = want {
                usize::from(key)..usize::from(key) + 1
            } else if matches!(want, Want::WatchPrefix { .. }) {
                0..client::KEYS_MAX
            } else {
                continue;
            };
            for key in keys {
                let newest = self.model.keys[key].newest().copied();
                if let Some(version) = newest
                    && version.index > run.index
                    && version.at + NEWS_MAX < self.now
                    && run.invoked + NEWS_MAX < self.now
                {
                    self.broken("watch.lost-wakeup", || {
                        format!(
                            "#{place} {want:?} at s{} sleeps at index {}, k/{key} changed at {}",
                            run.server, run.index, version.index
                        )
                    });
                }
            }
        }
    }

    fn service_watcher_awake(&mut self, place: usize, run: &Run, service: usize) {
        let changed = self.model.services.get(service).and_then(Service::changed);
        if let Some((index, at)) = changed
            && index > run.index
            && at + NEWS_MAX < self.now
            && run.invoked + NEWS_MAX < self.now
        {
            let (want, known) = (run.want, run.index);
            self.broken("watch.lost-wakeup", || {
                let name = name_of(service);
                format!("#{place} {want:?} sleeps at index {known}, {name} changed at {index}")
            });
        }
    }

    /// The end of a world. What needs no quorum is judged always.
    pub(crate) fn verdict<S: Seen>(&mut self, runs: &[Run], hosts: &[S], options: &Options) {
        self.histories.judge(runs, &self.model.keys, &mut self.violation, self.now);
        let up: Vec<(usize, &S)> =
            hosts.iter().enumerate().filter(|(_, host)| host.is_up()).collect();
        self.contents_agree(&up);
        self.disks_bounded(&up, runs, options);
        if !self.expects_liveness(hosts) {
            return;
        }
        for place in self.probes.clone() {
            let acked = self.model.written(crate::world::tag_of(place)).index > 0;
            let done = runs.get(place).is_some_and(|run| run.done && !run.open);
            if !(acked && done) {
                self.broken("live.write", || {
                    format!("write #{place} after healing: committed {acked}, answered {done}")
                });
                return;
            }
        }
        self.watchers_awake(runs, hosts);
        let settled = self.settled(NEWS_MAX);
        for (server, host) in &up {
            let index = machine::catalog_index(host.view());
            if index < settled {
                let standing = host.standing();
                self.broken("live.catch-up", || {
                    format!("s{server} is at {index}, {settled} is long committed: {standing}")
                });
            }
        }
        self.sessions_ended(options);
    }

    /// Disks do not grow with what was ever written.
    fn disks_bounded(&mut self, up: &[(usize, &impl Seen)], runs: &[Run], options: &Options) {
        let large = runs.iter().any(|run| matches!(run.want, Some(Want::Fill { .. })));
        let base = if large { 32 << 20 } else { 512 << 10 };
        for (server, host) in up {
            let limits = options.limits_of(*server);
            let bound = base + 8 * (limits.snapshot_log_bytes + limits.segment_bytes);
            let bytes = host.disk_bytes();
            if bytes > bound {
                self.broken("live.disk-bounded", || format!("s{server} keeps {bytes} bytes"));
            }
        }
    }

    /// Sessions nobody renews end: twice their TTL after a leader is there.
    fn sessions_ended(&mut self, options: &Options) {
        let long = options.session_ttl_ms * 2 + 1_000 + options.bound / 1_000;
        if self.model.lost || options.liveness / 1_000 < long {
            return;
        }
        let alive = self.model.sessions.iter().find(|(_, session)| session.ttl.is_some());
        if let Some((id, session)) = alive {
            let text = format!("session {id} of {} is still there", session.node);
            self.broken("session.expires", || text);
        }
    }

    /// What servers hold is what the committed commands say.
    fn contents_agree(&mut self, up: &[(usize, &impl Seen)]) {
        if self.model.lost {
            return;
        }
        for (server, host) in up {
            if let Some(orphan) = machine::orphan(host.view()) {
                self.broken("state.orphan", || format!("s{server} keeps {orphan}"));
            }
            if machine::catalog_index(host.view()) < self.model.applied {
                continue;
            }
            for (key, versions) in self.model.keys.iter().enumerate() {
                let modelled = versions.newest().and_then(|version| version.pair);
                let held = machine::pair(host.view(), key);
                if modelled.map(|pair| (pair.tag, pair.session)) != held {
                    self.broken("state.model", || {
                        format!("k/{key} at s{server} is {held:?}, it must be {modelled:?}")
                    });
                    return;
                }
            }
            for (number, service) in self.model.services.iter().enumerate() {
                let held = machine::instances(host.view(), &name_of(number));
                if held != *service.newest() {
                    let name = name_of(number);
                    let modelled = service.newest().clone();
                    self.broken("state.model", || {
                        format!("{name} at s{server} is {held:?}, it must be {modelled:?}")
                    });
                    return;
                }
            }
        }
    }
}
