//! Flags in the manner of Consul: one dash or two, `-f v` or `-f=v`, a value for a switch only with
//! `=`, flags before arguments.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches};

/// How a command ends: an exit code, or a text for standard error and exit code 1.
pub(super) type Outcome = Result<u8, String>;

/// Where positional arguments go.
const ARGUMENTS: &str = "arguments";

/// The flags and arguments a command was given.
#[derive(Debug)]
pub(super) struct Flags {
    matches: ArgMatches,
    /// Its words after the flags.
    pub(super) arguments: Vec<String>,
}

/// Why there are no flags.
#[derive(Debug)]
pub(super) enum Refused {
    /// Help was asked for; here it is.
    Help(String),
    /// What is wrong, and the usage text.
    Unknown(String, String),
}

/// A flag that takes a value.
pub(super) fn value(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).value_name("value").allow_hyphen_values(true)
}

/// A flag that may be given several times.
pub(super) fn list(name: &'static str, help: &'static str) -> Arg {
    value(name, help).action(ArgAction::Append)
}

/// A flag that is on when it is there, or as `=true` or `=false` says.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .help(help)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("bool")
}

/// Flags of every command that speaks to an agent.
pub(super) fn client(command: clap::Command) -> clap::Command {
    command
        .arg(value("http-addr", "Address of the agent's HTTP API (CONSUL_HTTP_ADDR)"))
        .arg(value("token", "ACL token (CONSUL_HTTP_TOKEN)"))
        .arg(value("token-file", "File with the ACL token (CONSUL_HTTP_TOKEN_FILE)"))
}

/// Flags of every command that reads from servers.
pub(super) fn server(command: clap::Command) -> clap::Command {
    client(command)
        .arg(value("datacenter", "Datacenter to ask"))
        .arg(switch("stale", "Let any server answer"))
}

impl Flags {
    pub(super) fn parse(parser: clap::Command, arguments: &[String]) -> Result<Self, Refused> {
        let mut parser = parser
            .no_binary_name(true)
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args_override_self(true)
            .arg(Arg::new("help").long("help").short('h').help("Show this").action(ArgAction::Help))
            .arg(Arg::new(ARGUMENTS).num_args(0..).last(true).hide(true));
        let (flags, words) = split(&parser, arguments);
        match parser.try_get_matches_from_mut(flags) {
            Ok(matches) => Ok(Self { matches, arguments: words }),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                Err(Refused::Help(error.render().to_string()))
            }
            Err(error) => Err(Refused::Unknown(reason(&error), parser.render_help().to_string())),
        }
    }

    /// The value of a flag, if it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.matches.get_one::<String>(name).map(String::as_str)
    }

    /// All values of a flag.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let values = self.matches.get_many::<String>(name);
        values.map(|values| values.map(String::as_str).collect()).unwrap_or_default()
    }

    /// All values of several flags, in the order in which they were given.
    pub(super) fn in_order(&self, names: &[&str]) -> Vec<&str> {
        let mut found: Vec<(usize, &str)> = Vec::new();
        for name in names {
            let places = self.matches.indices_of(name).into_iter().flatten();
            found.extend(places.zip(self.texts(name)));
        }
        found.sort_unstable();
        found.into_iter().map(|(_, text)| text).collect()
    }

    /// Whether a switch is on; `None` if it was not given.
    pub(super) fn given(&self, name: &str) -> Result<Option<bool>, String> {
        self.text(name).map(|text| boolean(name, text)).transpose()
    }

    /// Whether a switch is on.
    pub(super) fn on(&self, name: &str) -> Result<bool, String> {
        Ok(self.given(name)?.unwrap_or(false))
    }

    /// The text for more arguments than a command takes.
    pub(super) fn too_many(&self, expected: &str) -> String {
        let count = self.arguments.len();
        format!("Too many arguments (expected {expected}, got {count})")
    }

    /// For a command that takes no argument.
    pub(super) fn none(&self) -> Result<(), String> {
        if self.arguments.is_empty() { Ok(()) } else { Err(self.too_many("0")) }
    }

    /// The one argument of a command; these are the texts for none and for too many.
    pub(super) fn one(&self, none: &str, many: &str) -> Result<&str, String> {
        match self.arguments.as_slice() {
            [one] => Ok(one),
            [] => Err(none.to_owned()),
            [..] => Err(many.to_owned()),
        }
    }
}

