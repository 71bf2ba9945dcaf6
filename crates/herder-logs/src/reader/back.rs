//! The last lines of a file, and of what was put away before it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use flate2::read::MultiGzDecoder;
use herder_api::control::LogLine;
use rustix::fs::Stat;

use super::parse::parse;
use super::{Filter, LogFile, MAX_LINE, open_at};
use crate::attic;
use crate::name::{Packing, PutAway, compressed};
use crate::place::{Missing, Place};

const BLOCK: usize = 64 * 1024;

/// The last lines that pass: of `open` (up to the place `end`, if one is given), and when it has not
/// enough, of the files that were put away.
pub(super) fn last(
    file: &LogFile,
    open: Option<&File>,
    end: Option<u64>,
    lines: usize,
    filter: &Filter,
) -> io::Result<Vec<LogLine>> {
    let mut found = VecDeque::new();
    let mut known = None;
    if let Some(open) = open {
        let metadata = open.metadata()?;
        known = Some((metadata.dev(), metadata.ino()));
        let end = end.unwrap_or(metadata.len());
        backwards(open, end, |line| {
            gather(file, line, lines, filter, &mut found)
        })?;
    }
    if found.len() < lines
        && let Ok(place) = Place::find(&file.path, Missing::Fails)
    {
        for (_, packing, name) in put_away(&place)?.into_iter().rev() {
            let missing = lines - found.len();
            if missing == 0 {
                break;
            }
            let Some((old, stat, packing)) = open_old(&place, &name, packing)? else {
                continue;
            };
            if known == Some((stat.st_dev, stat.st_ino)) {
                continue;
            }
            match packing {
                Packing::Plain => {
                    let end = old.metadata()?.len();
                    backwards(&old, end, |line| {
                        gather(file, line, lines, filter, &mut found)
                    })?;
                }
                Packing::Gzip => {
                    for line in unpacked(file, old, missing, filter)?.into_iter().rev() {
                        found.push_front(line);
                    }
                }
            }
        }
    }
    Ok(found.into())
}

/// The last lines of a compressed file. It has to be read from its beginning.
fn unpacked(
    file: &LogFile,
    old: File,
    lines: usize,
    filter: &Filter,
) -> io::Result<VecDeque<LogLine>> {
    let mut found = VecDeque::new();
    forwards(MultiGzDecoder::new(old), |line| {
        let line = parse(file, line);
        if filter.passes(&line) {
            if found.len() == lines {
                found.pop_front();
            }
            found.push_back(line);
        }
    })?;
    Ok(found)
}

/// Takes a line from the back; whether more are wanted.
fn gather(
    file: &LogFile,
    line: &[u8],
    lines: usize,
    filter: &Filter,
    found: &mut VecDeque<LogLine>,
) -> bool {
    let line = parse(file, line);
    if found.len() < lines && filter.passes(&line) {
        found.push_front(line);
    }
    found.len() < lines
}

/// What was put away of a file, the oldest first. One that is being compressed is there once.
pub(super) fn put_away(place: &Place) -> io::Result<Vec<(PutAway, Packing, OsString)>> {
    let mut all: Vec<(PutAway, Packing, _)> = Vec::new();
    for name in attic::list(place.directory())? {
        if let Some((base, when, packing)) = crate::name::parse(&name)
            && base == place.name
        {
            all.push((when, packing, name));
        }
    }
    all.sort();
    all.dedup_by(|later, earlier| later.0 == earlier.0);
    Ok(all)
}

/// Opens a file that was put away. It may have been compressed just now, or removed.
pub(super) fn open_old(
    place: &Place,
    name: &OsStr,
    packing: Packing,
) -> io::Result<Option<(File, Stat, Packing)>> {
    if let Some((file, stat)) = open_at(place, name)? {
        return Ok(Some((file, stat, packing)));
    }
    let open = match packing {
        Packing::Plain => open_at(place, &compressed(name))?,
        Packing::Gzip => None,
    };
    Ok(open.map(|(file, stat)| (file, stat, Packing::Gzip)))
}

/// Gives the lines before `end`, the last one first, until `take` has enough.
fn backwards(file: &File, end: u64, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    // What was read and belongs to a line that begins further ahead.
    let mut rest: Vec<u8> = Vec::new();
    let mut block = vec![0; BLOCK];
    let mut at = end;
    let mut is_last = true;
    while at > 0 {
        let length = usize::try_from(at).unwrap_or(BLOCK).min(BLOCK);
        at -= length as u64;
        let block = &mut block[..length];
        match file.read_exact_at(block, at) {
            // It was emptied meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let mut before = &*block;
        if std::mem::take(&mut is_last) {
            before = before.strip_suffix(b"\n").unwrap_or(before);
        }
        while let Some(newline) = memchr::memrchr(b'\n', before) {
            let line = &before[newline + 1..];
            let more = if rest.is_empty() {
                take(line)
            } else {
                rest.splice(..0, line.iter().copied());
                let more = take(&rest);
                rest.clear();
                more
            };
            if !more {
                return Ok(());
            }
            before = &before[..newline];
        }
        rest.splice(..0, before.iter().copied());
        if rest.len() > MAX_LINE {
            if !take(&rest) {
                return Ok(());
            }
            rest.clear();
        }
    }
    if end > 0 {
        take(&rest);
    }
    Ok(())
}

/// Gives all lines.
pub(super) fn forwards(from: impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut from = BufReader::with_capacity(BLOCK, from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut from)
            .take(MAX_LINE as u64)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        take(line.strip_suffix(b"\n").unwrap_or(&line));
    }
}
