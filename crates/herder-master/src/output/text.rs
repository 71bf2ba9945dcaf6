//! Lines and events for people.

use herder_logs::Ending;

use super::escape::escape;
use super::queue::Line;
use super::sentence::{Level, level, sentence};
use super::standard::Terminal;
use super::wall::Stamp;
use crate::event::{HerdEvent, WorkerInfo};
use crate::part::Part;

/// What ends a piece of a line that goes on in the next piece.
const CONTINUES: &[u8] = b" [line continues]";

/// Appends `web/0 #3 [1234] text`, `web/gateway #1 [1234] text` or `web/core #1 [1234] text` (a
/// library). On a terminal the printer must
/// not be able to command it.
pub(super) fn line(app: &str, line: &Line, terminal: Terminal, into: &mut Vec<u8>) {
    let WorkerInfo { slot, id, pid } = line.printer.info;
    let place = match line.printer.part {
        Part::Gateway => "gateway".to_owned(),
        Part::Library(library) => library.name.to_string(),
        Part::Workers => slot.to_string(),
    };
    into.extend_from_slice(format!("{app}/{place} #{id} [{pid}] ").as_bytes());
    match terminal {
        Terminal::No => into.extend_from_slice(&line.bytes),
        Terminal::Yes => {
            let mut escaped = String::with_capacity(line.bytes.len());
            escape(
                line.bytes.strip_suffix(b"\r").unwrap_or(&line.bytes),
                &mut escaped,
            );
            into.extend_from_slice(escaped.as_bytes());
        }
    }
    end(line, into);
}

/// Appends the line as the worker printed it.
pub(super) fn bare_line(line: &Line, into: &mut Vec<u8>) {
    into.extend_from_slice(&line.bytes);
    end(line, into);
}

/// Appends `2026-11-21T02:10:49.123Z web: worker 0 #3 [1234] ready`.
///
/// One event is one line, whatever a worker wrote into its reason; only the last lines of a worker
/// follow below it, each clearly marked as such.
pub(super) fn event(app: &str, stamp: Stamp, event: &HerdEvent, into: &mut Vec<u8>) {
    let mut text = format!("{} {app}: ", stamp.wall());
    if level(event) == Level::Warning {
        text.push_str("warning: ");
    }
    escape(sentence(event).as_bytes(), &mut text);
    let (part, event) = Part::told(event);
    let part = match part {
        Part::Gateway => "the gateway",
        Part::Library(_) => "the library",
        Part::Workers => "the worker",
    };
    if let HerdEvent::BootTimedOut { last_lines, .. } | HerdEvent::Finished { last_lines, .. } =
        event
    {
        last_words(part, last_lines, &mut text);
    } else if let HerdEvent::Refused { verdict } | HerdEvent::RolledBack { verdict, .. } = event {
        // A worker, or a library: the sentence says which.
        last_words("it", &verdict.last_lines, &mut text);
    }
    text.push('\n');
    into.extend_from_slice(text.as_bytes());
}

fn last_words(printer: &str, lines: &[String], text: &mut String) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("; {printer} printed last:"));
    for line in lines {
        text.push_str("\n    | ");
        escape(line.as_bytes(), text);
    }
}

fn end(line: &Line, into: &mut Vec<u8>) {
    if line.ending == Ending::Continues {
        into.extend_from_slice(CONTINUES);
    }
    into.push(b'\n');
}
