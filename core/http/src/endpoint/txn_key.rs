//! Operations of a transaction on keys.

use super::{Decoded, each_field, name};
use crate::error;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proconsul_catalog::{KvOp, KvVerb, TxnOp};
use proconsul_checks::parse::json;
use proconsul_types::SessionId;
use serde_json::Value;

/// An operation on keys as it was read.
#[derive(Default)]
pub(super) struct AskedKey {
    verb: Arc<str>,
    pub(super) key: Arc<str>,
    pub(super) value: Bytes,
    flags: u64,
    index: u64,
    session: Arc<str>,
}

impl AskedKey {
    pub(super) fn read(value: &Value) -> Decoded<Self> {
        let mut asked = Self::default();
        let fields = json::object(value, "TxnOp.KV", "api.KVTxnOp")?;
        each_field(fields, |key, given, value| asked.field(key, given, value))?;
        Ok(asked)
    }

    fn field(&mut self, key: &str, given: &str, value: &Value) -> Decoded<()> {
        match key {
            "verb" => {
                if !(value.is_string() || value.is_null()) {
                    return Err(json::mismatch(value, "KVTxnOp.KV.Verb", "api.KVOp"));
                }
                json::text(value, "KVTxnOp.KV.Verb", &mut self.verb)
            }
            "key" => json::text(value, "KVTxnOp.KV.Key", &mut self.key),
            "value" => {
                if !(value.is_string() || value.is_null()) {
                    return Err(json::mismatch(value, "KVTxnOp.KV.Value", "[]uint8"));
                }
                let text = name(value, "KVTxnOp.KV.Value")?;
                self.value = base64(&text)?;
                Ok(())
            }
            "flags" => json::uint(value, "KVTxnOp.KV.Flags", &mut self.flags),
            "index" => json::uint(value, "KVTxnOp.KV.Index", &mut self.index),
            "session" => json::text(value, "KVTxnOp.KV.Session", &mut self.session),
            "namespace" => Ok(()),
            _ => Err(json::unknown_field(given)),
        }
    }

    /// A verb nobody knows counts as a read.
    pub(super) fn writes(&self) -> bool {
        matches!(
            &*self.verb,
            "set" | "cas" | "lock" | "unlock" | "delete" | "delete-tree" | "delete-cas"
        )
    }

    pub(super) fn precheck(&self) -> Result<(), String> {
        if self.key.is_empty() && &*self.verb != "delete-tree" {
            return Err("Must provide key".into());
        }
        Ok(())
    }

    /// The operation, or what is wrong with it.
    pub(super) fn typed(&self) -> Result<TxnOp, String> {
        let key = self.key.clone();
        let session = self.session.parse::<SessionId>();
        let write = |verb| {
            let (key, value) = (self.key.clone(), Arc::from(&*self.value));
            Ok(TxnOp::Write(KvOp { verb, key, value, flags: self.flags }))
        };
        match &*self.verb {
            "set" => write(KvVerb::Set),
            "cas" => write(KvVerb::Cas(self.index)),
            "delete" => write(KvVerb::Delete),
            "delete-cas" => write(KvVerb::DeleteCas(self.index)),
            "delete-tree" => write(KvVerb::DeleteTree),
            "lock" => match session {
                Ok(session) => write(KvVerb::Acquire(session)),
                Err(_) if self.session.is_empty() => Err("missing session".into()),
                Err(_) => Err(error::SESSION_LOOKUP.into()),
            },
            "unlock" => match session {
                Ok(session) => write(KvVerb::Release(session)),
                Err(_) if self.session.is_empty() => Err("missing session".into()),
                Err(_) => Err(format!(
                    "failed to unlock key {key:?}, lock isn't held, or is held by another session"
                )),
            },
            "get" => Ok(TxnOp::Get(key)),
            "get-tree" => Ok(TxnOp::GetTree(key)),
            "check-index" => Ok(TxnOp::CheckIndex(key, self.index)),
            "check-not-exists" => Ok(TxnOp::CheckNotExists(key)),
            // An empty one asks that nobody holds it.
            "check-session" => Ok(match session {
                Ok(session) => TxnOp::CheckSession(key, session),
                Err(_) => TxnOp::CheckHolder(key, self.session.clone()),
            }),
            verb => Err(format!("unknown KV verb {verb:?}")),
        }
    }
}

fn base64(text: &str) -> Decoded<Bytes> {
    match STANDARD.decode(text) {
        Ok(bytes) => Ok(Bytes::from(bytes)),
        Err(_) => Err(format!("illegal base64 data at input byte {}", wrong_base64(text))),
    }
}

/// Where Go says that base64 goes wrong.
pub(super) fn wrong_base64(text: &str) -> usize {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let wrong = text.trim_end_matches('=').bytes().position(|byte| !alphabet(byte));
    wrong.unwrap_or(text.len() / 4 * 4)
}
