//! The body of [`ToGateway::Configure`](super::ToGateway::Configure): the fields of
//! [`GatewayConfig`] in their order, little endian.
//!
//! A choice is one byte. A text is a `u32` length and its bytes, a list a `u32` count and its
//! items, an option a byte 0, or 1 and its value. There is exactly one encoding of a configuration.

use super::MAX_ORIGINS;
use super::config::GatewayConfig;
use super::settings::{Origins, Policy, Protocol, Reports, Retry};
use crate::plan::MAX_DESCRIPTORS;
use crate::reader::Reader;

const ANY: u8 = 0;
const SAME: u8 = 1;
const LISTED: u8 = 2;

/// Appends `config`; `None` if a receiver would refuse it.
pub(super) fn write(config: &GatewayConfig, out: &mut Vec<u8>) -> Option<()> {
    config.check().ok()?;
    write_u32(u32::try_from(config.protocols.len()).ok()?, out);
    out.extend(config.protocols.iter().map(|protocol| *protocol as u8));
    write_option(config.beat_millis, out);
    out.push(config.policy as u8);
    write_option(config.max_jobs, out);
    out.push(config.retry as u8);
    out.push(config.reports as u8);
    for number in [
        config.client_window,
        config.worker_window,
        config.worker_jobs,
        config.pending,
        config.max_message,
        config.max_clients,
        config.handshake_timeout_millis,
        config.close_timeout_millis,
        config.starting_wait_millis,
        config.steal_after_millis,
        config.pending_timeout_millis,
    ] {
        write_u32(number, out);
    }
    write_option(config.keep_alive_millis, out);
    write_origins(&config.origins, out)?;
    write_optional_text(config.feed.as_deref(), out)?;
    write_optional_text(config.lost_reply.as_deref(), out)
}

/// A configuration, which is a whole body.
pub(super) fn read(body: &[u8]) -> Option<GatewayConfig> {
    let mut fields = Reader::new(body);
    let config = GatewayConfig {
        protocols: read_protocols(&mut fields)?,
        beat_millis: read_option(&mut fields)?,
        policy: Policy::from_number(fields.u8()?)?,
        max_jobs: read_option(&mut fields)?,
        retry: Retry::from_number(fields.u8()?)?,
        reports: Reports::from_number(fields.u8()?)?,
        client_window: fields.u32()?,
        worker_window: fields.u32()?,
        worker_jobs: fields.u32()?,
        pending: fields.u32()?,
        max_message: fields.u32()?,
        max_clients: fields.u32()?,
        handshake_timeout_millis: fields.u32()?,
        close_timeout_millis: fields.u32()?,
        starting_wait_millis: fields.u32()?,
        steal_after_millis: fields.u32()?,
        pending_timeout_millis: fields.u32()?,
        keep_alive_millis: read_option(&mut fields)?,
        origins: read_origins(&mut fields)?,
        feed: read_optional_text(&mut fields)?,
        lost_reply: read_optional_text(&mut fields)?,
    };
    config.check().ok()?;
    fields.finish(config)
}

fn write_u32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn write_option(number: Option<u32>, out: &mut Vec<u8>) {
    match number {
        None => out.push(0),
        Some(number) => {
            out.push(1);
            write_u32(number, out);
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    write_u32(u32::try_from(text.len()).ok()?, out);
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn write_optional_text(text: Option<&str>, out: &mut Vec<u8>) -> Option<()> {
    match text {
        None => {
            out.push(0);
            Some(())
        }
        Some(text) => {
            out.push(1);
            write_text(text, out)
        }
    }
}

fn write_origins(origins: &Origins, out: &mut Vec<u8>) -> Option<()> {
    match origins {
        Origins::Any => out.push(ANY),
        Origins::Same => out.push(SAME),
        Origins::Listed(origins) => {
            out.push(LISTED);
            write_u32(u32::try_from(origins.len()).ok()?, out);
            for origin in origins {
                write_text(origin, out)?;
            }
        }
    }
    Some(())
}

fn read_protocols(fields: &mut Reader<'_>) -> Option<Vec<Protocol>> {
    read_list(fields, MAX_DESCRIPTORS, |fields| {
        Protocol::from_number(fields.u8()?)
    })
}

fn read_origins(fields: &mut Reader<'_>) -> Option<Origins> {
    match fields.u8()? {
        ANY => Some(Origins::Any),
        SAME => Some(Origins::Same),
        LISTED => read_list(fields, MAX_ORIGINS, read_text).map(Origins::Listed),
        _ => None,
    }
}

/// A list of at most `limit` items. Memory is taken by its count, hence only after the check.
fn read_list<T>(
    fields: &mut Reader<'_>,
    limit: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::try_from(fields.u32()?).ok()?;
    if count > limit {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(read(fields)?);
    }
    Some(items)
}

fn read_text(fields: &mut Reader<'_>) -> Option<String> {
    let length = fields.u32()?;
    let bytes = fields.bytes(u64::from(length))?;
    Some(std::str::from_utf8(bytes).ok()?.to_owned())
}

fn read_option(fields: &mut Reader<'_>) -> Option<Option<u32>> {
    match fields.u8()? {
        0 => Some(None),
        1 => fields.u32().map(Some),
        _ => None,
    }
}

fn read_optional_text(fields: &mut Reader<'_>) -> Option<Option<String>> {
    match fields.u8()? {
        0 => Some(None),
        1 => read_text(fields).map(Some),
        _ => None,
    }
}
