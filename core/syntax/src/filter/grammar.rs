//! The grammar, rule by rule.
//!
//! ```text
//! input    = [_] "(" [_] or [_] ")" [_] end | [_] or [_] end
//! or       = and _ "or" _ or | and
//! and      = not _ "and" _ and | not
//! not      = "not" _ not | group
//! group    = "(" [_] or [_] ")" | match | "(" [_] or [_] (no ")": error)
//! match    = selector op value | selector is-empty | value in selector | value in (else: error)
//! ```

use super::literal::unquote;
use super::peg::Cursor;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Groups and negations inside one another; a bound for the stack.
const DEPTH_MAX: usize = 100;

/// An expression as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Match { selector: Vec<String>, operator: Operator, value: String },
}

/// What a selector is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

impl Operator {
    /// How errors name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Equal => "Equal",
            Self::NotEqual => "Not Equal",
            Self::In => "In",
            Self::NotIn => "Not In",
            Self::IsEmpty => "Is Empty",
            Self::IsNotEmpty => "Is Not Empty",
            Self::Matches => "Matches",
            Self::NotMatches => "Not Matches",
        }
    }
}

/// Reads a whole expression.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { cursor: Cursor::new(text), seen: BTreeMap::new(), depth: 0 };
    let result = parser.input();
    match result {
        _ if parser.depth > DEPTH_MAX => Err("expression is nested too deeply".to_string()),
        Some(expression) if !parser.cursor.has_errors() => Ok(expression),
        Some(_) | None => Err(parser.cursor.failure()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Or,
    And,
    Not,
    Group,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// What a rule gave at an offset, and where it ended: alternatives read the same text again,
    /// and without this each pair of parentheses would double the work.
    seen: BTreeMap<(Rule, usize), Option<(Expression, usize)>>,
    /// Beyond [`DEPTH_MAX`] for good once the text is nested too deeply.
    depth: usize,
}

impl Parser<'_> {
    fn input(&mut self) -> Option<Expression> {
        let c = &mut self.cursor;
        if c.optional_space()
            && c.literal("(", "\"(\"")
            && c.optional_space()
            && let Some(inner) = self.or()
        {
            let c = &mut self.cursor;
            c.optional_space();
            if c.literal(")", "\")\"") && c.optional_space() && c.end() {
                return Some(inner);
            }
        }
        self.cursor.at = 0;
        self.cursor.optional_space();
        let expression = self.or()?;
        self.cursor.optional_space();
        self.cursor.end().then_some(expression)
    }

    fn once(
        &mut self,
        rule: Rule,
        read: impl FnOnce(&mut Self) -> Option<Expression>,
    ) -> Option<Expression> {
        let start = self.cursor.at;
        if let Some(known) = self.seen.get(&(rule, start)) {
            let (expression, end) = known.clone()?;
            self.cursor.at = end;
            return Some(expression);
        }
        if self.depth > DEPTH_MAX {
            return None;
        }
        let found = read(self);
        let known = found.clone().map(|expression| (expression, self.cursor.at));
        if found.is_none() {
            self.cursor.at = start;
        }
        self.seen.insert((rule, start), known);
        found
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<Expression>) -> Option<Expression> {
        self.depth += 1;
        let found = read(self);
        if self.depth <= DEPTH_MAX {
            self.depth -= 1;
        }
        found
    }

    fn or(&mut self) -> Option<Expression> {
        self.once(Rule::Or, |p| p.chain("or", "\"or\"", Self::and, Expression::Any))
    }

    fn and(&mut self) -> Option<Expression> {
        self.once(Rule::And, |p| p.chain("and", "\"and\"", Self::negation, Expression::All))
    }

    /// `part { _ word _ part }`: a word that no part follows belongs to whoever reads on.
    fn chain(
        &mut self,
        word: &str,
        shown: &'static str,
        part: impl Fn(&mut Self) -> Option<Expression>,
        join: impl FnOnce(Vec<Expression>) -> Expression,
    ) -> Option<Expression> {
        let first = part(self)?;
        let mut end = self.cursor.at;
        let mut parts = Vec::new();
        while self.cursor.space() && self.cursor.literal(word, shown) && self.cursor.space() {
            let Some(next) = part(self) else { break };
            parts.push(next);
            end = self.cursor.at;
        }
        self.cursor.at = end;
        if parts.is_empty() {
            return Some(first);
        }
        parts.insert(0, first);
        Some(join(parts))
    }

    fn negation(&mut self) -> Option<Expression> {
        self.once(Rule::Not, |p| {
            let start = p.cursor.at;
            if p.cursor.literal("not", "\"not\"")
                && p.cursor.space()
                && let Some(inner) = p.deeper(Self::negation)
            {
                return Some(Expression::Not(Box::new(inner)));
            }
            p.cursor.at = start;
            p.group()
        })
    }

    fn group(&mut self) -> Option<Expression> {
        self.once(Rule::Group, |p| {
            let start = p.cursor.at;
            let inner = p.deeper(Self::opened);
            if inner.is_some() && p.cursor.optional_space() && p.cursor.literal(")", "\")\"") {
                return inner;
            }
            p.cursor.at = start;
            if let Some(found) = p.matching() {
                return Some(found);
            }
            p.cursor.at = start;
            if p.deeper(Self::opened).is_some() {
                p.cursor.optional_space();
                if !p.cursor.not(|c| c.literal(")", "\")\"")) {
                    let place = p.cursor.at;
                    p.cursor.error(place, "grouping", "Unmatched parentheses");
                }
            }
            None
        })
    }

    fn opened(&mut self) -> Option<Expression> {
        if self.cursor.literal("(", "\"(\"") && self.cursor.optional_space() {
            return self.or();
        }
        None
    }

    fn matching(&mut self) -> Option<Expression> {
        let start = self.cursor.at;
        if let Some(selector) = self.cursor.selector() {
            let after = self.cursor.at;
            if let Some(operator) = self.cursor.value_operator()
                && let Some(value) = self.cursor.value()
            {
                return Some(Expression::Match { selector, operator, value });
            }
            self.cursor.at = after;
            if let Some(operator) = self.cursor.empty_operator() {
                return Some(Expression::Match { selector, operator, value: String::new() });
            }
        }
        self.cursor.at = start;
        let value = self.cursor.value()?;
        let operator = self.cursor.in_operator()?;
        if let Some(selector) = self.cursor.selector() {
            return Some(Expression::Match { selector, operator, value });
        }
        let place = self.cursor.at;
        self.cursor.error(place, "match", "Invalid selector");
        None
    }
}

