//! A run as one self-contained page: who did what when, a lane for each server.

use crate::run::Outcome;
use crate::schedule::Schedule;
use std::fmt::Write as _;

const STYLE: &str = "body{font:13px/1.4 ui-monospace,monospace;margin:1.5em;color:#222;background:#fff}\
table{border-collapse:collapse}td,th{padding:1px 8px;vertical-align:top;text-align:left}\
th{position:sticky;top:0;background:#eee}tr:nth-child(even){background:#f8f8f8}\
.t{color:#888;white-space:nowrap}.f{color:#b00;font-weight:bold}.c{color:#06c}\
.l{color:#070;font-weight:bold}pre{background:#f4f4f4;padding:1em;overflow:auto}\
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}th{background:#222}\
tr:nth-child(even){background:#181818}pre{background:#1a1a1a}.c{color:#6af}.l{color:#6c6}.f{color:#f66}}";

/// Lines shown at most: those before the violation matter most.
const LINES_MAX: usize = 4_000;

/// The page.
#[must_use]
pub fn page(schedule: &Schedule, outcome: &Outcome) -> String {
    let servers = usize::from(schedule.options.servers);
    let title = if schedule.scenario.is_empty() { "swarm" } else { &schedule.scenario };
    table(title, schedule.seed, servers, &schedule.text(), outcome)
}

/// Machines with a column of their own at most: those beyond speak in the first one.
const COLUMNS_MAX: usize = 32;

/// A page of a world of so many machines, and the text of what was run.
#[must_use]
pub(crate) fn table(
    title: &str,
    seed: u64,
    servers: usize,
    text: &str,
    outcome: &Outcome,
) -> String {
    let mut page = String::new();
    let mut put = |piece: &str| page.push_str(piece);
    put("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>proconsul-sim: ");
    put(&escape(title));
    put("</title><style>");
    put(STYLE);
    put("</style><h1>");
    put(&escape(title));
    put("</h1>");
    put(&format!(
        "<p>seed {} &middot; trace {:#018x} &middot; {} events &middot; {} messages &middot; {:.3} simulated s</p>",
        seed,
        outcome.trace,
        outcome.events,
        outcome.messages,
        std::time::Duration::from_nanos(outcome.simulated).as_secs_f64()
    ));
    if let Some(violation) = &outcome.violation {
        put(&format!("<h2 class=f>{}</h2>", escape(&violation.rule)));
        put(&format!("<pre>{}</pre>", escape(&violation.text)));
    } else {
        put("<h2>every rule held</h2>");
    }
    let columns = servers.min(COLUMNS_MAX);
    let rest = if columns < servers { format!(", s{columns} and up") } else { String::new() };
    put(&format!("<table><tr><th>time</th><th>world and clients{rest}</th>"));
    for server in 0..columns {
        put(&format!("<th>s{server}</th>"));
    }
    put("</tr>");
    let skipped = outcome.lines.len().saturating_sub(LINES_MAX);
    if skipped > 0 {
        put(&format!("<tr><td class=t>&hellip;</td><td>{skipped} earlier lines</td></tr>"));
    }
    for line in &outcome.lines[skipped..] {
        let micros = line.at / 1_000;
        put(&format!("<tr><td class=t>{}.{:06}</td>", micros / 1_000_000, micros % 1_000_000));
        let machine = line.server.map(usize::from);
        let column = machine.filter(|machine| *machine < columns).map_or(0, |it| it + 1);
        let who = machine.filter(|_| column == 0).map_or_else(String::new, |it| format!("s{it}: "));
        for place in 0..=columns {
            if place == column {
                let text = escape(&line.text);
                put(&format!("<td class={}>{who}{text}</td>", class(&line.text)));
            } else {
                put("<td></td>");
            }
        }
        put("</tr>");
    }
    put("</table><h2>schedule</h2><pre>");
    put(&escape(text));
    put("</pre></html>\n");
    page
}

fn class(text: &str) -> &'static str {
    if text.starts_with("fault") || text.starts_with("dies") || text.starts_with("stops") {
        "f"
    } else if text.starts_with("Leader") {
        "l"
    } else if text.starts_with("client") {
        "c"
    } else {
        "o"
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            other if other.is_ascii() => safe.push(other),
            other => write!(safe, "&#{};", u32::from(other)).expect("a String takes everything"),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Line;

    #[test]
    fn a_page_needs_nothing_else_and_escapes() {
        let line = Line { at: 5_000, server: Some(1), text: "<b>&".into() };
        let outcome = Outcome { lines: vec![line], ..Outcome::default() };
        let page = page(&Schedule::default(), &outcome);
        assert!(page.contains("&lt;b&gt;&amp;") && page.contains("0.000005"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
    }

    #[test]
    fn machines_without_a_column_are_heard_all_the_same() {
        let of = |server| Line { at: 1, server: Some(server), text: format!("words of {server}") };
        let outcome = Outcome { lines: (0..=255).map(of).collect(), ..Outcome::default() };
        let page = table("pools", 1, 300, "", &outcome);
        for server in 0..=255 {
            assert!(page.contains(&format!("words of {server}<")), "{server}");
        }
        assert!(page.contains("s32: words of 32<") && !page.contains("s31: words"));
        assert!(page.contains("<th>s31</th>") && !page.contains("<th>s32</th>"));
        let longest = page.split("<tr>").map(|row| row.matches("<t").count()).max();
        assert_eq!(longest, Some(COLUMNS_MAX + 2));
    }
}
