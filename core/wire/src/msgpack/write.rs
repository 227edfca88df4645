//! Writing: the one form that each value has on output.

use alloc::vec::Vec;
use core::net::IpAddr;

/// Where bytes go. Messages are written through it twice: to count, and to make them.
pub(crate) trait Sink {
    /// Takes bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes one byte.
    fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// Nothing: absent bytes, list, map or struct.
    fn nil(&mut self) {
        self.byte(0xc0);
    }

    /// A truth.
    fn boolean(&mut self, value: bool) {
        self.byte(if value { 0xc3 } else { 0xc2 });
    }

    /// A number that is not negative, in the fewest bytes.
    fn unsigned(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            if value < 0x80 {
                self.byte(value);
            } else {
                self.put(&[0xcc, value]);
            }
        } else if let Ok(value) = u16::try_from(value) {
            let [a, b] = value.to_be_bytes();
            self.put(&[0xcd, a, b]);
        } else if let Ok(value) = u32::try_from(value) {
            let [a, b, c, d] = value.to_be_bytes();
            self.put(&[0xce, a, b, c, d]);
        } else {
            self.byte(0xcf);
            self.put(&value.to_be_bytes());
        }
    }

    /// A number that may be negative, in the fewest bytes.
    fn signed(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.unsigned(value);
        } else if let Ok(value) = i8::try_from(value) {
            let [byte] = value.to_be_bytes();
            if value >= -32 {
                self.byte(byte);
            } else {
                self.put(&[0xd0, byte]);
            }
        } else if let Ok(value) = i16::try_from(value) {
            self.byte(0xd1);
            self.put(&value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.byte(0xd2);
            self.put(&value.to_be_bytes());
        } else {
            self.byte(0xd3);
            self.put(&value.to_be_bytes());
        }
    }

    /// A floating-point number.
    fn float(&mut self, value: f64) {
        self.byte(0xcb);
        self.put(&value.to_be_bytes());
    }

    /// Text or bytes.
    fn raw(&mut self, bytes: &[u8]) {
        self.header(bytes.len(), 0xa0, 32, 0xda);
        self.put(bytes);
    }

    /// Bytes, or nothing.
    fn raw_or_nil(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.raw(bytes),
            None => self.nil(),
        }
    }

    /// An address as its bytes, or nothing.
    fn address(&mut self, address: Option<IpAddr>) {
        match address {
            Some(IpAddr::V4(v4)) => self.raw(&v4.octets()),
            Some(IpAddr::V6(v6)) => self.raw(&v6.octets()),
            None => self.nil(),
        }
    }

    /// Start of a list of that many values.
    fn array(&mut self, count: usize) {
        self.header(count, 0x90, 16, 0xdc);
    }

    /// Start of a map of that many pairs.
    fn map(&mut self, count: usize) {
        self.header(count, 0x80, 16, 0xde);
    }

    /// A length: in the marker if less than `small`, else in two bytes after `wide`, else in four
    /// after the next marker.
    fn header(&mut self, length: usize, marker: u8, small: u8, wide: u8) {
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length), _) if length < small => self.byte(marker | length),
            (_, Ok(length)) => {
                let [a, b] = length.to_be_bytes();
                self.put(&[wide, a, b]);
            }
            (_, Err(_)) => {
                let length = u32::try_from(length).expect("messages are less than 4 GiB");
                let [a, b, c, d] = length.to_be_bytes();
                self.put(&[wide + 1, a, b, c, d]);
            }
        }
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// Counts what would be written.
#[derive(Debug, Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}