/// A step of an operator: blanks that may or must stand there, or a word with its quoted form.
enum Step {
    Maybe,
    Blank,
    Word(&'static str, &'static str),
}

use Step::{Blank, Maybe, Word};

const EQUAL: &[Step] = &[Maybe, Word("==", "\"==\""), Maybe];
const NOT_EQUAL: &[Step] = &[Maybe, Word("!=", "\"!=\""), Maybe];
const CONTAINS: &[Step] = &[Blank, Word("contains", "\"contains\""), Blank];
const NOT_CONTAINS: &[Step] =
    &[Blank, Word("not", "\"not\""), Blank, Word("contains", "\"contains\""), Blank];
const MATCHES: &[Step] = &[Blank, Word("matches", "\"matches\""), Blank];
const NOT_MATCHES: &[Step] =
    &[Blank, Word("not", "\"not\""), Blank, Word("matches", "\"matches\""), Blank];
const IS_EMPTY: &[Step] = &[Blank, Word("is", "\"is\""), Blank, Word("empty", "\"empty\"")];
const IS_NOT_EMPTY: &[Step] = &[
    Blank,
    Word("is", "\"is\""),
    Blank,
    Word("not", "\"not\""),
    Blank,
    Word("empty", "\"empty\""),
];
const IN: &[Step] = &[Blank, Word("in", "\"in\""), Blank];
const NOT_IN: &[Step] = &[Blank, Word("not", "\"not\""), Blank, Word("in", "\"in\""), Blank];

