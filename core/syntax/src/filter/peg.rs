//! Matching with memory of where it failed furthest: what error texts are made of.
//!
//! Clients see "no match found, expected: ..." with every text that would have let the parser go
//! on from the furthest place it reached, so the grammar is followed rule by rule, alternatives
//! included.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A place in the text and what was expected there.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// Byte offset of the next character.
    pub(crate) at: usize,
    furthest: usize,
    expected: BTreeSet<&'static str>,
    expected_end: bool,
    inverted: bool,
    errors: Vec<String>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            furthest: 0,
            expected: BTreeSet::new(),
            expected_end: false,
            inverted: false,
            errors: Vec::new(),
        }
    }

    pub(crate) fn slice(&self, from: usize) -> &'a str {
        &self.text[from..self.at]
    }

    fn next(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// Notes what was wanted at the cursor, if it was not found (or, inside [`Self::not`], was).
    fn note(&mut self, found: bool, place: usize, wanted: &'static str) {
        if found != self.inverted || place < self.furthest {
            return;
        }
        if place > self.furthest {
            self.furthest = place;
            self.expected.clear();
            self.expected_end = false;
        }
        // Inverted expectations other than the end of the text do not occur at the furthest place
        // of an expression without errors of its own.
        if self.inverted {
            self.expected_end |= wanted == ".";
        } else {
            self.expected.insert(wanted);
        }
    }

    /// The literal `text`; `shown` is how errors show it.
    pub(crate) fn literal(&mut self, text: &str, shown: &'static str) -> bool {
        let found = self.text[self.at..].starts_with(text);
        self.note(found, self.at, shown);
        if found {
            self.at += text.len();
        }
        found
    }

    /// One character of a class; `shown` is how errors show the class.
    pub(crate) fn class(&mut self, class: impl Fn(char) -> bool, shown: &'static str) -> bool {
        let next = self.next().filter(|next| class(*next));
        self.note(next.is_some(), self.at, shown);
        self.at += next.map_or(0, char::len_utf8);
        next.is_some()
    }

    /// Any character but `end`, as often as there are some.
    pub(crate) fn until(&mut self, end: char, shown: &'static str) {
        loop {
            let start = self.at;
            self.inverted = !self.inverted;
            let stop = self.literal(end.encode_utf8(&mut [0; 4]), shown);
            self.inverted = !self.inverted;
            self.at = start;
            if stop || !self.any() {
                return;
            }
        }
    }

    fn any(&mut self) -> bool {
        let next = self.next();
        self.note(next.is_some(), self.at, ".");
        self.at += next.map_or(0, char::len_utf8);
        next.is_some()
    }

    /// The end of the text.
    pub(crate) fn end(&mut self) -> bool {
        !self.not(Self::any)
    }

    /// Whether `rule` matches here, without moving; failures count the other way round.
    pub(crate) fn not(&mut self, rule: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = self.at;
        self.inverted = !self.inverted;
        let found = rule(self);
        self.inverted = !self.inverted;
        self.at = start;
        found
    }

    /// Blanks, at least one.
    pub(crate) fn space(&mut self) -> bool {
        let start = self.at;
        while self.class(|c| matches!(c, ' ' | '\t' | '\r' | '\n'), "[ \\t\\r\\n]") {}
        self.at > start
    }

    /// Blanks, if any. Always true, to stand in a chain.
    pub(crate) fn optional_space(&mut self) -> bool {
        self.space();
        true
    }

    /// An error of rule `rule` at `place`; the parse fails in the end, whatever else is found.
    pub(crate) fn error(&mut self, place: usize, rule: &str, reason: &str) {
        let text = format!("{}: rule \"{rule}\": {reason}", self.position(place));
        if !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    /// The errors found, or, if there were none, what was expected.
    pub(crate) fn failure(self) -> String {
        if !self.errors.is_empty() {
            return self.errors.join("\n");
        }
        let mut expected: Vec<&str> = self.expected.iter().copied().collect();
        if self.expected_end {
            expected.push("EOF");
        }
        let list = match expected.split_last() {
            None => String::new(),
            Some((only, [])) => (*only).to_string(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        };
        format!("{}: no match found, expected: {list}", self.position(self.furthest))
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Line, column and offset of a place, as errors begin.
    fn position(&self, place: usize) -> String {
        let before = &self.text[..place];
        let line = before.matches('\n').count() + 1;
        let in_line = before.rsplit('\n').next().unwrap_or(before);
        format!("{line}:{} ({place})", in_line.chars().count() + 1)
    }
}
