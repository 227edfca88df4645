//! Hashes of records, summed up per catalog: two catalogs with equal content have equal sums,
//! whatever the order in which it came about.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use proconsul_types::{KvPair, mix};
use serde::Serialize;

/// A 64-bit hash of a byte stream, eight bytes at a time. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    state: u64,
    pending: u64,
    pending_bytes: u32,
    len: u64,
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Digest {
    /// An empty stream of the table called `domain`.
    pub(crate) fn new(domain: u64) -> Self {
        Self { state: mix(domain ^ MULTIPLIER), pending: 0, pending_bytes: 0, len: 0 }
    }

    fn word(&mut self, word: u64) {
        self.state = mix_fast(self.state ^ word);
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Adds bytes.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        self.len = self.len.wrapping_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while self.pending_bytes != 0 || bytes.len() < 8 {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.pending |= u64::from(*first) << (8 * self.pending_bytes);
            self.pending_bytes += 1;
            if self.pending_bytes == 8 {
                let word = core::mem::take(&mut self.pending);
                self.pending_bytes = 0;
                self.word(word);
            }
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0_u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.pending = u64::from_le_bytes(last);
            self.pending_bytes = u32::try_from(rest.len()).unwrap_or(0);
        }
    }

    /// The hash.
    pub(crate) fn finish(mut self) -> u64 {
        let (pending, len) = (self.pending, self.len);
        self.word(pending);
        self.word(len);
        mix(self.state)
    }
}

impl Writer for &mut Digest {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.bytes(bytes);
        Ok(())
    }
}

/// The hash of a record as it is written into a snapshot.
pub(crate) fn of<T: Serialize>(domain: u64, record: &T) -> u64 {
    let mut digest = Digest::new(domain);
    bincode::serde::encode_into_writer(record, &mut digest, crate::codec::FORM)
        .expect("records have no forms that cannot be written");
    digest.finish()
}

/// The hash of a key and what is stored under it.
pub(crate) fn of_pair(domain: u64, pair: &KvPair) -> u64 {
    let mut digest = Digest::new(domain);
    let len = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    digest.number(pair.flags);
    digest.number(pair.lock_index);
    digest.number(pair.created.0);
    digest.number(pair.modified.0);
    digest.number(u64::from(pair.session.is_some()));
    if let Some(session) = pair.session {
        digest.bytes(&session.0.to_le_bytes());
    }
    digest.number(len(pair.key.len()));
    digest.bytes(&pair.value);
    digest.bytes(pair.key.as_bytes());
    digest.finish()
}

/// One multiplication whose halves are folded together: every input bit reaches every other.
fn mix_fast(word: u64) -> u64 {
    let wide = u128::from(word ^ 0xa076_1d64_78bd_642f) * u128::from(MULTIPLIER);
    let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
    let high = u64::try_from(wide >> 64).unwrap_or(0);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_do_not_matter_and_content_does() {
        let text: [u8; 41] = core::array::from_fn(|n| u8::try_from(n).unwrap());
        let mut whole = Digest::new(1);
        whole.bytes(&text);
        let whole = whole.finish();
        for cut in 0..text.len() {
            let mut parts = Digest::new(1);
            parts.bytes(&text[..cut]);
            parts.bytes(&text[cut..]);
            assert_eq!(parts.finish(), whole);
            let mut shorter = Digest::new(1);
            shorter.bytes(&text[..cut]);
            assert_ne!(shorter.finish(), whole);
        }
        let mut other = Digest::new(2);
        other.bytes(&text);
        assert_ne!(other.finish(), whole);
    }
}
