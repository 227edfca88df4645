//! The body of a push/pull: a header, that many members, and Serf's part.

use super::{Alive, NodeState, PushPull, kind};
use crate::msgpack::{Count, Cursor, DecodeError, Sink};
use crate::serf;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{Incarnation, Liveness};

/// The first value of a push/pull: what follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether the dialler joins.
    pub(crate) join: bool,
    /// How many members.
    pub(crate) nodes: u64,
    /// How many bytes of Serf's part.
    pub(crate) user_bytes: usize,
}

impl Header {
    /// Reads the header. Numbers below 0 are refused.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let mut header = Self::default();
        cursor.fields(&["Nodes", "UserStateLen", "Join"], |index, value| {
            match index {
                0 => header.nodes = value.number()?,
                1 => header.user_bytes = value.number()?,
                _ => header.join = value.boolean()?,
            }
            Ok(())
        })?;
        Ok(header)
    }
}

impl PushPull {
    /// Writes type byte and body.
    pub(crate) fn write(&self, out: &mut impl Sink) {
        let mut user = Count::default();
        if let Some(state) = &self.user {
            state.write(&mut user);
        }
        out.byte(kind::PUSH_PULL);
        out.map(3);
        out.raw(b"Join");
        out.boolean(self.join);
        out.raw(b"Nodes");
        out.unsigned(u64::try_from(self.nodes.len()).expect("a count fits 64 bits"));
        out.raw(b"UserStateLen");
        out.unsigned(u64::try_from(user.0).expect("a length fits 64 bits"));
        for node in self.nodes.iter() {
            node.alive.write(Some(liveness_number(node.liveness)), out);
        }
        if let Some(state) = &self.user {
            state.write(out);
        }
    }

    /// Reads the body when all of it is there. Members in a state that is not known here are left
    /// out, and so is a part of Serf's that is not understood: neither refuses the rest.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        let header = Header::read(cursor)?;
        let empty = Arc::new(Alive::default());
        let mut nodes = Vec::new();
        for _ in 0..header.nodes {
            let (alive, state) = read_node(cursor)?;
            if let Some(liveness) = liveness_of(state) {
                let alive = if alive == *empty { Arc::clone(&empty) } else { Arc::new(alive) };
                nodes.push(NodeState { alive, liveness });
            }
        }
        let user = match serf::Message::decode(cursor.take(header.user_bytes)?) {
            Ok(serf::Message::PushPull(state)) => Some(state),
            Ok(
                serf::Message::Leave(_)
                | serf::Message::Join(_)
                | serf::Message::UserEvent(_)
                | serf::Message::Query(_)
                | serf::Message::QueryResponse(_)
                | serf::Message::Relay(_),
            )
            | Err(_) => None,
        };
        Ok(Self { join: header.join, nodes: nodes.into(), user })
    }
}

fn read_node(cursor: &mut Cursor<'_>) -> Result<(Alive, i64), DecodeError> {
    const DECLARED: [&str; 7] = ["Name", "Addr", "Port", "Meta", "Incarnation", "State", "Vsn"];
    let mut alive = Alive::default();
    let mut state = 0;
    cursor.fields(&DECLARED, |index, value| {
        match index {
            0 => alive.node = value.text()?,
            1 => alive.address = value.address()?,
            2 => alive.port = value.number()?,
            3 => alive.meta = value.raw()?,
            4 => alive.incarnation = Incarnation(value.number()?),
            5 => state = value.number()?,
            _ => alive.versions = value.raw_vec()?,
        }
        Ok(())
    })?;
    Ok((alive, state))
}

const fn liveness_number(liveness: Liveness) -> u8 {
    match liveness {
        Liveness::Alive => 0,
        Liveness::Suspect => 1,
        Liveness::Dead => 2,
        Liveness::Left => 3,
    }
}

const fn liveness_of(number: i64) -> Option<Liveness> {
    match number {
        0 => Some(Liveness::Alive),
        1 => Some(Liveness::Suspect),
        2 => Some(Liveness::Dead),
        3 => Some(Liveness::Left),
        _ => None,
    }
}