impl Cursor<'_> {
    fn steps(&mut self, steps: &[Step]) -> bool {
        let start = self.at;
        let found = steps.iter().all(|step| match step {
            Maybe => self.optional_space(),
            Blank => self.space(),
            Word(word, shown) => self.literal(word, shown),
        });
        if !found {
            self.at = start;
        }
        found
    }

    fn first(&mut self, choices: &[(&[Step], Operator)]) -> Option<Operator> {
        choices.iter().find(|(steps, _)| self.steps(steps)).map(|(_, operator)| *operator)
    }

    fn value_operator(&mut self) -> Option<Operator> {
        self.first(&[
            (EQUAL, Operator::Equal),
            (NOT_EQUAL, Operator::NotEqual),
            (CONTAINS, Operator::In),
            (NOT_CONTAINS, Operator::NotIn),
            (MATCHES, Operator::Matches),
            (NOT_MATCHES, Operator::NotMatches),
        ])
    }

    fn empty_operator(&mut self) -> Option<Operator> {
        self.first(&[(IS_EMPTY, Operator::IsEmpty), (IS_NOT_EMPTY, Operator::IsNotEmpty)])
    }

    fn in_operator(&mut self) -> Option<Operator> {
        self.first(&[(IN, Operator::In), (NOT_IN, Operator::NotIn)])
    }

    fn selector(&mut self) -> Option<Vec<String>> {
        let mut parts = Vec::from([self.identifier()?]);
        loop {
            let start = self.at;
            let next = match self.literal(".", "\".\"").then(|| self.identifier()).flatten() {
                Some(name) => Some(name),
                None => {
                    self.at = start;
                    self.index()
                }
            };
            let Some(next) = next else {
                self.at = start;
                return Some(parts);
            };
            parts.push(next);
        }
    }

    fn identifier(&mut self) -> Option<String> {
        let start = self.at;
        if !self.class(|c| c.is_ascii_alphabetic(), "[a-zA-Z]") {
            return None;
        }
        while self.class(|c| c.is_ascii_alphanumeric() || c == '_', "[a-zA-Z0-9_]") {}
        Some(self.slice(start).to_string())
    }

    fn index(&mut self) -> Option<String> {
        if !self.literal("[", "\"[\"") {
            return None;
        }
        self.optional_space();
        let Some(key) = self.string() else {
            let place = self.at;
            self.error(place, "index", "Invalid index");
            return None;
        };
        self.optional_space();
        if !self.literal("]", "\"]\"") {
            let place = self.at;
            self.error(place, "index", "Unclosed index expression");
            return None;
        }
        Some(key)
    }

    fn value(&mut self) -> Option<String> {
        let start = self.at;
        if let Some(parts) = self.selector() {
            return Some(parts.join("."));
        }
        self.at = start;
        if let Some(number) = self.number() {
            return Some(number);
        }
        self.at = start;
        self.string()
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        self.literal("-", "\"-\"");
        let digits = |c: &mut Self| while c.class(|c| c.is_ascii_digit(), "[0-9]") {};
        if !self.literal("0", "\"0\"") {
            if !self.class(|c| matches!(c, '1'..='9'), "[1-9]") {
                return None;
            }
            digits(self);
        }
        let whole = self.at;
        if self.literal(".", "\".\"") {
            if self.class(|c| c.is_ascii_digit(), "[0-9]") {
                digits(self);
            } else {
                self.at = whole;
            }
        }
        let end = self.at;
        let followed = self.space() || self.end() || self.literal(")", "\")\"");
        self.at = end;
        if !followed {
            self.error(end, "number", "Invalid number literal");
            return None;
        }
        Some(self.slice(start).to_string())
    }

    /// A quoted text without its quotes; both kinds may span lines up to their closing quote.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        for (quote, mark, shown) in [("`", '`', "\"`\""), ("\"", '"', "\"\\\"\"")] {
            if !self.literal(quote, shown) {
                continue;
            }
            self.until(mark, shown);
            if self.literal(quote, shown) {
                let text = unquote(self.slice(start));
                if text.is_none() {
                    self.error(start, "string", "invalid syntax");
                }
                return Some(text.unwrap_or_default());
            }
            if self.end() {
                let place = self.at;
                self.error(place, "string", "Unterminated string literal");
            }
            self.at = start;
            return None;
        }
        None
    }
}
