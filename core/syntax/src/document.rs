//! Configuration files: HCL or JSON text as one kind of value.
//!
//! Both become a JSON object. An HCL block is an object; its labels are keys around it
//! (`service "web" {..}` is `{"service": {"web": {..}}}`); blocks of one name that come several
//! times are an array. HCL's expressions are not evaluated: what is no literal is refused, and
//! `${..}` in a text stays as written.

use crate::one_line::in_lines;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use hcl::{Body, Expression, Structure};
use serde_json::{Map, Value};

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HCL.
    Hcl,
    /// JSON.
    Json,
}

impl Format {
    /// What a file's name says, if it says anything.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "hcl" => Some(Self::Hcl),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentError {
    /// Which file.
    pub file: String,
    /// Line and column, where the text itself is broken.
    pub place: Option<(usize, usize)>,
    /// The key, where the text is sound but says something that cannot be.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error parsing {}: ", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl core::error::Error for DocumentError {}

/// Reads a whole document. `file` names it in errors.
///
/// # Errors
/// [`DocumentError`]: not of this format, not an object, a key twice, or not a literal.
pub fn parse(file: &str, format: Format, text: &str) -> Result<Map<String, Value>, DocumentError> {
    match format {
        Format::Hcl => hcl(file, text),
        Format::Json => json(file, text),
    }
}

fn json(file: &str, text: &str) -> Result<Map<String, Value>, DocumentError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        ) => Err(DocumentError {
            file: file.into(),
            place: None,
            key: None,
            reason: "the document is not an object".into(),
        }),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            Err(DocumentError {
                file: file.into(),
                place: Some((error.line(), error.column())),
                key: None,
                reason: reason.into(),
            })
        }
    }
}

fn hcl(file: &str, text: &str) -> Result<Map<String, Value>, DocumentError> {
    let body = hcl::parse(text).or_else(|error| hcl::parse(&in_lines(text)).map_err(|_| error));
    let body = body.map_err(|error| {
        let (place, reason) = if let hcl::Error::Parse(error) = &error {
            let place = error.location();
            (Some((place.line(), place.column())), error.message().to_string())
        } else {
            (None, error.to_string())
        };
        DocumentError { file: file.into(), place, key: None, reason }
    })?;
    object(&body, "").map_err(|(key, reason)| DocumentError {
        file: file.into(),
        place: None,
        key: Some(key),
        reason,
    })
}

/// The key and what is wrong with its value.
type Misfit = (String, String);

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

fn object(body: &Body, path: &str) -> Result<Map<String, Value>, Misfit> {
    let mut found = Map::new();
    let mut blocks: Vec<(String, Vec<Value>)> = Vec::new();
    for structure in body.iter() {
        match structure {
            Structure::Attribute(attribute) => {
                let key = attribute.key.as_str();
                let value = value(&attribute.expr, &below(path, key))?;
                if found.insert(key.into(), value).is_some() {
                    return Err((below(path, key), "given twice".into()));
                }
            }
            Structure::Block(block) => {
                let key = block.identifier.as_str();
                let mut inner = Value::Object(object(&block.body, &below(path, key))?);
                for label in block.labels.iter().rev() {
                    inner = Value::Object(Map::from_iter([(label.as_str().into(), inner)]));
                }
                match blocks.iter_mut().find(|(name, _)| name == key) {
                    Some((_, several)) => several.push(inner),
                    None => blocks.push((key.into(), Vec::from([inner]))),
                }
            }
        }
    }
    for (key, mut several) in blocks {
        let value = match several.len() {
            1 => several.remove(0),
            _ => Value::Array(several),
        };
        if found.insert(key.clone(), value).is_some() {
            return Err((below(path, &key), "given as a block and as a value".into()));
        }
    }
    Ok(found)
}

fn value(expression: &Expression, path: &str) -> Result<Value, Misfit> {
    let refuse = |what: &str| Err((path.into(), format!("{what} has no place in configuration")));
    match expression {
        Expression::Null => Ok(Value::Null),
        Expression::Bool(bool) => Ok(Value::Bool(*bool)),
        Expression::Number(number) => Ok(json_number(number)),
        Expression::String(text) => Ok(Value::String(text.clone())),
        Expression::Array(items) => {
            let items = items.iter().enumerate();
            let each = items.map(|(place, item)| value(item, &format!("{path}[{place}]")));
            Ok(Value::Array(each.collect::<Result<_, _>>()?))
        }
        Expression::Object(fields) => {
            let mut found = Map::new();
            for (key, item) in fields {
                let key = if let hcl::ObjectKey::Identifier(name) = key {
                    name.to_string()
                } else if let hcl::ObjectKey::Expression(Expression::String(text)) = key {
                    text.clone()
                } else {
                    return refuse(&format!("the key {key}"));
                };
                let item = value(item, &below(path, &key))?;
                if found.insert(key.clone(), item).is_some() {
                    return Err((below(path, &key), "given twice".into()));
                }
            }
            Ok(Value::Object(found))
        }
        Expression::TemplateExpr(template) => Ok(Value::String(match &**template {
            hcl::expr::TemplateExpr::QuotedString(text) => text.clone(),
            hcl::expr::TemplateExpr::Heredoc(heredoc) => heredoc.template.clone(),
        })),
        Expression::Parenthesis(inner) => value(inner, path),
        Expression::Variable(name) => refuse(&format!("the variable \"{}\"", name.as_str())),
        Expression::Traversal(_) => refuse("a reference"),
        Expression::FuncCall(call) => refuse(&format!("the function call \"{}\"", call.name)),
        Expression::Conditional(_) | Expression::Operation(_) => refuse("an operation"),
        Expression::ForExpr(_) => refuse("a loop"),
        other => refuse(&other.to_string()),
    }
}

