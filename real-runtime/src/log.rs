//! Log lines as operators of Consul know them, plain or as JSON.

use crate::clock::wall;
use proconsul_core::types::Calendar;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt::layer};

/// How much is said; changed by a reload.
static VERBOSITY: AtomicU8 = AtomicU8::new(2);

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what is wrong.
    Error,
    /// And what is odd.
    Warn,
    /// And what operators want to know.
    #[default]
    Info,
    /// And what developers want to know.
    Debug,
    /// And everything else.
    Trace,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word.to_ascii_uppercase().as_str() {
            "ERR" | "ERROR" => Ok(Self::Error),
            "WARN" => Ok(Self::Warn),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            "TRACE" => Ok(Self::Trace),
            _ => Err(format!(
                "Invalid log level: {word}. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]"
            )),
        }
    }
}

impl LogLevel {
    fn rank(self) -> u8 {
        match self {
            Self::Error => 0,
            Self::Warn => 1,
            Self::Info => 2,
            Self::Debug => 3,
            Self::Trace => 4,
        }
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

/// Says more or less from now on.
pub fn set_level(level: LogLevel) {
    VERBOSITY.store(level.rank(), Ordering::Relaxed);
}

/// Starts writing log lines to standard output. Only the first call of a process has an effect.
pub fn start(level: LogLevel, json: bool) {
    set_level(level);
    let lines = layer().event_format(Lines { json }).with_filter(OwnLevel);
    drop(tracing_subscriber::registry().with(lines).try_init());
}

/// Lets through what is said at the level in force, and nothing that libraries say.
struct OwnLevel;

impl<S> Filter<S> for OwnLevel {
    fn enabled(&self, meta: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        rank(*meta.level()) <= VERBOSITY.load(Ordering::Relaxed)
            && meta.target().starts_with("agent")
    }
}

struct Lines {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let meta = event.metadata();
        let time = Calendar::of(wall()).rfc3339();
        let line = if self.json {
            json_line(&time, *meta.level(), meta.target(), &said)
        } else {
            plain_line(&time, *meta.level(), meta.target(), &said)
        };
        writeln!(writer, "{line}")
    }
}

/// The message and fields of one event.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message.push_str(&format!("{value:?}"));
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }
}

fn plain_line(time: &str, level: Level, target: &str, said: &Said) -> String {
    let word = match level {
        Level::ERROR => "[ERROR]",
        Level::WARN => "[WARN] ",
        Level::INFO => "[INFO] ",
        Level::DEBUG => "[DEBUG]",
        Level::TRACE => "[TRACE]",
    };
    let mut line = format!("    {time} {word} {target}: {}", said.message);
    if !said.fields.is_empty() {
        line.push(':');
    }
    for (name, value) in &said.fields {
        line.push_str(&format!(" {name}={value}"));
    }
    line
}

fn json_line(time: &str, level: Level, target: &str, said: &Said) -> String {
    let mut line = serde_json::Map::new();
    line.insert("@level".to_owned(), level.as_str().to_ascii_lowercase().into());
    line.insert("@message".to_owned(), said.message.clone().into());
    line.insert("@module".to_owned(), target.into());
    line.insert("@timestamp".to_owned(), time.into());
    for (name, value) in &said.fields {
        line.insert((*name).to_owned(), value.clone().into());
    }
    serde_json::Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_operators_know_them() {
        let said = Said { message: "initial".to_owned(), fields: vec![("index", "0".to_owned())] };
        let time = "2026-11-22T10:15:17.292Z";
        assert_eq!(
            plain_line(time, Level::INFO, "agent.server.raft", &said),
            "    2026-11-22T10:15:17.292Z [INFO]  agent.server.raft: initial: index=0"
        );
        let json = json_line(time, Level::WARN, "agent", &said);
        assert!(json.contains("\"@level\":\"warn\""), "{json}");
        assert!(json.contains("\"index\":\"0\""), "{json}");
    }

    #[test]
    fn levels_have_consuls_names() {
        assert_eq!("err".parse(), Ok(LogLevel::Error));
        let refused = "x".parse::<LogLevel>().unwrap_err();
        assert!(refused.starts_with("Invalid log level: x. Valid log levels are: [TRACE"));
    }
}
