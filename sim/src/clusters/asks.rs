//! What people ask of agents, and what they are answered.

use super::wires::wide;
use super::world::{SECOND, World};
use crate::machine::{self, Plan};
use crate::schedule::Freshness;
use bytes::Bytes;
use proconsul_core::http::{Method, Request, Response};
use proconsul_core::{Input, RequestId};

/// What must succeed does so within this.
const MUST_MAX: u64 = 10 * SECOND;

/// Why something is asked, which says what its answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A key is written; its value is the request's number.
    Put { dc: u8, key: u8 },
    /// A key is read.
    Read { dc: u8, key: u8, how: Freshness },
    /// A key of one's own is created.
    Create,
    /// A key is written, which must succeed.
    Must { dc: u8 },
    /// A key is watched by the watcher of this number.
    Watch { number: usize },
    /// A service is offered, or no longer.
    Offer { service: u8, port: Option<u16> },
    /// Another's service is taken out of the catalog.
    Meddle { of: usize, service: u8 },
    /// A session is made, to hold a lock with it.
    Session,
    /// An agent of a healed world must be able to do this.
    Probe { dc: usize },
    /// The answer says nothing.
    Plain,
}

/// An open request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) purpose: Purpose,
    pub(super) by: usize,
    pub(super) invoked: u64,
}

impl World {
    /// Asks an agent, if it runs.
    pub(super) fn ask(
        &mut self,
        by: usize,
        purpose: Purpose,
        method: Method,
        target: &str,
        body: &str,
    ) {
        let id = RequestId(self.next_request);
        let Some(machine) = self.machines.get_mut(by) else { return };
        if machine.node.is_none() {
            return;
        }
        self.next_request += 1;
        let asked = Asked { purpose, by, invoked: self.now };
        self.asked.insert(id.0, asked);
        self.judge.begins(id.0, &asked);
        self.trace.event(self.now, wide(by), 11, id.0);
        if self.lines.are_kept() {
            self.say(Some(by), || format!("is asked #{} {method:?} {target}", id.0));
        }
        let request = Request::new(method, target, Bytes::copy_from_slice(body.as_bytes()));
        let machine = &mut self.machines[by];
        machine.open.push(id);
        if let (false, Some(view)) = (machine.paused, &machine.view) {
            let now = machine.clock.local(self.now);
            if let Plan::Answer(response) = machine::read(view, now, &request, &mut machine.cache) {
                self.answered(by, id, &response);
                return;
            }
        }
        self.feed(by, Input::Http(id, request));
    }

    /// An agent answers.
    pub(super) fn answered(&mut self, number: usize, id: RequestId, response: &Response) {
        let open = &mut self.machines[number].open;
        let Some(at) = open.iter().position(|open| *open == id) else {
            self.judge.broken("http.one-answer", self.now, || {
                format!("m{number} answers request {} twice, or one nobody asked", id.0)
            });
            return;
        };
        open.swap_remove(at);
        self.trace.event(self.now, wide(number), 13, u64::from(response.status));
        self.trace.bytes(&response.body);
        if self.lines.are_kept() {
            let body = String::from_utf8_lossy(&response.body);
            let body: String = body.chars().take(100).collect();
            self.say(Some(number), || format!("answers #{} {}: {body}", id.0, response.status));
        }
        let Some(asked) = self.asked.remove(&id.0) else { return };
        self.judge.answered += u64::from(response.status == 200);
        let text = std::str::from_utf8(&response.body).unwrap_or_default().trim();
        let done = response.status == 200 && text != "false";
        match asked.purpose {
            Purpose::Put { dc, key } => {
                if done {
                    self.judge.keys.written((dc, key), id.0, self.now);
                }
            }
            Purpose::Read { dc, key, how } => {
                let found = match response.status {
                    200 => Some(text.parse().ok()),
                    404 => Some(None),
                    _ => None,
                };
                if let Some(found) = found {
                    let wrong = self.judge.keys.read((dc, key), found, asked.invoked, how);
                    if let Some((rule, text)) = wrong {
                        self.judge.broken(rule, self.now, || format!("#{}: {text}", id.0));
                    }
                }
            }
            Purpose::Must { dc } => {
                if !done {
                    let status = response.status;
                    self.judge.broken("must.write", self.now, || {
                        format!("m{number} cannot write in dc{dc}: {status} {text}")
                    });
                }
            }
            Purpose::Watch { number } => self.watched(number, id.0, response),
            Purpose::Create => {
                if response.status == 200 && text == "false" {
                    self.judge.broken("create.denied", self.now, || {
                        format!("#{}: a key that nobody else writes was there already", id.0)
                    });
                }
            }
            Purpose::Offer { service, port } => {
                self.judge.offered(number, service, port, (id.0, done), self.now);
            }
            Purpose::Session => self.session_made(number, done, text),
            Purpose::Probe { dc } => {
                // A leader that is not heard because a link lost one segment twice gives way: over
                // links that lose, people ask again.
                let again = self.plan.options.loss_max() > 0 && self.has_patience();
                if !done && again {
                    self.judge.ask_again.push((number, dc));
                } else if !done {
                    let status = response.status;
                    self.judge.broken("rest.request", self.now, || {
                        format!("m{number} cannot write in dc{dc}: {status} {text}")
                    });
                }
            }
            Purpose::Meddle { .. } | Purpose::Plain => {}
        }
    }

    /// The process that was asked is gone.
    pub(super) fn unanswered(&mut self, id: RequestId) {
        if let Some(Asked { purpose: Purpose::Watch { number }, .. }) = self.asked.remove(&id.0) {
            self.unwatched(number);
        }
    }

    fn session_made(&mut self, by: usize, done: bool, text: &str) {
        let id = text.split('"').nth(3).filter(|_| done);
        if let Some(id) = id {
            let target = format!("/v1/kv/lock/{by}?acquire={id}");
            self.ask(by, Purpose::Plain, Method::Put, &target, "held");
        }
    }

    /// What had to succeed by now and has no answer.
    pub(super) fn look_at_asked(&mut self) {
        let late = self.asked.values().find(|asked| {
            matches!(asked.purpose, Purpose::Must { .. }) && self.now > asked.invoked + MUST_MAX
        });
        if let Some(asked) = late.copied() {
            self.judge.broken("must.write", self.now, || {
                format!("m{} has no answer to {:?}", asked.by, asked.purpose)
            });
        }
    }

    /// How many requests of a kind are open.
    pub(super) fn probes_open(&self) -> usize {
        let is_probe = |asked: &&Asked| matches!(asked.purpose, Purpose::Probe { .. });
        self.asked.values().filter(is_probe).count()
    }
}
