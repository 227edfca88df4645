//! Stepping over whole values without recursion, also over bytes that come piece by piece.

/// How far the values are that a reader waits for. It holds no bytes and reserves nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scanner {
    /// Bytes of whole values behind.
    at: usize,
    /// Values that must still follow, those inside lists and maps included.
    pending: u64,
}

/// What one marker says: its bytes with the plain content behind it, and the values inside.
struct Token {
    bytes: usize,
    inside: u64,
}

impl Scanner {
    /// Waits for that many more values.
    pub(crate) const fn expect(&mut self, values: u64) {
        self.pending = self.pending.saturating_add(values);
    }

    /// Goes on over `bytes`, the same start as before with perhaps more behind. The length of
    /// all values when they are complete.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.pending > 0 {
            let token = Token::of(bytes.get(self.at..)?)?;
            let next = self.at.checked_add(token.bytes)?;
            if next > bytes.len() {
                return None;
            }
            self.at = next;
            self.pending = (self.pending - 1).saturating_add(token.inside);
        }
        Some(self.at)
    }
}

impl Token {
    /// Reads a marker and its length; `None` if the bytes end before.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (&marker, rest) = bytes.split_first()?;
        let plain = |length: usize| Self { bytes: length, inside: 0 };
        let (width, base, times) = match marker {
            0..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => return Some(plain(1)),
            0x80..=0x8f => {
                return Some(Self { bytes: 1, inside: 2 * u64::from(marker & 0x0f) });
            }
            0x90..=0x9f => return Some(Self { bytes: 1, inside: u64::from(marker & 0x0f) }),
            0xa0..=0xbf => return Some(plain(1 + usize::from(marker & 0x1f))),
            0xcc | 0xd0 => return Some(plain(2)),
            0xcd | 0xd1 => return Some(plain(3)),
            0xca | 0xce | 0xd2 => return Some(plain(5)),
            0xcb | 0xcf | 0xd3 => return Some(plain(9)),
            0xd4 => return Some(plain(3)),
            0xd5 => return Some(plain(4)),
            0xd6 => return Some(plain(6)),
            0xd7 => return Some(plain(10)),
            0xd8 => return Some(plain(18)),
            0xc4 | 0xd9 => (1, 0, 0),
            0xc5 | 0xda => (2, 0, 0),
            0xc6 | 0xdb => (4, 0, 0),
            0xc7 => (1, 1, 0),
            0xc8 => (2, 1, 0),
            0xc9 => (4, 1, 0),
            0xdc => (2, 0, 1),
            0xdd => (4, 0, 1),
            0xde => (2, 0, 2),
            0xdf => (4, 0, 2),
        };
        let length =
            rest.get(..width)?.iter().fold(0_u64, |sum, &byte| (sum << 8) | u64::from(byte));
        Some(if times > 0 {
            Self { bytes: 1 + width, inside: times * length }
        } else {
            let content = usize::try_from(length).unwrap_or(usize::MAX);
            plain(content.saturating_add(1 + width + base))
        })
    }
}
