//! The words of an HCL document.

use super::Broken;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::iter::Peekable;
use core::str::CharIndices;

/// Line and column, both from one; a column counts characters.
pub(super) type Place = (usize, usize);

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare word: a key, `true`, `false`.
    Word(String),
    /// A quoted text or a heredoc, as it reads.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction or an exponent.
    Fraction(f64),
    /// `=`.
    Assign,
    /// `,`.
    Comma,
    /// `{`.
    OpenBrace,
    /// `}`.
    CloseBrace,
    /// `[`.
    OpenBracket,
    /// `]`.
    CloseBracket,
    /// Nothing is left.
    End,
}

impl Token {
    /// What an error calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Word(word) => format!("the word \"{word}\""),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Whole(number) => format!("the number {number}"),
            Self::Fraction(number) => format!("the number {number}"),
            Self::Assign => "\"=\"".to_owned(),
            Self::Comma => "\",\"".to_owned(),
            Self::OpenBrace => "\"{\"".to_owned(),
            Self::CloseBrace => "\"}\"".to_owned(),
            Self::OpenBracket => "\"[\"".to_owned(),
            Self::CloseBracket => "\"]\"".to_owned(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Cuts a text into words.
pub(super) struct Tokens<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    place: Place,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, chars: text.char_indices().peekable(), place: (1, 1) }
    }

    /// The next word and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token, Place), Broken> {
        self.skip_blanks()?;
        let place = self.place;
        let Some(first) = self.peek() else { return Ok((Token::End, place)) };
        let single = match first {
            '=' => Some(Token::Assign),
            ',' => Some(Token::Comma),
            '{' => Some(Token::OpenBrace),
            '}' => Some(Token::CloseBrace),
            '[' => Some(Token::OpenBracket),
            ']' => Some(Token::CloseBracket),
            _ => None,
        };
        if let Some(token) = single {
            self.take();
            return Ok((token, place));
        }
        let token = match first {
            '"' => self.quoted(place)?,
            '<' => self.heredoc(place)?,
            '-' => self.number(place)?,
            _ if first.is_ascii_digit() => self.number(place)?,
            _ if first.is_alphabetic() || first == '_' => Token::Word(self.run(of_word).to_owned()),
            _ => return Err(Broken::at(place, format!("{first:?} begins no word"))),
        };
        Ok((token, place))
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, char)| char)
    }

    fn take(&mut self) -> Option<char> {
        let (_, char) = self.chars.next()?;
        self.place =
            if char == '\n' { (self.place.0 + 1, 1) } else { (self.place.0, self.place.1 + 1) };
        Some(char)
    }

    fn offset(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(offset, _)| offset)
    }

    /// Takes all characters of a kind.
    fn run(&mut self, of_kind: impl Fn(char) -> bool) -> &'a str {
        let from = self.offset();
        while self.peek().is_some_and(&of_kind) {
            self.take();
        }
        let to = self.offset();
        &self.text[from..to]
    }

    /// Blanks and comments: `#`, `//` to the end of the line, `/* .. */`.
    fn skip_blanks(&mut self) -> Result<(), Broken> {
        loop {
            self.run(|char| matches!(char, ' ' | '\t' | '\n' | '\r' | '\u{feff}'));
            let (place, offset) = (self.place, self.offset());
            let rest = &self.text[offset..];
            if rest.starts_with('#') || rest.starts_with("//") {
                self.run(|char| char != '\n');
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    return Err(Broken::at(place, "the comment has no end".into()));
                };
                while self.offset() < offset + length + 2 {
                    self.take();
                }
            } else if rest.starts_with('/') {
                return Err(Broken::at(place, "'/' begins no word".into()));
            } else {
                return Ok(());
            }
        }
    }

    /// Decimal, `0x` and octal (`0..`) whole numbers; decimals with a point or an exponent.
    fn number(&mut self, place: Place) -> Result<Token, Broken> {
        let mut exponent = false;
        let written = {
            let from = self.offset();
            self.take();
            while let Some(char) = self.peek() {
                let sign = matches!(char, '+' | '-') && exponent;
                if !(char.is_ascii_alphanumeric() || char == '.' || sign) {
                    break;
                }
                exponent = matches!(char, 'e' | 'E');
                self.take();
            }
            let to = self.offset();
            &self.text[from..to]
        };
        whole(written)
            .map(Token::Whole)
            .or_else(|| fraction(written).map(Token::Fraction))
            .ok_or_else(|| Broken::at(place, format!("{written:?} is no number")))
    }

    /// `"..."`, with Go's escapes. `${..}` stays as written, and may hold quotes and lines.
    fn quoted(&mut self, place: Place) -> Result<Token, Broken> {
        let endless = || Broken::at(place, "the text has no closing quote".into());
        self.take();
        let mut text = String::new();
        let mut depth = 0_usize;
        loop {
            let here = self.place;
            let char = self.take().ok_or_else(endless)?;
            if depth > 0 {
                match char {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                text.push(char);
                continue;
            }
            match char {
                '"' => return Ok(Token::Text(text)),
                '\n' => return Err(endless()),
                '\\' => text.push(self.escape(here)?),
                '$' if self.peek() == Some('{') => {
                    self.take();
                    text.push_str("${");
                    depth = 1;
                }
                _ => text.push(char),
            }
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self, place: Place) -> Result<char, Broken> {
        let unknown = || Broken::at(place, "the escape is not known".into());
        let (digits, radix, code) = match self.take().ok_or_else(unknown)? {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            same @ ('\\' | '"') => return Ok(same),
            'x' => (2, 16, 0),
            'u' => (4, 16, 0),
            'U' => (8, 16, 0),
            octal => (2, 8, octal.to_digit(8).ok_or_else(unknown)?),
        };
        let mut code = code;
        for _ in 0..digits {
            let digit = self.take().and_then(|char| char.to_digit(radix)).ok_or_else(unknown)?;
            code = code
                .checked_mul(radix)
                .and_then(|code| code.checked_add(digit))
                .ok_or_else(unknown)?;
        }
        char::from_u32(code).ok_or_else(unknown)
    }

    /// `<<MARK` lines `MARK`; `<<-MARK` takes away what the closing mark is indented by.
    fn heredoc(&mut self, place: Place) -> Result<Token, Broken> {
        let broken = |reason: &str| Broken::at(place, reason.into());
        let offset = self.offset();
        if !self.text[offset..].starts_with("<<") {
            return Err(broken("'<' begins no word"));
        }
        self.take();
        self.take();
        let indented = self.peek() == Some('-');
        if indented {
            self.take();
        }
        let mark = self.run(|char| char.is_alphanumeric() || char == '_');
        if mark.is_empty() {
            return Err(broken("a heredoc needs a mark after \"<<\""));
        }
        self.run(|char| char == '\r');
        if self.take() != Some('\n') {
            return Err(broken("nothing may follow the mark of a heredoc"));
        }
        let from = self.offset();
        loop {
            let line_from = self.offset();
            let line = self.run(|char| char != '\n').trim_end_matches('\r');
            if line.trim_start_matches([' ', '\t']) == mark {
                let body = &self.text[from..line_from];
                let blanks = &line[..line.len() - mark.len()];
                let blanks = if indented { blanks } else { "" };
                return Ok(Token::Text(outdented(body, blanks)));
            }
            if self.take().is_none() {
                return Err(broken("the heredoc has no end"));
            }
        }
    }
}

fn of_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.')
}

fn whole(written: &str) -> Option<i64> {
    let (sign, digits) = written.strip_prefix('-').map_or(("", written), |digits| ("-", digits));
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn fraction(written: &str) -> Option<f64> {
    let decimal =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    let marked = written.contains(['.', 'e', 'E']);
    let number: f64 =
        (marked && written.bytes().all(decimal)).then(|| written.parse().ok()).flatten()?;
    number.is_finite().then_some(number)
}

/// The lines without the blanks that stand before the mark, if all of them begin with these.
fn outdented(body: &str, blanks: &str) -> String {
    if body.split_inclusive('\n').all(|line| line.starts_with(blanks)) {
        body.split_inclusive('\n').filter_map(|line| line.strip_prefix(blanks)).collect()
    } else {
        body.to_owned()
    }
}
