//! How records are filed: rows, keys made of several texts, and names without case.

use crate::radix::Keyed;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

/// A record filed under a key that is not part of it.
#[derive(Clone, Debug)]
pub(crate) struct Row<V> {
    key: Box<[u8]>,
    /// The record.
    pub value: V,
}

impl<V> Row<V> {
    pub(crate) fn new(key: &[u8], value: V) -> Arc<Self> {
        Arc::new(Self { key: key.into(), value })
    }
}

impl<V> Keyed for Row<V> {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The form under which a name is found: lower case.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

/// The folded name as a shared text; the name itself if it is folded already.
pub(crate) fn fold_arc(name: &Arc<str>) -> Arc<str> {
    match fold(name) {
        Cow::Borrowed(_) => Arc::clone(name),
        Cow::Owned(folded) => Arc::from(folded),
    }
}

/// A key in the making. Most are short, and every look-up makes one: those take no memory.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    short: [u8; SHORT_MAX],
    short_len: usize,
    /// The whole key, once it is longer than that.
    long: Vec<u8>,
}

const SHORT_MAX: usize = 72;

impl Key {
    pub(crate) fn new() -> Self {
        Self { short: [0; SHORT_MAX], short_len: 0, long: Vec::new() }
    }

    /// Appends bytes as they are.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.short_len + bytes.len();
        if self.long.is_empty() && end <= SHORT_MAX {
            self.short[self.short_len..end].copy_from_slice(bytes);
            self.short_len = end;
            return;
        }
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short[..self.short_len]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// Appends `part` and a terminator. Keys sort as the tuples of their parts do, and no two
    /// tuples make the same key: 0 ends a part, and 0 and 1 inside one are escaped by 1.
    fn push_part(&mut self, part: &str) {
        if part.bytes().any(|byte| byte <= 1) {
            for byte in part.bytes() {
                match byte {
                    0 => self.push(&[1, 1]),
                    1 => self.push(&[1, 2]),
                    other => self.push(&[other]),
                }
            }
        } else {
            self.push(part.as_bytes());
        }
        self.push(&[0]);
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.short_len] } else { &self.long }
    }
}

/// The key of a tuple of texts.
pub(crate) fn key_of(parts: &[&str]) -> Key {
    let mut key = Key::new();
    for part in parts {
        key.push_part(part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_distinct_as_their_parts() {
        assert_ne!(*key_of(&["a\0b", "c"]), *key_of(&["a", "b\0c"]));
        assert_ne!(*key_of(&["a\u{1}", "c"]), *key_of(&["a", "\u{1}c"]));
        assert!(*key_of(&["a", "z"]) < *key_of(&["a\0", "a"]));
        assert!(*key_of(&["a", "z"]) < *key_of(&["ab", "a"]));
    }

    #[test]
    fn long_keys_are_like_short_ones() {
        for len in 0..3 * SHORT_MAX {
            let text = "x".repeat(len);
            let key = key_of(&[&text, "y"]);
            assert_eq!(*key, *[text.as_bytes(), b"\0y\0"].concat());
        }
    }

    #[test]
    fn names_fold() {
        assert_eq!(fold("Web"), "web");
        assert_eq!(fold("web-1"), "web-1");
        assert_eq!(fold("\u{c4}"), "\u{e4}");
    }
}
