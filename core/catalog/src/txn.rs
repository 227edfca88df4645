//! Transactions: all or nothing, and every reason for nothing.

use crate::catalog::{Catalog, Effects};
use crate::command::{KvOp, KvVerb, TxnOp};
use crate::kv::{KvResult, invalid_session};
use crate::outcome::{Outcome, TxnError, TxnResult};
use crate::quoted::Quoted;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use proconsul_types::{CatalogIndex, Fault, KvPair};

impl Catalog {
    pub(crate) fn apply_txn(
        &mut self,
        index: CatalogIndex,
        ops: &[TxnOp],
        effects: &mut Effects,
    ) -> Outcome {
        let before = self.clone();
        let mut results = Vec::new();
        let mut errors = Vec::new();
        for (number, op) in (0_u32..).zip(ops) {
            if let Err(text) = self.txn_op(index, op, &mut results, effects) {
                errors.push(TxnError { op: number, text });
            }
        }
        if errors.is_empty() {
            return Outcome::Txn(results);
        }
        if !self.planted.is(Fault::TxnPartial) {
            *self = before;
            *effects = Effects::default();
        }
        Outcome::TxnFailed(errors)
    }

    /// What a transaction of reads alone answers, without a write.
    #[must_use]
    pub fn txn_read(&self, ops: &[TxnOp]) -> Outcome {
        assert!(!ops.iter().any(TxnOp::writes), "a transaction that writes goes through the log");
        let mut copy = self.clone();
        copy.apply_txn(self.index, ops, &mut Effects::default())
    }

    /// Why a transaction would fail if it were applied now. Nothing changes.
    #[must_use]
    pub fn txn_trial(&self, ops: &[TxnOp]) -> Vec<TxnError> {
        let mut copy = self.clone();
        let next = CatalogIndex(self.index.0 + 1);
        copy.apply_txn(next, ops, &mut Effects::default()).into_txn_errors()
    }

    fn txn_op(
        &mut self,
        index: CatalogIndex,
        op: &TxnOp,
        results: &mut Vec<TxnResult>,
        effects: &mut Effects,
    ) -> Result<(), String> {
        match op {
            TxnOp::Write(op) => {
                self.txn_write(index, op, effects)?;
                let deletes = match op.verb {
                    KvVerb::Delete | KvVerb::DeleteCas(_) | KvVerb::DeleteTree => true,
                    KvVerb::Set | KvVerb::Cas(_) | KvVerb::Acquire(_) | KvVerb::Release(_) => false,
                };
                if !deletes && let Some(pair) = self.kv_get(&op.key) {
                    results.push(without_value(pair));
                }
            }
            TxnOp::Get(key) => {
                let name = Quoted(key);
                let pair = self.kv_get(key).ok_or_else(|| format!("key {name} doesn't exist"))?;
                results.push(TxnResult::Pair { pair: pair.clone(), with_value: true });
            }
            TxnOp::GetTree(prefix) => {
                let shown =
                    |pair: &KvPair| TxnResult::Pair { pair: pair.clone(), with_value: true };
                results.extend(self.kv_prefix(prefix).map(shown));
            }
            TxnOp::CheckIndex(key, expected) => {
                let name = Quoted(key);
                let pair = self
                    .kv_get(key)
                    .ok_or_else(|| format!("failed to check index, key {name} doesn't exist"))?;
                if pair.modified.0 != *expected {
                    return Err(format!(
                        "failed index check for key {name}, current modify index {} != {expected}",
                        pair.modified
                    ));
                }
                results.push(without_value(pair));
            }
            TxnOp::CheckSession(key, expected) => {
                results.push(self.txn_holder(key, &format!("{expected}"))?);
            }
            TxnOp::CheckHolder(key, expected) => results.push(self.txn_holder(key, expected)?),
            TxnOp::CheckNotExists(key) => {
                let name = Quoted(key);
                if self.kv_get(key).is_some() {
                    return Err(format!("key {name} exists"));
                }
            }
            TxnOp::Node(verb, node) => {
                results.extend(self.txn_node(index, *verb, node, effects)?);
            }
            TxnOp::Service(verb, node, service) => {
                results.extend(self.txn_service(index, *verb, node, service, effects)?);
            }
            TxnOp::Check(verb, node, check) => {
                results.extend(self.txn_check(index, *verb, node, check, effects)?);
            }
        }
        Ok(())
    }

    /// Whether the holder of a key is written like `expected`: empty for nobody.
    fn txn_holder(&self, key: &Arc<str>, expected: &str) -> Result<TxnResult, String> {
        let name = Quoted(key);
        let pair = self
            .kv_get(key)
            .ok_or_else(|| format!("failed to check session, key {name} doesn't exist"))?;
        let current = pair.session.map(|id| format!("{id}")).unwrap_or_default();
        if current != expected {
            return Err(format!(
                "failed session check for key {name}, current session \"{current}\" != {}",
                Quoted(expected)
            ));
        }
        Ok(without_value(pair))
    }

    fn txn_write(
        &mut self,
        index: CatalogIndex,
        op: &KvOp,
        effects: &mut Effects,
    ) -> Result<(), String> {
        let name = Quoted(&op.key);
        match self.write(index, op, effects) {
            KvResult::Done | KvResult::Answer(true) => Ok(()),
            KvResult::Delayed => Err(format!("failed to lock key {name} due to lock delay")),
            KvResult::NoSession(id) => Err(invalid_session(id)),
            KvResult::Answer(false) => Err(match op.verb {
                KvVerb::DeleteCas(_) => format!("failed to delete key {name}, index is stale"),
                KvVerb::Acquire(_) => {
                    format!("failed to lock key {name}, lock is already held")
                }
                KvVerb::Release(_) => format!(
                    "failed to unlock key {name}, lock isn't held, or is held by another session"
                ),
                KvVerb::Cas(_) | KvVerb::Set | KvVerb::Delete | KvVerb::DeleteTree => {
                    format!("failed to set key {name}, index is stale")
                }
            }),
        }
    }
}

fn without_value(pair: &KvPair) -> TxnResult {
    TxnResult::Pair { pair: KvPair { value: Arc::from([]), ..pair.clone() }, with_value: false }
}
