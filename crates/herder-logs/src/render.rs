//! How lines look.

use herder_api::app::LogFormat;

use crate::desk::Printer;
use crate::reader::Stream;
use crate::settings::Settings;
use crate::split::Ending;
use crate::time::Clock;

/// A buffer that grew beyond this gives its memory back.
const ROOM: usize = 1024 * 1024;

/// Makes a block of lines, all of one source and one moment.
pub(crate) struct Render {
    app: String,
    json: bool,
    clock: Clock,
    /// What stands before each line of this block, and behind it.
    before: Vec<u8>,
    block: Vec<u8>,
}

impl Render {
    pub(crate) fn new(settings: &Settings) -> Render {
        let json = settings.format == LogFormat::Json;
        Render {
            app: settings.app.clone(),
            json,
            clock: if json {
                Clock::utc()
            } else {
                Clock::local(settings.time.clone())
            },
            before: Vec::new(),
            block: Vec::new(),
        }
    }

    /// Begins a block.
    pub(crate) fn begin(&mut self, printer: &Printer, stream: Stream) -> &mut Render {
        self.clock.look();
        self.block.clear();
        self.before.clear();
        if !self.json {
            self.before.extend_from_slice(self.clock.text());
            self.before.push(b' ');
            return self;
        }
        let Printer { part, slot, id, .. } = printer;
        self.before.extend_from_slice(b"{\"time\":\"");
        self.before.extend_from_slice(self.clock.text());
        self.before.extend_from_slice(b"\",\"app\":");
        text(&self.app, &mut self.before);
        if let Some(part) = part {
            self.before.extend_from_slice(b",\"part\":");
            text(part, &mut self.before);
        }
        let rest = format!(
            ",\"slot\":{slot},\"id\":{id},\"stream\":\"{}\",\"line\":",
            stream.name()
        );
        self.before.extend_from_slice(rest.as_bytes());
        self
    }

    pub(crate) fn line(&mut self, line: &[u8], ending: Ending) {
        self.block.extend_from_slice(&self.before);
        if !self.json {
            self.block.extend_from_slice(line);
            self.block.push(b'\n');
            return;
        }
        text(&String::from_utf8_lossy(line), &mut self.block);
        self.block.extend_from_slice(match ending {
            Ending::Continues => b",\"continues\":true}\n",
            Ending::Whole => b"}\n",
        });
    }

    /// The block. [`give_back`](Render::give_back) its memory.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.block)
    }

    pub(crate) fn give_back(&mut self, block: Vec<u8>) {
        if block.capacity() <= ROOM {
            self.block = block;
        }
    }
}

fn text(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("a text is always JSON, and memory takes it");
}
