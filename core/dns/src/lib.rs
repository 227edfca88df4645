//! The DNS API as a function: a question and a catalog go in, an answer comes out. No sockets.
//!
//! Invariant: whatever the bytes, the function answers or says nothing; it never fails.
#![no_std]
#![warn(clippy::alloc_instead_of_core)]

extern crate alloc;

mod answer;
mod config;
pub mod elsewhere;
mod name;
mod question;
mod reach;
mod reverse;
mod service;
mod zone;

pub use config::{Config, Facts, Soa};

use alloc::string::String;
use alloc::vec::Vec;
use answer::{Answer, Code};
use proconsul_catalog::Catalog;
use proconsul_types::Rng;
use question::{Kind, Parsed, Question};

/// Answers one message. `None`: it is no question at all, so nothing is said.
#[must_use]
pub fn read(
    catalog: &Catalog,
    config: &Config,
    facts: &Facts,
    rng: &mut Rng,
    tcp: bool,
    question: &[u8],
) -> Option<Vec<u8>> {
    let question = match question::parse(question) {
        Parsed::Question(question) => question,
        Parsed::Refuse(message) => return Some(message),
        Parsed::Drop => return None,
    };
    let mut answer = Answer::new(&question, config, tcp);
    let mut asked = Asked { catalog, config, facts, rng, question: &question };
    asked.route(&mut answer);
    Some(answer.finish())
}

/// The other datacenter whose servers must answer this question, as it names it; `None` if it is
/// one for [`read`]. What [`read`] says of such a question is that there is no such datacenter:
/// right unless one of this name is known.
#[must_use]
pub fn other_datacenter(config: &Config, own: &str, question: &[u8]) -> Option<String> {
    let Parsed::Question(question) = question::parse(question) else { return None };
    let labels = &question.lower;
    let inside = name::inside(labels, &config.domain)
        .or_else(|| name::inside(labels, &config.alt_domain))?;
    match question.kind {
        Kind::Soa | Kind::Ns | Kind::Transfer => return None,
        Kind::A | Kind::Aaaa | Kind::Any | Kind::Srv | Kind::Txt | Kind::Other => {}
    }
    let at = keyword(inside, question.kind)?;
    match &inside[at + 1..] {
        [named] if at > 0 && !named.eq_ignore_ascii_case(own) => Some(named.clone()),
        _ => None,
    }
}

/// Where the word stands that says what is asked for: the last that may.
fn keyword(labels: &[String], kind: Kind) -> Option<usize> {
    labels.iter().rposition(|label| {
        matches!(label.as_str(), "service" | "node" | "addr" | "connect" | "ingress" | "query")
            || (kind == Kind::Srv && label.starts_with('_'))
    })
}

/// One question and everything it may be answered from.
struct Asked<'a> {
    catalog: &'a Catalog,
    config: &'a Config,
    facts: &'a Facts,
    rng: &'a mut Rng,
    question: &'a Question,
}

impl Asked<'_> {
    /// Finds whose question it is.
    fn route(&mut self, answer: &mut Answer<'_>) {
        let labels = &self.question.lower;
        if labels.last().is_some_and(|label| label == "arpa") {
            self.reverse(answer);
            return;
        }
        let Some(inside) = name::inside(labels, &self.config.domain)
            .or_else(|| name::inside(labels, &self.config.alt_domain))
        else {
            answer.refuse(Code::Refused);
            return;
        };
        if !self.facts.ready {
            answer.fail();
            return;
        }
        match self.question.kind {
            Kind::Soa => {
                zone::soa(self, answer, zone::Place::Answer);
                self.name_servers(answer, zone::Place::Authority);
            }
            Kind::Ns => self.name_servers(answer, zone::Place::Answer),
            Kind::Transfer => answer.set(Code::NotImplemented),
            Kind::A | Kind::Aaaa | Kind::Any | Kind::Srv | Kind::Txt | Kind::Other => {
                self.dispatch(inside, answer);
            }
        }
    }

    /// What the labels before the domain ask for: the last of them that is a keyword decides.
    fn dispatch(&mut self, labels: &[String], answer: &mut Answer<'_>) {
        let Some(at) = keyword(labels, self.question.kind) else {
            return zone::negative(self, answer, Code::NoSuchName);
        };
        let word = labels[at].as_str();
        // A question for SRV may leave out the word `service`.
        let parts = if word.starts_with('_') { &labels[..=at] } else { &labels[..at] };
        let here = match &labels[at + 1..] {
            [] => true,
            [datacenter] => datacenter.eq_ignore_ascii_case(&self.facts.datacenter),
            _ => false,
        };
        if parts.is_empty() || !here {
            return zone::negative(self, answer, Code::NoSuchName);
        }
        match word {
            "node" => self.node(&parts.join("."), answer),
            "addr" => self.address(parts, answer),
            "connect" | "ingress" | "query" => zone::negative(self, answer, Code::NoSuchName),
            _ => self.service(parts, answer),
        }
    }
}