fn json_number(number: &hcl::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        return Value::from(whole);
    }
    if let Some(whole) = number.as_u64() {
        return Value::from(whole);
    }
    number.as_f64().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn hcl(text: &str) -> Result<Value, String> {
        parse("a.hcl", Format::Hcl, text).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn both_formats_say_the_same() {
        let hcl = hcl(r#"
            # a comment
            node_name = "one"
            server    = true
            ports { http = 8500 }
            retry_join = ["a", "b"]
            node_meta = { "odd key" = "x", plain = "${y}" }
            raw = -1
        "#);
        let json = parse(
            "a.json",
            Format::Json,
            r#"{"node_name": "one", "server": true, "ports": {"http": 8500}, "raw": -1,
                "retry_join": ["a", "b"], "node_meta": {"odd key": "x", "plain": "${y}"}}"#,
        );
        assert_eq!(hcl.unwrap(), Value::Object(json.unwrap()));
    }

    #[test]
    fn one_line_holds_as_much_as_many() {
        let long = "a = 1\nb = \"x y\"\nports {\n  http = 1\n  dns = -1\n}\nl = [1, 2]\n\
                    service \"w\" {\n  port = 2\n  meta = {\n k = \"{ q = 1\"\n z = true\n}\n}\nc = 3";
        let short = "a = 1 b = \"x y\" ports { http = 1 dns = -1 } l = [1, 2] /* d = 4 */ \
                     service \"w\" { port = 2 meta = { k = \"{ q = 1\" z = true } } c = 3 # e = 5";
        assert_eq!(hcl(short).unwrap(), hcl(long).unwrap());
        // What is wrong all the same is told of the text as it was given.
        let wrong = hcl("a = 1 b =\nc = 2").unwrap_err();
        assert!(wrong.starts_with("Error parsing a.hcl: 1:7: "), "{wrong}");
    }

    #[test]
    fn blocks_become_objects_and_arrays() {
        assert_eq!(
            hcl("service \"web\" { port = 1 }"),
            Ok(json!({"service": {"web": {"port": 1}}}))
        );
        assert_eq!(
            hcl("service { name = \"a\" }\nservice { name = \"b\" }"),
            Ok(json!({"service": [{"name": "a"}, {"name": "b"}]}))
        );
    }

    #[test]
    fn errors_name_file_and_place_or_key() {
        for (text, error) in [
            ("a = b", "Error parsing a.hcl: a: the variable \"b\" has no place in configuration"),
            (
                "x { y = f(1) }",
                "Error parsing a.hcl: x.y: the function call \"f\" has no place in configuration",
            ),
            (
                "l = [1, a.b]",
                "Error parsing a.hcl: l[1]: a reference has no place in configuration",
            ),
            ("a = 1\na {}", "Error parsing a.hcl: a: given as a block and as a value"),
        ] {
            assert_eq!(hcl(text).unwrap_err(), error);
        }
        let error = parse("a.hcl", Format::Hcl, "a = 1\nb = = 2").unwrap_err();
        assert_eq!(error.place.map(|place| place.0), Some(2));
        let error = parse("a.json", Format::Json, "{\n \"a\": }").unwrap_err();
        assert_eq!(error.to_string(), "Error parsing a.json: 2:7: expected value");
        assert!(parse("a.json", Format::Json, "[]").is_err());
        assert!(hcl("a = 1\na = 2").is_err());
    }

    #[test]
    fn names_tell_the_format() {
        assert_eq!(Format::of_file("x/y.hcl"), Some(Format::Hcl));
        assert_eq!(Format::of_file("y.json"), Some(Format::Json));
        assert_eq!(Format::of_file("y.yaml"), None);
        assert_eq!(Format::of_file("y"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z =\"{}\\[\\]\\n0-9.$<,-]{0,60}|.{0,30}") {
            drop(hcl(&text));
            drop(parse("a.json", Format::Json, &text));
        }
    }
}
