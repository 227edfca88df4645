//! Log lines as operators of Consul know them, plain or as JSON.

use crate::clock::wall;
use proconsul_core::types::Calendar;
pub use proconsul_core::types::LogLevel;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
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
    let lines = layer().event_format(Lines { json }).with_filter(UpTo(&VERBOSITY));
    let told = Listening.with_filter(UpTo(&LISTENED));
    drop(tracing_subscriber::registry().with(lines).with(told).try_init());
}

/// Lets through what is said at the level in force, and nothing that libraries say.
struct UpTo(&'static AtomicU8);

impl<S> Filter<S> for UpTo {
    fn enabled(&self, meta: &tracing::Metadata<'_>, _: &Context<'_, S>) -> bool {
        let level = self.0.load(Ordering::Relaxed);
        level != NOBODY && rank(*meta.level()) <= level && meta.target().starts_with("agent")
    }
}

/// The verbosity at which nothing is heard.
const NOBODY: u8 = u8::MAX;
/// How much the most curious listener hears.
static LISTENED: AtomicU8 = AtomicU8::new(NOBODY);
/// Who listens besides standard output.
static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());
/// Lines that wait for one listener; who reads slower than that misses some.
const LINES_WAITING_MAX: usize = 512;

struct Listener {
    id: u64,
    level: LogLevel,
    json: bool,
    lines: mpsc::Sender<String>,
    missed: u64,
}

/// The log from now on, for one who asked. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Heard {
    id: u64,
    lines: mpsc::Receiver<String>,
}

/// Listens to the log.
pub(crate) fn listen(level: LogLevel, json: bool) -> Heard {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (sender, lines) = mpsc::channel(LINES_WAITING_MAX);
    let mut listeners = listeners();
    listeners.push(Listener { id, level, json, lines: sender, missed: 0 });
    note_level(&listeners);
    Heard { id, lines }
}

impl Heard {
    /// The next line, with its end.
    pub(crate) fn poll(
        &mut self,
        task: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<String>> {
        self.lines.poll_recv(task)
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let missed = {
            let mut listeners = listeners();
            let at = listeners.iter().position(|listener| listener.id == self.id);
            let missed = at.map_or(0, |at| listeners.remove(at).missed);
            note_level(&listeners);
            missed
        };
        if missed > 0 {
            tracing::warn!(
                target: "agent",
                "Dropped logs during monitor request: dropped_count={missed}"
            );
        }
    }
}

fn listeners() -> MutexGuard<'static, Vec<Listener>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note_level(listeners: &[Listener]) {
    let most = listeners.iter().map(|listener| listener.level.rank()).max();
    LISTENED.store(most.unwrap_or(NOBODY), Ordering::Relaxed);
}

/// Hands every line to all who listen. It never waits for them.
struct Listening;

impl<S: Subscriber> Layer<S> for Listening {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        for listener in listeners().iter_mut() {
            if rank(level) <= listener.level.rank() {
                let mut line = line(event, listener.json);
                line.push('\n');
                if listener.lines.try_send(line).is_err() {
                    listener.missed += 1;
                }
            }
        }
    }
}

fn line(event: &Event<'_>, json: bool) -> String {
    let mut said = Said::default();
    event.record(&mut said);
    let meta = event.metadata();
    let time = Calendar::of(wall()).rfc3339();
    if json {
        json_line(&time, *meta.level(), meta.target(), &said)
    } else {
        plain_line(&time, *meta.level(), meta.target(), &said)
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
        let line = line(event, self.json);
        if self.json { writeln!(writer, "{line}") } else { writeln!(writer, "    {line}") }
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
    let mut line = format!("{time} {word} {target}: {}", said.message);
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
    let (message, pairs) = split(&said.message);
    line.insert("@level".to_owned(), level.as_str().to_ascii_lowercase().into());
    line.insert("@message".to_owned(), message.into());
    line.insert("@module".to_owned(), target.into());
    line.insert("@timestamp".to_owned(), time.into());
    for (name, value) in pairs {
        line.insert(name.to_owned(), value.into());
    }
    for (name, value) in &said.fields {
        line.insert((*name).to_owned(), value.clone().into());
    }
    serde_json::Value::Object(line).to_string()
}

/// A line as its message and the fields that follow it: `initial: index=0 name="a b"`. A line of
/// another form is all message.
fn split(line: &str) -> (&str, Vec<(&str, &str)>) {
    let found = line.match_indices(": ").find_map(|(end, _)| {
        let (message, rest) = line.split_at(end);
        Some((message, pairs(rest.strip_prefix(": ")?)?))
    });
    found.unwrap_or((line, Vec::new()))
}

/// `name=value` again and again; values with spaces stand in quotes or brackets.
fn pairs(mut rest: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        if name.is_empty()
            || !name.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_')
        {
            return None;
        }
        let value = match after.bytes().next() {
            Some(b'"') => {
                let inner = after.strip_prefix('"')?;
                let end = inner.find("\" ").or_else(|| inner.strip_suffix('"').map(str::len))?;
                let (value, _) = inner.split_at(end);
                rest = inner.get(end + 1..)?;
                value
            }
            Some(b'[') => {
                let end = after.find(']')? + 1;
                rest = after.get(end..)?;
                after.get(..end)?
            }
            Some(_) | None => {
                let end = after.find(' ').unwrap_or(after.len());
                rest = after.get(end..)?;
                after.get(..end)?
            }
        };
        pairs.push((name, value));
        rest = match rest.strip_prefix(' ') {
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(pairs).filter(|pairs| !pairs.is_empty())
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
            "2026-11-22T10:15:17.292Z [INFO]  agent.server.raft: initial: index=0"
        );
        let json = json_line(time, Level::WARN, "agent", &said);
        assert!(json.contains("\"@level\":\"warn\""), "{json}");
        assert!(json.contains("\"index\":\"0\""), "{json}");
    }

    #[test]
    fn fields_are_taken_out_of_a_line() {
        let none = Vec::<(&str, &str)>::new();
        for (line, message, fields) in [
            ("initial: index=0", "initial", vec![("index", "0")]),
            (
                "member: pool=Lan name=vm is=alive",
                "member",
                vec![("pool", "Lan"), ("name", "vm"), ("is", "alive")],
            ),
            (
                "(LAN) joining: lan_addresses=[a b] n=1",
                "(LAN) joining",
                vec![("lan_addresses", "[a b]"), ("n", "1")],
            ),
            (
                "Started: address=1 network=\"tcp and udp\"",
                "Started",
                vec![("address", "1"), ("network", "tcp and udp")],
            ),
            ("failed: error=\"a \"b\": c=d\"", "failed", vec![("error", "a \"b\": c=d")]),
            ("state: term=1 leader=", "state", vec![("term", "1"), ("leader", "")]),
            ("Reload failed: no such key", "Reload failed: no such key", none.clone()),
            ("plain", "plain", none.clone()),
            ("odd: a=\"b\"c", "odd: a=\"b\"c", none.clone()),
        ] {
            assert_eq!(split(line), (message, fields), "{line}");
        }
        let said = Said { message: "member: name=vm".to_owned(), fields: Vec::new() };
        let json = json_line("2026-11-22T10:15:17.292Z", Level::INFO, "agent.serf", &said);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["@message"], &json["name"]), (&"member".into(), &"vm".into()));
    }
}
