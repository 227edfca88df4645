//! HCL as people write it on one line: `a = 1 b = 2`, `ports { http = 1 dns = 2 }`.
//!
//! The first version of the language took it, the second wants a line for each. So what the parser
//! refuses is cut into lines and tried again.

use alloc::string::String;
use alloc::vec::Vec;

/// What stands before a place in the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing of this line.
    Start,
    /// A value, or the end of one: only a new line or a separator may follow.
    Value,
    /// A name or a label: `{`, `=` or another label follows.
    Name,
    /// `=`, `:`, `,`, `[`, `(`: a value follows.
    Sign,
}

/// The same text with a line for each attribute and block.
pub(crate) fn in_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 16);
    // For each open brace, whether it is a block's.
    let mut open: Vec<bool> = Vec::new();
    let mut before = Before::Start;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest));
        let is_word = first.is_alphanumeric() || matches!(first, '_' | '"' | '-');
        let is_comment = token.len() > 1 && matches!(first, '#' | '/');
        match first {
            '\n' => before = Before::Start,
            _ if first.is_whitespace() || is_comment => {}
            '{' => {
                let is_block = before == Before::Name;
                open.push(is_block);
                lines.push_str(token);
                if is_block {
                    lines.push('\n');
                }
                before = Before::Start;
                rest = after;
                continue;
            }
            '}' => {
                if open.pop() == Some(true) {
                    lines.push('\n');
                }
                before = Before::Value;
            }
            ']' | ')' => before = Before::Value,
            _ if is_word && before == Before::Sign => before = Before::Value,
            _ if is_word => {
                if before == Before::Value {
                    lines.push('\n');
                }
                before = Before::Name;
            }
            _ => before = Before::Sign,
        }
        lines.push_str(token);
        rest = after;
    }
    lines
}

/// How many bytes the text's first token has.
fn token_length(text: &str) -> usize {
    let mut letters = text.char_indices();
    let Some((_, first)) = letters.next() else { return 0 };
    let until = |end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    if text.starts_with("/*") {
        return until("*/");
    }
    if first == '#' || text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("<<") {
        // A heredoc ends at a line that holds its name alone.
        let name = text.lines().next().unwrap_or_default().trim_start_matches(['<', '-']).trim();
        let mut end = 0;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if number > 0 && line.trim() == name {
                return end + line.trim_end().len();
            }
            end += line.len();
        }
        return end;
    }
    if first == '"' {
        let mut escaped = false;
        for (at, letter) in letters {
            match letter {
                '"' if !escaped => return at + 1,
                _ => escaped = letter == '\\' && !escaped,
            }
        }
        return text.len();
    }
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if is_part(first) {
        return text.find(|letter| !is_part(letter)).unwrap_or(text.len());
    }
    first.len_utf8()
}
