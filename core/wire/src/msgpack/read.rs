//! Reading, as forgiving as the original: any width of integers, unknown keys, missing keys, nil
//! for anything, structs as maps or as arrays.

use super::DecodeError;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A place in the bytes of a message.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Bytes as they stand, or as a list of small numbers.
enum Raw<'a> {
    Nil,
    Slice(&'a [u8]),
    Numbers(Vec<u8>),
}

impl<'a> Cursor<'a> {
    /// At the start of these bytes.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(first)
    }

    /// The next byte, left where it is.
    fn peek(&self) -> Result<u8, DecodeError> {
        self.rest.first().copied().ok_or(DecodeError::Short)
    }

    /// That many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An array of bytes.
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A big-endian length of one byte.
    fn length8(&mut self) -> Result<usize, DecodeError> {
        self.byte().map(usize::from)
    }

    /// A big-endian length of two bytes.
    pub(crate) fn length16(&mut self) -> Result<usize, DecodeError> {
        self.fixed().map(u16::from_be_bytes).map(usize::from)
    }

    /// A big-endian length of four bytes.
    pub(crate) fn length32(&mut self) -> Result<usize, DecodeError> {
        let length = u32::from_be_bytes(self.fixed()?);
        usize::try_from(length).map_err(|_| DecodeError::Range)
    }

    /// Steps over one value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut scanner = super::Scanner::default();
        scanner.expect(1);
        match scanner.advance(self.rest) {
            Some(length) => self.take(length).map(|_| ()),
            None => Err(DecodeError::Short),
        }
    }

    /// Reads a struct: calls `field` with the place in `declared` of each field that is there.
    /// The cursor then stands at the field's value, which `field` must read.
    pub(crate) fn fields(
        &mut self,
        declared: &[&str],
        mut field: impl FnMut(usize, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let marker = self.byte()?;
        let pairs = match marker {
            0xc0 => return Ok(()),
            0x80..=0x8f => usize::from(marker & 0x0f),
            0xde => self.length16()?,
            0xdf => self.length32()?,
            0x90..=0x9f => return self.positional(usize::from(marker & 0x0f), declared, field),
            0xdc => {
                let count = self.length16()?;
                return self.positional(count, declared, field);
            }
            0xdd => {
                let count = self.length32()?;
                return self.positional(count, declared, field);
            }
            other => return Err(DecodeError::Mismatch(other)),
        };
        for _ in 0..pairs {
            let key = self.text_bytes()?;
            match declared.iter().position(|name| name.as_bytes() == key) {
                Some(index) => field(index, self)?,
                None => self.skip()?,
            }
        }
        Ok(())
    }

    /// A struct as a list in the order of declaration; more are stepped over.
    fn positional(
        &mut self,
        count: usize,
        declared: &[&str],
        mut field: impl FnMut(usize, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for index in 0..count {
            if index < declared.len() {
                field(index, self)?;
            } else {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// How many values a list has; `None` for nil. They follow.
    pub(crate) fn array(&mut self) -> Result<Option<usize>, DecodeError> {
        match self.byte()? {
            0xc0 => Ok(None),
            marker @ 0x90..=0x9f => Ok(Some(usize::from(marker & 0x0f))),
            0xdc => self.length16().map(Some),
            0xdd => self.length32().map(Some),
            other => Err(DecodeError::Mismatch(other)),
        }
    }

    /// How many pairs a map has (nil: none). They follow.
    pub(crate) fn map(&mut self) -> Result<usize, DecodeError> {
        match self.byte()? {
            0xc0 => Ok(0),
            marker @ 0x80..=0x8f => Ok(usize::from(marker & 0x0f)),
            0xde => self.length16(),
            0xdf => self.length32(),
            other => Err(DecodeError::Mismatch(other)),
        }
    }

    /// An integer of any width and sign.
    fn integer(&mut self) -> Result<i128, DecodeError> {
        Ok(match self.byte()? {
            0xc0 => 0,
            marker @ 0..=0x7f => i128::from(marker),
            marker @ 0xe0..=0xff => i128::from(i8::from_be_bytes([marker])),
            0xcc => i128::from(self.byte()?),
            0xcd => i128::from(u16::from_be_bytes(self.fixed()?)),
            0xce => i128::from(u32::from_be_bytes(self.fixed()?)),
            0xcf => i128::from(u64::from_be_bytes(self.fixed()?)),
            0xd0 => i128::from(i8::from_be_bytes(self.fixed()?)),
            0xd1 => i128::from(i16::from_be_bytes(self.fixed()?)),
            0xd2 => i128::from(i32::from_be_bytes(self.fixed()?)),
            0xd3 => i128::from(i64::from_be_bytes(self.fixed()?)),
            other => return Err(DecodeError::Mismatch(other)),
        })
    }

    /// An integer that must fit.
    pub(crate) fn number<T: TryFrom<i128>>(&mut self) -> Result<T, DecodeError> {
        self.integer().and_then(|value| T::try_from(value).map_err(|_| DecodeError::Range))
    }

    /// A truth; 0 and 1 stand for it too.
    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0xc0 | 0xc2 | 0 => Ok(false),
            0xc3 | 1 => Ok(true),
            other => Err(DecodeError::Mismatch(other)),
        }
    }

    /// A floating-point number; integers stand for one too.
    #[expect(clippy::as_conversions, reason = "the nearest float of an integer has no other form")]
    pub(crate) fn float(&mut self) -> Result<f64, DecodeError> {
        match self.peek()? {
            0xca => {
                self.byte()?;
                Ok(f64::from(f32::from_be_bytes(self.fixed()?)))
            }
            0xcb => {
                self.byte()?;
                Ok(f64::from_be_bytes(self.fixed()?))
            }
            _ => Ok(self.integer()? as f64),
        }
    }

    /// The bytes of a text. The binary family is refused.
    pub(crate) fn text_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let marker = self.byte()?;
        let length = match marker {
            0xc0 => 0,
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xd9 => self.length8()?,
            0xda => self.length16()?,
            0xdb => self.length32()?,
            other => return Err(DecodeError::Mismatch(other)),
        };
        self.take(length)
    }

    /// A text to share. What is not UTF-8 in it becomes the replacement character.
    pub(crate) fn text(&mut self) -> Result<Arc<str>, DecodeError> {
        let bytes = self.text_bytes()?;
        if bytes.is_empty() {
            return Ok(Arc::default());
        }
        Ok(core::str::from_utf8(bytes)
            .map_or_else(|_| Arc::from(String::from_utf8_lossy(bytes)), Arc::from))
    }

    /// A text to own.
    pub(crate) fn string(&mut self) -> Result<String, DecodeError> {
        self.text_bytes().map(|bytes| String::from_utf8_lossy(bytes).to_string())
    }

    /// Bytes: of the text or the binary family, a list of small numbers, or nil.
    fn any_raw(&mut self) -> Result<Raw<'a>, DecodeError> {
        let length = match self.peek()? {
            0xc0 => {
                self.byte()?;
                return Ok(Raw::Nil);
            }
            0xc4 => {
                self.byte()?;
                self.length8()?
            }
            0xc5 => {
                self.byte()?;
                self.length16()?
            }
            0xc6 => {
                self.byte()?;
                self.length32()?
            }
            0x90..=0x9f | 0xdc | 0xdd => {
                let count = self.array()?.expect("the marker is a list's");
                let mut numbers = Vec::with_capacity(count.min(self.rest.len()));
                for _ in 0..count {
                    numbers.push(self.number()?);
                }
                return Ok(Raw::Numbers(numbers));
            }
            _ => return self.text_bytes().map(Raw::Slice),
        };
        self.take(length).map(Raw::Slice)
    }

    /// Bytes to share; `None` for nil.
    pub(crate) fn raw(&mut self) -> Result<Option<Bytes>, DecodeError> {
        Ok(match self.any_raw()? {
            Raw::Nil => None,
            Raw::Slice(bytes) => Some(Bytes::copy_from_slice(bytes)),
            Raw::Numbers(bytes) => Some(Bytes::from(bytes)),
        })
    }

    /// Bytes to own; nil is empty.
    pub(crate) fn raw_vec(&mut self) -> Result<Vec<u8>, DecodeError> {
        Ok(match self.any_raw()? {
            Raw::Nil => Vec::new(),
            Raw::Slice(bytes) => bytes.to_vec(),
            Raw::Numbers(bytes) => bytes,
        })
    }

    /// An address; `None` if the bytes are neither 4 nor 16. The mapped form stays as it is:
    /// memberlist tells it apart from the short one.
    pub(crate) fn address(&mut self) -> Result<Option<IpAddr>, DecodeError> {
        let raw = self.any_raw()?;
        let bytes = match &raw {
            Raw::Nil => return Ok(None),
            Raw::Slice(bytes) => bytes,
            Raw::Numbers(bytes) => bytes.as_slice(),
        };
        Ok(if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        } else if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        } else {
            None
        })
    }
}
