//! How records are filed: rows, keys made of several texts, and names without case.

use crate::radix::Keyed;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A record filed under a key that is not part of it.
#[derive(Clone, Debug)]
pub(crate) struct Row<V> {
    key: Box<[u8]>,
    /// The record.
    pub value: V,
}

impl<V> Row<V> {
    pub(crate) fn new(key: Vec<u8>, value: V) -> Arc<Self> {
        Arc::new(Self { key: key.into_boxed_slice(), value })
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

/// Appends `part` and a terminator. Keys sort as the tuples of their parts do, and no two tuples
/// make the same key: 0 ends a part, and 0 and 1 inside one are escaped by 1.
pub(crate) fn push_part(key: &mut Vec<u8>, part: &str) {
    if part.bytes().any(|byte| byte <= 1) {
        for byte in part.bytes() {
            match byte {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                other => key.push(other),
            }
        }
    } else {
        key.extend_from_slice(part.as_bytes());
    }
    key.push(0);
}

/// The key of a tuple of texts.
pub(crate) fn key_of(parts: &[&str]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len() + 1).sum();
    let mut key = Vec::with_capacity(len);
    for part in parts {
        push_part(&mut key, part);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_distinct_as_their_parts() {
        assert_ne!(key_of(&["a\0b", "c"]), key_of(&["a", "b\0c"]));
        assert_ne!(key_of(&["a\u{1}", "c"]), key_of(&["a", "\u{1}c"]));
        assert!(key_of(&["a", "z"]) < key_of(&["a\0", "a"]));
        assert!(key_of(&["a", "z"]) < key_of(&["ab", "a"]));
    }

    #[test]
    fn names_fold() {
        assert_eq!(fold("Web"), "web");
        assert_eq!(fold("web-1"), "web-1");
        assert_eq!(fold("\u{c4}"), "\u{e4}");
    }
}
