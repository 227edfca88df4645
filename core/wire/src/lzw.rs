//! LZW as Go's `compress/lzw` writes it for memberlist: bits from the lowest, 8-bit literals,
//! codes of 9 to 12 bits whose width grows when the next free code reaches a power of two.
//!
//! The stream begins with a clear code and ends with an end code. The writer clears its table when
//! the next free code reaches 4095, one earlier than others do, so its bytes are its own. (Older
//! releases of Go left the opening clear code out, and readers do not miss it.)

use alloc::vec;
use alloc::vec::Vec;

/// Forget the table.
const CLEAR: u32 = 256;
/// Nothing follows.
const END: u32 = 257;
/// The first code that stands for several bytes.
const FREE: u32 = 258;
/// Bits of the first codes.
const WIDTH_MIN: u32 = 9;
/// Bits of the last codes.
const WIDTH_MAX: u32 = 12;
/// The writer clears its table when it would use this code.
const CODE_MAX: u32 = (1 << WIDTH_MAX) - 1;
/// Entries of the reader's table.
const ENTRIES: usize = 1 << WIDTH_MAX;

/// Packs bytes.
pub(crate) fn pack(plain: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(plain.len());
    writer.emit(CLEAR);
    writer.pack(plain)
}

/// Packs bytes as older releases of Go do.
#[cfg(test)]
fn pack_unopened(plain: &[u8]) -> Vec<u8> {
    Writer::new(plain.len()).pack(plain)
}

/// A table index from a number of at most 32 bits.
fn index(number: u32) -> usize {
    usize::try_from(number).expect("a pointer has at least 32 bits")
}

/// The state of packing.
struct Writer {
    out: Vec<u8>,
    bits: u32,
    count: u32,
    width: u32,
    /// The last code in use.
    high: u32,
    /// Open addressing: key (20 bits) and code (12 bits); 0 is free, as no entry's code is 0.
    /// Sized for the input, so that packing a short message is cheap.
    table: Vec<u32>,
}

impl Writer {
    fn new(length: usize) -> Self {
        let slots = length.saturating_mul(2).clamp(64, 2 * ENTRIES).next_power_of_two();
        Self {
            out: Vec::with_capacity(length / 2 + 16),
            bits: 0,
            count: 0,
            width: WIDTH_MIN,
            high: END,
            table: vec![0; slots],
        }
    }

    /// Writes everything, and the end.
    fn pack(mut self, plain: &[u8]) -> Vec<u8> {
        if let Some((&first, rest)) = plain.split_first() {
            let mut code = u32::from(first);
            for &byte in rest {
                let key = (code << 8) | u32::from(byte);
                match self.find(key) {
                    Ok(longer) => code = longer,
                    Err(slot) => {
                        self.emit(code);
                        code = u32::from(byte);
                        if self.grow() {
                            self.table[slot] = (key << WIDTH_MAX) | self.high;
                        }
                    }
                }
            }
            self.emit(code);
            self.grow();
        }
        self.emit(END);
        self.finish()
    }

    /// The code of a key, or the free slot where it belongs.
    fn find(&self, key: u32) -> Result<u32, usize> {
        let mask = self.table.len() - 1;
        let mut slot = index(key.wrapping_mul(0x9e37_79b1) >> 15) & mask;
        loop {
            let entry = self.table[slot];
            if entry == 0 {
                return Err(slot);
            }
            if entry >> WIDTH_MAX == key {
                return Ok(entry & CODE_MAX);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Writes a code, lowest bits first.
    fn emit(&mut self, code: u32) {
        self.bits |= code << self.count;
        self.count += self.width;
        while self.count >= 8 {
            let [low, ..] = self.bits.to_le_bytes();
            self.out.push(low);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Takes the next code into use; false if there was none and everything starts over.
    fn grow(&mut self) -> bool {
        self.high += 1;
        if self.high == 1 << self.width {
            self.width += 1;
        }
        if self.high < CODE_MAX {
            return true;
        }
        self.emit(CLEAR);
        self.width = WIDTH_MIN;
        self.high = END;
        self.table.fill(0);
        false
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let [low, ..] = self.bits.to_le_bytes();
            self.out.push(low);
        }
        self.out
    }
}

/// Unpacks bytes; `None` if they are broken, end too early, or give more than `limit`. What
/// follows the end code is ignored.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut bytes = packed.iter();
    let (mut bits, mut count, mut width) = (0_u32, 0_u32, WIDTH_MIN);
    let mut out: Vec<u8> = Vec::new();
    // Where in `out` the bytes of each code from the first free one stand, and how many they are.
    let mut table: Vec<(usize, usize)> = Vec::with_capacity(packed.len().min(ENTRIES));
    // Where the bytes of the code before stand; none if it defines nothing with this one.
    let mut last: Option<(usize, usize)> = None;
    loop {
        while count < width {
            bits |= u32::from(*bytes.next()?) << count;
            count += 8;
        }
        let code = bits & ((1 << width) - 1);
        bits >>= width;
        count -= width;
        let start = out.len();
        if let Ok(literal) = u8::try_from(code) {
            out.push(literal);
        } else if code == CLEAR {
            table.clear();
            (width, last) = (WIDTH_MIN, None);
            continue;
        } else if code == END {
            return Some(out);
        } else {
            let place = index(code - FREE);
            let (from, length) = match table.get(place) {
                Some(&known) => known,
                // The code that this very step defines: the last bytes, and their first again.
                None if place == table.len() => last.map(|(from, length)| (from, length + 1))?,
                None => return None,
            };
            if length > limit.saturating_sub(out.len()) {
                return None;
            }
            let there = length.min(start - from);
            out.extend_from_within(from..from + there);
            if there < length {
                out.push(out[from]);
            }
        }
        if out.len() > limit {
            return None;
        }
        if let Some((from, length)) = last {
            // Those bytes and the first of these stand together in `out`.
            table.push((from, length + 1));
        }
        last = Some((start, out.len() - start));
        if index(FREE) + table.len() == 1 << width {
            if width == WIDTH_MAX {
                // The table stays full until it is cleared.
                last = None;
            } else {
                width += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
