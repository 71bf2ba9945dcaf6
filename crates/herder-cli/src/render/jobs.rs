//! Jobs that run at their times.

use herder_services::library::{HistoryEntry, JobView};

use super::table::{Cell, Column, draw};
use super::text::{age, escape, wait};
use super::{Paint, Style};

const JOBS: [Column; 5] = [
    Column::left("job", 0),
    Column::left("times", 2),
    Column::left("state", 0),
    Column::left("next", 0),
    Column::left("last", 1),
];

const RUNS: [Column; 5] = [
    Column::left("job", 0),
    Column::left("due", 0),
    Column::left("outcome", 0),
    Column::right("took", 1),
    Column::left("why", 0),
];

/// All jobs. `now_ms` is the time, in milliseconds since 1970.
pub(crate) fn jobs(jobs: &[JobView], now_ms: u64, style: Style) -> String {
    if jobs.is_empty() {
        return "There are no jobs.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = jobs.iter().map(|job| row(job, now_ms)).collect();
    draw(&JOBS, &rows, style)
}

fn row(job: &JobView, now_ms: u64) -> Vec<Cell> {
    let state = match (job.paused, job.running) {
        (true, _) => Cell::painted(Paint::Yellow, "paused"),
        (false, 0) => Cell::painted(Paint::Dim, "waits"),
        (false, 1) => Cell::painted(Paint::Green, "runs"),
        (false, many) => Cell::painted(Paint::Green, format!("runs {many} times")),
    };
    let next = job.next.and_then(|next| u64::try_from(next).ok());
    let next = next.map_or_else(String::new, |next| match next.checked_sub(now_ms) {
        Some(left) => format!("in {}", wait(left)),
        None => "now".to_owned(),
    });
    let last = u64::try_from(job.last).ok().filter(|last| *last > 0);
    let last = last.map_or_else(String::new, |last| {
        format!("{} ago", age(now_ms.saturating_sub(last)))
    });
    vec![
        Cell::painted(Paint::Bold, escape(&job.name)),
        Cell::plain(escape(job.definition.timing.as_str())),
        state,
        Cell::plain(next),
        Cell::plain(last),
    ]
}

/// What was run, the latest last.
pub(crate) fn history(entries: &[HistoryEntry], style: Style) -> String {
    if entries.is_empty() {
        return "Nothing was run yet.\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = entries.iter().rev().map(run).collect();
    let style = Style {
        width: None,
        ..style
    };
    draw(&RUNS, &rows, style)
}

fn run(entry: &HistoryEntry) -> Vec<Cell> {
    let paint = match entry.outcome.as_str() {
        "succeeded" => Paint::Green,
        "failed" | "lost" | "timed-out" => Paint::Red,
        _ => Paint::Yellow,
    };
    let took = entry
        .started
        .map(|started| entry.ended.saturating_sub(started));
    let took = took.and_then(|took| u64::try_from(took).ok());
    let again = if entry.retried { ", tried again" } else { "" };
    vec![
        Cell::painted(Paint::Bold, escape(&entry.name)),
        Cell::painted(Paint::Dim, time(entry.tick)),
        Cell::painted(paint, escape(&entry.outcome) + again),
        Cell::plain(took.map_or_else(String::new, wait)),
        Cell::plain(entry.reason.as_deref().map_or_else(String::new, escape)),
    ]
}

/// Milliseconds since 1970 as a time in UTC.
fn time(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis);
    time.map_or_else(|_| String::new(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::snapshot;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn jobs_are_as_recorded() {
        let view = |name: &str, timing: &str, paused, running| -> JobView {
            let now = i64::try_from(NOW).expect("a time");
            let value = serde_json::json!({
                "name": name,
                "definition": {"timing": timing},
                "next": if paused { None } else { Some(now + 90_000) },
                "last": if running == 0 { 0 } else { now - 10_000 },
                "paused": paused,
                "running": running,
            });
            serde_json::from_value(value).expect("a job")
        };
        let list = [
            view("nightly", "0 3 * * *", false, 1),
            view("poll", "every 10s", true, 0),
        ];
        let entry = |outcome: &str, reason: Option<&str>| HistoryEntry {
            name: "poll".to_owned(),
            tick: 1_800_000_000_000,
            attempt: 1,
            started: Some(1_800_000_000_000),
            ended: 1_800_000_000_420,
            outcome: outcome.to_owned(),
            reason: reason.map(str::to_owned),
            retried: reason.is_some(),
        };
        let entries = [
            entry("failed", Some("boom\x1b[2J")),
            entry("succeeded", None),
        ];
        let text = [
            jobs(&list, NOW, Style::PLAIN),
            jobs(&[], NOW, Style::PLAIN),
            history(&entries, Style::PLAIN),
        ];
        snapshot::check("jobs", &text.join("---\n"));
    }
}
