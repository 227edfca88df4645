//! Configuration files: HCL or JSON text as one kind of value.
//!
//! Both become a JSON object. An HCL block is an object; its labels are keys around it
//! (`service "web" {..}` is `{"service": {"web": {..}}}`); blocks of one name that come several
//! times are an array. `${..}` in a text stays as written.

use crate::hcl;
use alloc::string::{String, ToString};
use core::fmt;
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
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error parsing {}: ", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl core::error::Error for DocumentError {}

/// Reads a whole document. `file` names it in errors.
///
/// # Errors
/// [`DocumentError`]: not of this format, not an object, or a key twice in two forms.
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
            reason: "the document is not an object".into(),
        }),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split(" at line ").next().unwrap_or(&text);
            Err(DocumentError {
                file: file.into(),
                place: Some((error.line(), error.column())),
                reason: reason.into(),
            })
        }
    }
}

fn hcl(file: &str, text: &str) -> Result<Map<String, Value>, DocumentError> {
    if text.trim_start().starts_with('{') {
        return json(file, text);
    }
    hcl::parse(text).map_err(|broken| DocumentError {
        file: file.into(),
        place: Some(broken.place),
        reason: broken.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
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
    fn hcl_is_read_as_its_first_version() {
        for (text, value) in [
            ("a = 1 b { c = true, d = false, }", json!({"a": 1, "b": {"c": true, "d": false}})),
            ("\"a b\" = 1 c-d.e = 2", json!({"a b": 1, "c-d.e": 2})),
            ("a = 1\na = 2", json!({"a": 2})),
            ("a = [1]\na = [2,]", json!({"a": [1, 2]})),
            ("a = {b = 1} a {b = 2} a \"l\" {}", json!({"a": [{"b": 1}, {"b": 2}, {"l": {}}]})),
            ("a = -0x1f b = 010 c = -1.5e2 d = 0", json!({"a": -31, "b": 8, "c": -150.0, "d": 0})),
            (r#"a = "%{http_code} ${x "y" {}} $z""#, json!({"a": "%{http_code} ${x \"y\" {}} $z"})),
            (r#"a = "\\ \" \t \101 \x41 \u00e4""#, json!({"a": "\\ \" \t A A \u{e4}"})),
            (
                "a = <<E\n x\n y\nE\nb = <<-E\n  x\n   y\n  E\n",
                json!({"a": " x\n y\n", "b": "x\n y\n"}),
            ),
            ("a = <<-E\n  x\n y\n  E\n", json!({"a": "  x\n y\n"})),
            ("// c\na = 1 # c\n/* c\n */ b = [[], {}]", json!({"a": 1, "b": [[], {}]})),
            (" {\"a\": 1}", json!({"a": 1})),
        ] {
            assert_eq!(hcl(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn errors_name_file_and_place() {
        for (text, error) in [
            ("a = b", "1:5: a value is wanted, not the word \"b\""),
            ("a = = 1", "1:5: a value is wanted, not \"=\""),
            ("a \"x\"", "1:6: \"{\" is wanted, not the end"),
            ("a b = 1", "1:5: \"{\" is wanted, not \"=\""),
            ("x {\n  y = 1", "2:8: a key or \"}\" is wanted, not the end"),
            ("l = [\"b\" \"c\"]", "1:10: \",\" or \"]\" is wanted, not the text \"c\""),
            ("a = 1; b = 2", "1:6: ';' begins no word"),
            ("a = \"x\ny\"", "1:5: the text has no closing quote"),
            ("a = \"\\q\"", "1:6: the escape is not known"),
            ("/* x", "1:1: the comment has no end"),
            ("a = 0x", "1:5: \"0x\" is no number"),
            ("a = 9223372036854775808", "1:5: \"9223372036854775808\" is no number"),
            ("a = <<E\nx", "1:5: the heredoc has no end"),
            ("a = 1\na {}", "2:1: \"a\" is given twice, in two forms"),
            ("]", "1:1: a key is wanted, not \"]\""),
        ] {
            assert_eq!(hcl(text).unwrap_err(), format!("Error parsing a.hcl: {error}"));
        }
        let deep = format!("a = {}", "[".repeat(100_000));
        assert!(hcl(&deep).unwrap_err().contains("in one another"));
        let deep = "a {".repeat(100_000);
        assert!(hcl(&deep).unwrap_err().contains("in one another"));
        let error = parse("a.json", Format::Json, "{\n \"a\": }").unwrap_err();
        assert_eq!(error.to_string(), "Error parsing a.json: 2:7: expected value");
        assert!(parse("a.json", Format::Json, "[]").is_err());
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
        fn no_text_panics(text in "[a-z =\"{}\\[\\]\\n0-9.$<,/*\\\\-]{0,60}|.{0,30}") {
            drop(hcl(&text));
            drop(parse("a.json", Format::Json, &text));
        }
    }
}
