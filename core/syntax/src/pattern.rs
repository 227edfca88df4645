//! Regular expressions: RE2's language, unanchored, with Go's words for what is wrong with them.

use alloc::format;
use alloc::string::{String, ToString};
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled expression; a larger one is refused.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Whether it is found anywhere in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Compiles an expression.
///
/// # Errors
/// Go's text: `error parsing regexp: ...`.
pub fn compile(text: &str) -> Result<Pattern, String> {
    let built = RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build();
    let refuse = |reason: String| format!("error parsing regexp: {reason}");
    if let Some(operators) = nested_repetition(text) {
        return Err(refuse(format!("invalid nested repetition operator: `{operators}`")));
    }
    built.map(Pattern).map_err(|error| refuse(reason(text, &error.to_string())))
}

/// Go's words for the library's; where they have none in common, the library's last line.
fn reason(text: &str, error: &str) -> String {
    let last = error.lines().last().unwrap_or(error).trim_start_matches("error: ");
    let part = underlined(text, error);
    let go = [
        ("unclosed group", "missing closing )", text),
        ("unopened group", "unexpected )", text),
        ("unclosed character class", "missing closing ]", from_class(text)),
        ("repetition operator missing", "missing argument to repetition operator", part),
        ("look-around", "invalid or unsupported Perl syntax", part),
        ("invalid repetition count range", "invalid repeat count", part),
        ("incomplete escape sequence", "trailing backslash at end of expression", ""),
        ("unrecognized escape", "invalid escape sequence", part),
        ("backreferences", "invalid escape sequence", part),
        ("invalid character class range", "invalid character class range", part),
        ("capture group name", "invalid named capture", text),
        ("exceeds size limit", "expression too large", text),
    ];
    match go.iter().find(|(library, ..)| error.contains(library)) {
        Some((_, reason, shown)) => format!("{reason}: `{shown}`"),
        None => last.to_string(),
    }
}

fn from_class(text: &str) -> &str {
    text.find('[').map_or(text, |at| &text[at..])
}

/// The part of `text` that the library's message underlines (one line only).
fn underlined<'a>(text: &'a str, error: &str) -> &'a str {
    let mark = error.lines().find(|line| line.trim_start().starts_with('^'));
    let Some(mark) = mark else { return text };
    // The library indents the expression by four columns.
    let start = mark.find('^').unwrap_or(0).saturating_sub(4);
    let length = mark.matches('^').count();
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let from = places.nth(start).unwrap_or(0);
    let to = length.checked_sub(1).and_then(|more| places.nth(more)).unwrap_or(text.len());
    text.get(from..to).unwrap_or(text)
}

/// Two repetition operators in a row, which RE2 refuses and the library allows (`?` after one makes
/// it lazy).
fn nested_repetition(text: &str) -> Option<&str> {
    let mut class = false;
    let mut escaped = false;
    let mut run: Option<(usize, bool)> = None;
    for (at, c) in text.char_indices() {
        if escaped || class {
            class &= escaped || c != ']';
            escaped = !escaped && c == '\\';
            run = None;
            continue;
        }
        match (c, run) {
            ('*' | '+', Some((start, _))) | ('?', Some((start, true))) => {
                return Some(&text[start..=at]);
            }
            ('?', Some((start, false))) => run = Some((start, true)),
            // A `?` right after `(` opens a group's flags.
            ('*' | '+', None) => run = Some((at, false)),
            ('?', None) if !text[..at].ends_with('(') => run = Some((at, false)),
            _ => run = None,
        }
        class = c == '[';
        escaped = c == '\\';
    }
    None
}
