//! Paths before anyone asks what they name: whether they can be read at all, and how they are
//! written without detours.

use alloc::string::String;
use alloc::vec::Vec;

/// Whether a path stands for itself: nearly all do, and one look at each byte tells.
pub(crate) fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let is_letter = matches!(byte, b'!'..=b'~') && byte != b'%';
            let is_odd = before == b'/' && matches!(byte, b'/' | b'.');
            before = byte;
            is_letter && !is_odd
        })
}

/// Whether a path holds empty or dotted segments.
pub(crate) fn needs_cleaning(path: &str) -> bool {
    !path.starts_with('/')
        || path.contains("//")
        || path.split('/').any(|segment| segment == "." || segment == "..")
}

/// The path without empty or dotted segments; a slash at the end stays.
pub(crate) fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::from("/");
    out.push_str(&kept.join("/"));
    if path.ends_with('/') && !out.ends_with('/') {
        out.push('/');
    }
    out
}

pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::percent_is_sound;

    #[test]
    fn cleaning_is_that_of_a_file_path() {
        for (path, wanted) in [
            ("/v1//kv/x", "/v1/kv/x"),
            ("/v1/kv/a/../b", "/v1/kv/b"),
            ("/v1/kv/a/./b/", "/v1/kv/a/b/"),
            ("/../..", "/"),
            ("", "/"),
        ] {
            assert!(needs_cleaning(path), "{path}");
            assert_eq!(clean(path), wanted);
        }
        assert!(!needs_cleaning("/v1/kv/..a/b."));
    }

    #[test]
    fn a_plain_path_is_one_that_nothing_is_wrong_with() {
        for path in ["/", "/v1/kv/", "/v1/kv/a..b/c.", "/v1/kv/\u{61}~!"] {
            assert!(is_plain(path), "{path}");
            assert!(!needs_cleaning(path) && percent_is_sound(path));
            assert!(!path.contains('%') && !path.chars().any(is_unprintable));
        }
        for path in
            ["", "v1", "/v1//x", "/v1/./x", "/v1/..", "/a%41", "/a%", "/\u{e9}", "/\n", "/ "]
        {
            assert!(!is_plain(path), "{path}");
        }
    }
}
