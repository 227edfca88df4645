//! HCL 1, the language of Consul's configuration files, as a JSON object.
//!
//! HCL 2 is another language: it wants a line for each key, evaluates templates and refuses a key
//! that comes twice. <https://github.com/hashicorp/hcl/tree/hcl1#syntax>

mod tokens;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Map, Value};
use tokens::{Place, Token, Tokens};

/// Objects and lists that may stand in one another.
const DEPTH_MAX: usize = 64;

/// Where and why a text is no HCL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Line and column, from one.
    pub(crate) place: Place,
    /// What is wrong.
    pub(crate) reason: String,
}

impl Broken {
    fn at(place: Place, reason: String) -> Self {
        Self { place, reason }
    }
}

/// Reads a whole document.
///
/// A block is an object; its labels are keys around it. Of a key that comes several times the last
/// value counts if they are plain, lists are joined, and objects become a list.
pub(crate) fn parse(text: &str) -> Result<Map<String, Value>, Broken> {
    let mut tokens = Tokens::of(text);
    let (token, place) = tokens.next()?;
    let mut reader = Reader { tokens, token, place };
    let object = reader.object(0)?;
    if reader.token == Token::End { Ok(object) } else { Err(reader.wants("a key")) }
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    /// The word that is looked at, and where it begins.
    token: Token,
    place: Place,
}

impl Reader<'_> {
    /// Goes on to the next word; gives the one before it.
    fn take(&mut self) -> Result<Token, Broken> {
        let (token, place) = self.tokens.next()?;
        self.place = place;
        Ok(core::mem::replace(&mut self.token, token))
    }

    fn wants(&self, what: &str) -> Broken {
        Broken::at(self.place, format!("{what} is wanted, not {}", self.token.name()))
    }

    /// Keys with their values, up to what is no key.
    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, Broken> {
        if depth > DEPTH_MAX {
            let reason = format!("more than {DEPTH_MAX} objects and lists in one another");
            return Err(Broken::at(self.place, reason));
        }
        let mut object = Map::new();
        loop {
            let place = self.place;
            let Some(key) = self.key()? else { return Ok(object) };
            let value = self.item(depth)?;
            put(&mut object, key, value).map_err(|reason| Broken::at(place, reason))?;
            if self.token == Token::Comma {
                self.take()?;
            }
        }
    }

    /// A key or a label, if one comes.
    fn key(&mut self) -> Result<Option<String>, Broken> {
        let (Token::Word(key) | Token::Text(key)) = &self.token else { return Ok(None) };
        let key = key.clone();
        self.take()?;
        Ok(Some(key))
    }

    /// What stands after a key: `= value`, or `"label".. { .. }`.
    fn item(&mut self, depth: usize) -> Result<Value, Broken> {
        let mut labels = Vec::new();
        while let Some(label) = self.key()? {
            labels.push(label);
        }
        if self.token == Token::Assign && labels.is_empty() {
            self.take()?;
        } else if self.token != Token::OpenBrace {
            return Err(self.wants(if labels.is_empty() { "\"=\" or \"{\"" } else { "\"{\"" }));
        }
        let value = self.value(depth)?;
        let around = |inner, label| Value::Object(Map::from_iter([(label, inner)]));
        Ok(labels.into_iter().rev().fold(value, around))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Broken> {
        let place = self.place;
        match self.take()? {
            Token::Text(text) => Ok(Value::String(text)),
            Token::Whole(number) => Ok(Value::from(number)),
            Token::Fraction(number) => Ok(Value::from(number)),
            Token::Word(word) if word == "true" => Ok(Value::Bool(true)),
            Token::Word(word) if word == "false" => Ok(Value::Bool(false)),
            Token::OpenBrace => {
                let object = self.object(depth + 1)?;
                self.close(&Token::CloseBrace, "a key or \"}\"")?;
                Ok(Value::Object(object))
            }
            Token::OpenBracket => self.list(depth),
            other @ (Token::Word(_)
            | Token::Assign
            | Token::Comma
            | Token::CloseBrace
            | Token::CloseBracket
            | Token::End) => {
                let reason = format!("a value is wanted, not {}", other.name());
                Err(Broken::at(place, reason))
            }
        }
    }

    /// What stands between `[` and `]`.
    fn list(&mut self, depth: usize) -> Result<Value, Broken> {
        let mut items = Vec::new();
        while self.token != Token::CloseBracket {
            if depth >= DEPTH_MAX {
                let reason = format!("more than {DEPTH_MAX} objects and lists in one another");
                return Err(Broken::at(self.place, reason));
            }
            items.push(self.value(depth + 1)?);
            if self.token != Token::Comma {
                break;
            }
            self.take()?;
        }
        self.close(&Token::CloseBracket, "\",\" or \"]\"")?;
        Ok(Value::Array(items))
    }

    fn close(&mut self, token: &Token, wanted: &str) -> Result<(), Broken> {
        if self.token != *token {
            return Err(self.wants(wanted));
        }
        self.take().map(drop)
    }
}

/// Puts a value under a key that may stand there already.
fn put(object: &mut Map<String, Value>, key: String, value: Value) -> Result<(), String> {
    let Some(old) = object.get_mut(&key) else {
        object.insert(key, value);
        return Ok(());
    };
    match (&mut *old, value) {
        (Value::Array(all), Value::Array(more)) => all.extend(more),
        (Value::Array(all), object @ Value::Object(_)) => all.push(object),
        (Value::Object(first), Value::Object(second)) => {
            let first = Value::Object(core::mem::take(first));
            *old = Value::Array(Vec::from([first, Value::Object(second)]));
        }
        (
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)),
        ) => *old = plain,
        (_, _) => return Err(format!("\"{key}\" is given twice, in two forms")),
    }
    Ok(())
}
