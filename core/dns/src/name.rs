//! Names as labels.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest label on the wire.
const LABEL_BYTES_MAX: usize = 63;
/// Longest name on the wire, its end included.
const NAME_BYTES_MAX: usize = 255;

/// The labels before `domain`, if a name is inside it. An empty domain holds nothing.
pub(crate) fn inside<'a>(labels: &'a [String], domain: &str) -> Option<&'a [String]> {
    let domain = domain.trim_end_matches('.');
    if domain.is_empty() {
        return None;
    }
    let mut rest = labels;
    for part in domain.rsplit('.') {
        let (last, before) = rest.split_last()?;
        if !last.eq_ignore_ascii_case(part) {
            return None;
        }
        rest = before;
    }
    Some(rest)
}

/// Appends a name in full. False, and nothing appended, if it cannot stand in a message.
pub(crate) fn push_name(out: &mut Vec<u8>, parts: &[&str]) -> bool {
    let start = out.len();
    for label in parts.iter().flat_map(|part| part.trim_end_matches('.').split('.')) {
        let Some(length) =
            u8::try_from(label.len()).ok().filter(|_| (1..=LABEL_BYTES_MAX).contains(&label.len()))
        else {
            out.truncate(start);
            return false;
        };
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    if out.len() - start > NAME_BYTES_MAX {
        out.truncate(start);
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_name_is_inside_by_whole_labels() {
        let labels = |text: &str| text.split('.').map(String::from).collect::<Vec<_>>();
        assert_eq!(
            inside(&labels("web.service.consul"), "consul."),
            Some(&labels("web.service")[..])
        );
        assert_eq!(inside(&labels("a.kit.test"), "KIT.test"), Some(&labels("a")[..]));
        assert_eq!(inside(&labels("a.xconsul"), "consul"), None);
        assert_eq!(inside(&labels("a.consul"), ""), None);
    }

    #[test]
    fn what_is_no_name_is_not_written() {
        let mut out = vec![7];
        assert!(!push_name(&mut out, &["a..b", "consul"]));
        assert!(!push_name(&mut out, &["x".repeat(64).as_str()]));
        assert!(!push_name(&mut out, &["abcdefg.".repeat(40).as_str()]));
        assert_eq!(out, [7]);
        assert!(push_name(&mut out, &["a.b", "consul."]));
        assert_eq!(out, b"\x07\x01a\x01b\x06consul\x00");
    }
}
