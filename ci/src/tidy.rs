//! Rules about the text of the sources that no compiler checks.

use crate::Findings;
use crate::sources::{Source, with_ending};

/// Lines of one file, tests included. What is longer has not been cut by idea yet.
const FILE_LINES_MAX: usize = 1_000;
/// Columns of one line.
const LINE_COLUMNS_MAX: usize = 100;
/// Names that say nothing about what is inside.
const EMPTY_FILE_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];
/// Endings of type names that say nothing about what the type is.
const EMPTY_TYPE_ENDINGS: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];

/// Every tidy rule over every file.
#[must_use]
pub fn check() -> Findings {
    let mut findings = Findings::new();
    for source in with_ending("rs") {
        rust_file(&source, &mut findings);
    }
    let pages = with_ending("md");
    for source in &pages {
        markdown_file(source, &mut findings);
    }
    let rooms: Vec<String> = with_ending("toml").into_iter().filter_map(room).collect();
    let pages: Vec<String> = pages.into_iter().map(|page| page.path).collect();
    rooms_without_page(&rooms, &pages, &mut findings);
    findings
}

/// The folder of a crate, if this is its manifest. A fuzz target is no room of its own.
fn room(source: Source) -> Option<String> {
    let folder = source.path.strip_suffix("Cargo.toml")?;
    (!folder.ends_with("/fuzz/")).then(|| folder.to_string())
}

fn rooms_without_page(rooms: &[String], pages: &[String], findings: &mut Findings) {
    for room in rooms {
        let page = format!("{room}README.md");
        if !pages.contains(&page) {
            findings.push(format!("{page} is missing: each room has a page of its own"));
        }
    }
}

fn rust_file(source: &Source, findings: &mut Findings) {
    let path = &source.path;
    let mut say = |line: usize, what: &str| findings.push(format!("{path}:{line}: {what}"));
    if !source.text.starts_with("//!") {
        say(1, "a file begins with a sentence that says what it holds (//!)");
    }
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        say(lines, "more than 1,000 lines: cut it by idea");
    }
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_FILE_NAMES.contains(&stem) {
        say(1, "the file's name says nothing about what is inside");
    }
    let root = path.strip_prefix("core/").and_then(|path| path.strip_suffix("src/lib.rs"));
    let of_core = root.is_some_and(|room| room.matches('/').count() <= 1);
    if of_core && !source.text.lines().any(|line| line == "#![no_std]") {
        say(1, "crates of core are #![no_std]");
    }
    for (at, line) in source.text.lines().enumerate() {
        rust_line(path, line, |what| say(at + 1, what));
    }
}

fn rust_line(path: &str, line: &str, mut say: impl FnMut(&str)) {
    if !line.is_ascii() {
        say("sources are ASCII");
    }
    // A text that clients match is not broken, and neither is an address.
    let quotes = line.contains('"') || line.contains("://");
    if line.chars().count() > LINE_COLUMNS_MAX && !quotes {
        say("longer than 100 columns");
    }
    let code = line.trim_start();
    if path.starts_with("ci/src/tidy.rs") {
        return;
    }
    if code.starts_with("#[ignore") || code.starts_with("#[should_panic") {
        say("a test neither sleeps nor hopes for a panic: write what must hold");
    }
    if code.contains("TODO") || code.contains("FIXME") || code.contains("XXX") {
        say("leftover");
    }
    if code.starts_with("#![allow(") || code.starts_with("#[allow(") {
        say("use #[expect(..., reason = \"...\")]");
    }
    for ending in EMPTY_TYPE_ENDINGS {
        for keyword in ["struct ", "enum ", "trait "] {
            if declares(code, keyword, ending) {
                say("the type's name says nothing about what it is");
            }
        }
    }
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if path.starts_with("core/") && !is_test && !path.contains("/benches/") {
        core_line(code, &mut say);
    }
}

fn declares(code: &str, keyword: &str, ending: &str) -> bool {
    let code = code.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    code.strip_prefix(keyword).is_some_and(|rest| {
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        name.ends_with(ending)
    })
}

fn core_line(code: &str, say: &mut impl FnMut(&str)) {
    if code.starts_with("//") {
        return;
    }
    for word in ["std::time::", "std::thread", "std::fs", "std::net::Tcp", "std::net::Udp"] {
        if code.contains(word) {
            say("core has no clock, thread, file or socket");
        }
    }
    for word in ["HashMap", "HashSet", "thread_rng", "getrandom"] {
        if code.contains(word) {
            say("core has neither hash order nor entropy");
        }
    }
}

fn markdown_file(source: &Source, findings: &mut Findings) {
    let path = &source.path;
    let mut fenced = false;
    let mut titles = 0;
    for line in source.text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.starts_with("# ") {
            titles += 1;
        }
    }
    if titles != 1 {
        findings.push(format!("{path}: a page has one title, this one has {titles}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(path: &str, text: &str) -> Findings {
        let mut findings = Findings::new();
        let source = Source { path: path.to_string(), text: text.to_string() };
        rust_file(&source, &mut findings);
        findings
    }

    #[test]
    fn the_sources_are_tidy() {
        let findings = check();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn each_rule_can_fail() {
        assert_eq!(findings_of("core/a.rs", "//! A.\nfn a() {}\n"), Findings::new());
        for (path, text) in [
            ("core/a.rs", "fn a() {}\n".to_string()),
            ("core/a.rs", format!("//! A.\n{}", "\n".repeat(FILE_LINES_MAX))),
            ("sim/utils.rs", "//! A.\n".to_string()),
            ("core/a.rs", "//! A.\n// \u{e9}\n".to_string()),
            ("core/a.rs", format!("//! A.\n// {}\n", "x".repeat(LINE_COLUMNS_MAX))),
            ("core/a.rs", "//! A.\n#[ignore]\n".to_string()),
            ("core/a.rs", "//! A.\npub struct TaskManager;\n".to_string()),
            ("core/a.rs", "//! A.\nuse std::time::Instant;\n".to_string()),
            ("core/a.rs", "//! A.\nlet map = HashMap::new();\n".to_string()),
            ("core/a.rs", "//! A.\n#[allow(dead_code)]\n".to_string()),
            ("core/src/lib.rs", "//! A.\n".to_string()),
            ("core/a/src/lib.rs", "//! A.\n// #![no_std]\n".to_string()),
        ] {
            assert_eq!(findings_of(path, &text).len(), 1, "{path}: {text}");
        }
        let core = "//! A.\n#![no_std]\n";
        assert_eq!(findings_of("core/a/src/lib.rs", core), Findings::new());
        assert_eq!(findings_of("sim/src/lib.rs", "//! A.\n"), Findings::new());
        let mut findings = Findings::new();
        let rooms = [String::new(), "a/".into(), "b/".into()];
        rooms_without_page(&rooms, &["README.md".into(), "b/README.md".into()], &mut findings);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
}
