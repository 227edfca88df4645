//! One pool, fed by hand.

use crate::net::Net;
use proconsul_gossip::{Config, Effect, Event, Gossip, Input, StreamEvent, StreamId};
use proconsul_types::{Duration, Incarnation, Instant, Liveness, Planted, Rng, Seed};
use proconsul_wire::memberlist::{Accusation, Alive, Message, NodeState, PushPull, StreamMessage};
use proconsul_wire::packet::Datagram;
use proconsul_wire::stream::Sealed;
use std::net::SocketAddr;
use std::sync::Arc;

/// Versions of a Consul agent.
pub(crate) const VERSIONS: [u8; 6] = [1, 5, 2, 2, 5, 4];

/// Host 0's pool, without a network; whom it hears of are hosts 1 and up.
pub(crate) struct Solo {
    pub(crate) pool: Gossip,
    pub(crate) now: Instant,
    pub(crate) out: Vec<Effect>,
    accepted: u64,
}

impl Solo {
    pub(crate) fn new(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Net::config(0);
        config.compress = false;
        adjust(&mut config);
        let mut out = Vec::new();
        let rng = Rng::new(Seed(1));
        let pool = Gossip::new(config, &rng, &[], Instant::START, &mut out);
        Self { pool, now: Instant::START, out, accepted: 0 }
    }

    /// A pool that has heard of this many others, and told what there was to tell.
    pub(crate) fn with_others(others: usize, planted: Planted) -> Self {
        let mut solo = Self::new(|config| config.planted = planted);
        for host in 1..=others {
            solo.hear(Message::Alive(alive(host, 1)));
        }
        solo
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.pool.step(self.now, input, &mut self.out);
        self.pool.check_invariants();
    }

    pub(crate) fn hear(&mut self, message: Message) {
        self.hear_from(Net::address(1), message);
    }

    pub(crate) fn hear_from(&mut self, from: SocketAddr, message: Message) {
        self.input(Input::Datagram(from, plain(message)));
    }

    /// Lets time pass; whoever is probed or dialled does not answer.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.after(time);
        while let Some(at) = self.pool.next_wakeup().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.input(Input::Wake);
        }
        self.now = end;
    }

    /// Runs without anything of the outside until `about` is held so; gives when, if ever.
    pub(crate) fn until(&mut self, about: usize, liveness: Liveness) -> Option<Duration> {
        let start = self.now;
        while self.liveness(about) != Some(liveness) {
            let at = self.pool.next_wakeup()?;
            if at > start.after(Duration::from_secs(600)) {
                return None;
            }
            self.now = self.now.max(at);
            self.input(Input::Wake);
        }
        Some(self.now.since(start))
    }

    pub(crate) fn held(&self, host: usize) -> Option<(Liveness, Incarnation)> {
        self.pool.detected_of(&Net::name(host))
    }

    pub(crate) fn liveness(&self, host: usize) -> Option<Liveness> {
        self.held(host).map(|(liveness, _)| liveness)
    }

    /// What was sent by datagram since the last call, message by message.
    pub(crate) fn sent(&mut self) -> Vec<(SocketAddr, Message)> {
        let mut sent = Vec::new();
        for effect in self.out.drain(..) {
            if let Effect::Send(to, datagram) = effect {
                sent.extend(datagram.messages.into_iter().map(|message| (to, message)));
            }
        }
        sent
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.out.iter().filter_map(|effect| match effect {
            Effect::Event(event) => Some(event),
            Effect::Send(..)
            | Effect::Dial(..)
            | Effect::Write(..)
            | Effect::Close(_)
            | Effect::Remember(_)
            | Effect::Compact(_)
            | Effect::SaveKeys(_) => None,
        })
    }

    pub(crate) fn notices(&self) -> String {
        let texts = self.events().filter_map(|event| match event {
            Event::Notice(text) => Some(text.as_str()),
            _other => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Another dials and says this; gives what is answered, and whether the stream was closed.
    pub(crate) fn served(&mut self, event: StreamEvent) -> (Vec<StreamMessage>, bool) {
        let id = StreamId(2 * self.accepted + 1);
        self.accepted += 1;
        self.out.clear();
        self.input(Input::Stream(id, StreamEvent::Accepted(Net::address(9))));
        self.input(Input::Stream(id, event));
        let mut answers = Vec::new();
        let mut closed = false;
        for effect in &self.out {
            match effect {
                Effect::Write(to, sealed) if *to == id => answers.push(sealed.message.clone()),
                Effect::Close(stream) => closed |= *stream == id,
                _other => {}
            }
        }
        (answers, closed)
    }

    /// Another joins, and knows these.
    pub(crate) fn told_states(&mut self, nodes: Vec<NodeState>, join: bool) -> Vec<StreamMessage> {
        let message = StreamMessage::PushPull(PushPull { join, nodes: nodes.into(), user: None });
        self.served(value(message)).0
    }
}

/// A host as it describes itself.
pub(crate) fn alive(host: usize, incarnation: u32) -> Arc<Alive> {
    let address = Net::address(host);
    Arc::new(Alive {
        incarnation: Incarnation(incarnation),
        node: Net::name(host).into(),
        address: Some(address.ip()),
        port: address.port(),
        meta: None,
        versions: VERSIONS.to_vec(),
    })
}

pub(crate) fn said(about: usize, incarnation: u32, from: usize) -> Arc<Accusation> {
    Arc::new(Accusation {
        incarnation: Incarnation(incarnation),
        node: Net::name(about).into(),
        from: Net::name(from).into(),
    })
}

pub(crate) fn plain(message: Message) -> Datagram {
    Datagram {
        label: "".into(),
        seal: None,
        checksum: false,
        compress: false,
        messages: vec![message],
    }
}

pub(crate) fn value(message: StreamMessage) -> StreamEvent {
    StreamEvent::Message(Box::new(Sealed {
        label: "".into(),
        dialled: true,
        seal: None,
        compress: false,
        message,
    }))
}
