//! Changes of keys on every member: asked here, done here, reported here.

use super::asked::{Purpose, internal};
use super::queries::{Open, RESPONSE_BYTES_MAX};
use super::{Ask, Serf};
use crate::face::{Asked, Effect, Event, KeyOp, KeyReport};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use bytes::Bytes;
use proconsul_types::{Fault, Instant};
use proconsul_wire::crypto::{Key, Keyring};
use proconsul_wire::serf::{KeyRequest, KeyResponse, Message};

const NOT_ENCRYPTED: &str = "(encryption not enabled)";

impl Serf {
    /// Changes keys on every member, this one included (`Input::Keys`).
    pub(crate) fn keys(&mut self, now: Instant, asked: Asked, op: KeyOp, relay_factor: u8) {
        let (name, key) = match op {
            KeyOp::Install(key) => ("install-key", key),
            KeyOp::Use(key) => ("use-key", key),
            KeyOp::Remove(key) => ("remove-key", key),
            KeyOp::List => ("list-keys", Bytes::new()),
        };
        let members = u32::try_from(self.members.here()).unwrap_or(u32::MAX);
        let report = KeyReport { members, ..KeyReport::default() };
        let mut params = internal(name, KeyRequest { key }.to_bytes());
        params.relay_factor = relay_factor;
        if let Err(reason) = self.ask_all(now, params, Purpose::Keys(asked, report.clone())) {
            let report = KeyReport { error: Some(reason), ..report };
            self.say(Event::Keys(asked, report));
        }
        self.settle(now);
    }

    /// Does what another (or this member itself) asks, and says so.
    pub(super) fn answer_keys(&mut self, name: &str, payload: &[u8], open: &Open) {
        let mut answer = KeyResponse::default();
        if name == "list-keys" {
            if self.keyring.is_empty() {
                answer.message = format!("Keyring is empty {NOT_ENCRYPTED}");
            } else {
                answer.keys = self.keyring.keys().iter().map(Key::to_base64).collect();
                answer.primary = self.keyring.primary().map(Key::to_base64).unwrap_or_default();
                answer.result = true;
            }
        } else {
            match self.change_keys(name, payload) {
                Ok(()) => answer.result = true,
                Err(reason) => answer.message = reason,
            }
        }
        // A list that is too long is cut from its end until the answer fits.
        let held = answer.keys.len();
        loop {
            let response = self.response(open, 0, Some(answer.to_bytes()));
            let length = Message::QueryResponse(response.clone()).encoded_len();
            if length <= RESPONSE_BYTES_MAX {
                self.send_response(open, &response);
                return;
            }
            if answer.keys.pop().is_none() {
                self.notice("key response does not fit into a message".to_string());
                return;
            }
            let shown = answer.keys.len();
            answer.message =
                format!("truncated key list response, showing first {shown} of {held} keys");
        }
    }

    fn change_keys(&mut self, name: &str, payload: &[u8]) -> Result<(), String> {
        let request = KeyRequest::decode(payload).map_err(|error| error.to_string())?;
        if self.keyring.is_empty() {
            return Err(format!("No keyring to modify {NOT_ENCRYPTED}"));
        }
        let key = Key::new(&request.key).map_err(|error| error.to_string())?;
        let mut ring = self.keyring.clone();
        let done = match name {
            "install-key" => {
                ring.add(key);
                Ok(())
            }
            "use-key" => {
                if self.planted.is(Fault::KeyUsedBeforeInstalled) {
                    ring.add(key.clone());
                }
                ring.use_key(&key)
            }
            _ => ring.remove(&key),
        };
        done.map_err(|error| error.to_string())?;
        if ring != self.keyring {
            self.take_keys(ring);
        }
        Ok(())
    }

    fn take_keys(&mut self, ring: Keyring) {
        if self.rejoin.is_durable() {
            self.asks.push_back(Ask::Effect(Effect::SaveKeys(Bytes::from(ring.to_json()))));
        }
        self.asks.push_back(Ask::SetKeys(ring.clone()));
        self.keyring = ring;
    }
}

/// Counts one member's answer.
pub(super) fn count(report: &mut KeyReport, from: &Arc<str>, payload: &[u8]) {
    report.answered += 1;
    let answer = match KeyResponse::decode(payload) {
        Ok(answer) => answer,
        Err(error) => {
            let text = format!("Failed to decode key query response: {error}");
            report.messages.insert(Arc::clone(from), text);
            report.failed += 1;
            return;
        }
    };
    report.failed += u32::from(!answer.result);
    if !answer.result || !answer.message.is_empty() {
        report.messages.insert(Arc::clone(from), answer.message);
    }
    for key in answer.keys {
        *report.keys.entry(key).or_default() += 1;
    }
    if !answer.primary.is_empty() {
        *report.primary_keys.entry(answer.primary).or_default() += 1;
    }
}

/// The report with its verdict.
pub(super) fn conclude(mut report: KeyReport) -> KeyReport {
    let (failed, answered, members) = (report.failed, report.answered, report.members);
    if failed > 0 {
        report.error = Some(format!("{failed}/{members} nodes reported failure"));
    } else if answered != members {
        report.error = Some(format!("{answered}/{members} nodes reported success"));
    }
    report
}
