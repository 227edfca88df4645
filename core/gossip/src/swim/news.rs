//! What members tell on about members.

use crate::digest::Named;
use alloc::sync::Arc;
use proconsul_wire::memberlist::{Accusation, Alive, Message};

/// News about a member. All who tell it on share what was said first.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// It is here.
    Alive(Arc<Alive>),
    /// It did not answer.
    Suspect(Arc<Accusation>),
    /// It is gone.
    Dead(Arc<Accusation>),
}

impl Named for News {
    fn name(&self) -> &str {
        match self {
            Self::Alive(alive) => &alive.node,
            Self::Suspect(said) | Self::Dead(said) => &said.node,
        }
    }
}

impl From<News> for Message {
    fn from(news: News) -> Self {
        match news {
            News::Alive(alive) => Self::Alive(alive),
            News::Suspect(said) => Self::Suspect(said),
            News::Dead(said) => Self::Dead(said),
        }
    }
}