/// Cuts flags from arguments, and turns every flag to the two-dash form that clap knows.
fn split(parser: &clap::Command, arguments: &[String]) -> (Vec<String>, Vec<String>) {
    let mut flags = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.as_slice().first() {
        if argument == "--" {
            rest.next();
            break;
        }
        let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
            break;
        };
        rest.next();
        let name = name.strip_prefix('-').unwrap_or(name);
        flags.push(if name == "h" { "-h".to_owned() } else { format!("--{name}") });
        let takes_value = parser
            .get_arguments()
            .any(|arg| arg.get_long() == Some(name) && !is_switch(arg) && name != "help");
        if let (true, Some(value)) = (takes_value, rest.as_slice().first()) {
            rest.next();
            // Joined with `=`, so that a value that begins with a dash stays one.
            if let Some(flag) = flags.last_mut() {
                flag.push('=');
                flag.push_str(value);
            }
        }
    }
    (flags, rest.cloned().collect())
}

fn is_switch(arg: &Arg) -> bool {
    arg.is_require_equals_set()
}

fn boolean(name: &str, text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid boolean value \"{text}\" for -{name}: parse error")),
    }
}

fn reason(error: &clap::Error) -> String {
    let invalid = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.clone(),
        _ => String::new(),
    };
    let name = invalid.split([' ', '=']).next().unwrap_or_default();
    let name = name.trim_start_matches('-');
    let kind = error.kind();
    if kind == ErrorKind::UnknownArgument {
        format!("flag provided but not defined: -{name}")
    } else if kind == ErrorKind::InvalidValue || kind == ErrorKind::NoEquals {
        format!("flag needs an argument: -{name}")
    } else {
        error.to_string().trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Flags, Refused> {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let parser = clap::Command::new("test")
            .arg(value("data-dir", ""))
            .arg(list("tag", ""))
            .arg(switch("dev", ""));
        Flags::parse(parser, &arguments)
    }

    #[test]
    fn one_dash_or_two() {
        let flags = parse(&["-dev", "-data-dir", "/x", "--tag=a", "-tag", "b", "word", "-dev"]);
        let flags = flags.unwrap();
        assert_eq!(flags.on("dev"), Ok(true));
        assert_eq!(flags.text("data-dir"), Some("/x"));
        assert_eq!(flags.texts("tag"), ["a", "b"]);
        assert_eq!(flags.in_order(&["tag", "data-dir"]), ["/x", "a", "b"]);
        assert_eq!(flags.arguments, ["word", "-dev"]);
    }

    #[test]
    fn values_may_look_like_anything() {
        let flags = parse(&["-dev=false", "-data-dir", "-x", "-data-dir", ""]).unwrap();
        assert_eq!(flags.on("dev"), Ok(false));
        assert_eq!(flags.text("data-dir"), Some(""));
        assert!(parse(&["-dev=maybe"]).unwrap().on("dev").is_err());
    }

    #[test]
    fn what_is_not_known_is_named() {
        for words in [&["-nosuchflag"][..], &["--nosuchflag=3"], &["-nosuchflag", "3"]] {
            match parse(words) {
                Err(Refused::Unknown(text, _)) => {
                    assert_eq!(text, "flag provided but not defined: -nosuchflag");
                }
                other => panic!("{other:?}"),
            }
        }
        match parse(&["-data-dir"]) {
            Err(Refused::Unknown(text, _)) => {
                assert_eq!(text, "flag needs an argument: -data-dir");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(parse(&["-help"]), Err(Refused::Help(_))));
    }
}
