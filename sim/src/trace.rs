//! What happened, as one number: two runs are the same run exactly when their traces are equal.

use crate::draw::mix;

/// A running hash over every event of a world. Mixing formats nothing and allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: 0x70_72_6f_63_6f_6e_73, events: 0 }
    }
}

impl Trace {
    /// Adds an event: when, to whom, of what kind, and a number that says more.
    pub fn event(&mut self, at: u64, who: u64, kind: u64, detail: u64) {
        self.events += 1;
        let word = at ^ (who << 56) ^ (kind << 48);
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.hash = (self.hash.rotate_left(5) ^ detail).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes.chunks_exact(8);
        for word in &mut rest {
            let word = u64::from_le_bytes(word.try_into().expect("chunks of 8 bytes"));
            self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        for byte in rest.remainder() {
            self.hash = (self.hash.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// The number that stands for everything so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        mix(self.hash ^ self.events)
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_detail_matter() {
        let (mut a, mut b) = (Trace::default(), Trace::default());
        a.event(1, 0, 1, 9);
        a.event(1, 1, 1, 9);
        b.event(1, 1, 1, 9);
        b.event(1, 0, 1, 9);
        assert_ne!(a.hash(), b.hash());
        let mut c = Trace::default();
        c.bytes(b"0123456789");
        assert_ne!(c.hash(), Trace::default().hash());
        assert_eq!(a.events(), 2);
    }
}
