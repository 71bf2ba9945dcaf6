//! The body of a launch plan: the fields of [`LaunchPlan`] in their order, little endian.
//!
//! Text and bytes are a `u64` length and their bytes; a list is a `u64` count and its items; an
//! option is a byte 0, or 1 and its value. There is exactly one encoding of a plan. Lengths are
//! as wide as that because a list's memory is taken at once, by its count: eight bytes of input
//! for each item of 24 bytes keep a forged body from costing more than four times its length.

use super::error::PlanError;
use super::header::{MAX_DESCRIPTORS, MAX_PLAN};
use super::launch::{
    DescriptorUse, Identity, LaunchPlan, Limit, LimitKind, ListenFds, Orphaned, Program, Role,
};
use crate::reader::Reader;

pub(super) fn encode(plan: &LaunchPlan) -> Result<Vec<u8>, PlanError> {
    if plan.descriptors.len() > MAX_DESCRIPTORS {
        return Err(PlanError::TooManyDescriptors {
            count: plan.descriptors.len(),
        });
    }
    let mut out = Writer::default();
    out.bytes(plan.app.as_bytes());
    out.u8(plan.role as u8);
    out.u16(plan.slot);
    out.u64(plan.incarnation);
    out.bytes(plan.title.as_bytes());
    out.option(plan.program.as_ref(), write_program)?;
    out.list(&plan.environment, |out, (name, value)| {
        out.c_string("environment", name)?;
        out.c_string("environment", value)
    })?;
    out.option(plan.directory.as_ref(), |out, path| {
        out.c_string("directory", path)
    })?;
    out.option(plan.identity.as_ref(), write_identity)?;
    out.option(plan.umask.as_ref(), |out, mask| {
        out.u32(*mask);
        Ok(())
    })?;
    out.list(&plan.limits, |out, limit| {
        out.u8(limit.kind as u8);
        out.u64(limit.soft);
        out.u64(limit.hard);
        Ok(())
    })?;
    out.list(&plan.descriptors, write_descriptor)?;
    Ok(out.0)
}

pub(super) fn decode(body: &[u8]) -> Result<LaunchPlan, PlanError> {
    if body.len() > MAX_PLAN {
        return Err(PlanError::TooLong {
            length: body.len() as u64,
        });
    }
    let mut fields = Fields(Reader::new(body));
    let plan = LaunchPlan {
        app: fields.text("app")?,
        role: fields.get("role", read_role)?,
        slot: fields.get("slot", Reader::u16)?,
        incarnation: fields.get("incarnation", Reader::u64)?,
        title: fields.text("title")?,
        program: fields.option("program", read_program)?,
        environment: fields.list("environment", 16, |fields| {
            Ok((
                fields.c_string("environment")?,
                fields.c_string("environment")?,
            ))
        })?,
        directory: fields.option("directory", |fields| fields.c_string("directory"))?,
        identity: fields.option("identity", read_identity)?,
        umask: fields.option("umask", |fields| fields.get("umask", Reader::u32))?,
        limits: fields.list("limits", 17, |fields| fields.get("limits", read_limit))?,
        descriptors: fields.list("descriptors", 8, |fields| {
            fields.get("descriptors", read_descriptor)
        })?,
    };
    match fields.0.left() {
        0 => Ok(plan),
        count => Err(PlanError::TrailingBytes { count }),
    }
}

fn write_program(out: &mut Writer, program: &Program) -> Result<(), PlanError> {
    out.c_string("program", &program.path)?;
    out.list(&program.argv, |out, argument| {
        out.c_string("argv", argument)
    })?;
    out.u8(program.listen_fds as u8);
    out.u8(program.orphaned as u8);
    Ok(())
}

fn read_program(fields: &mut Fields<'_>) -> Result<Program, PlanError> {
    Ok(Program {
        path: fields.c_string("program")?,
        argv: fields.list("argv", 8, |fields| fields.c_string("argv"))?,
        listen_fds: fields.get("listen_fds", |reader| match reader.u8()? {
            0 => Some(ListenFds::Absent),
            1 => Some(ListenFds::Announced),
            _ => None,
        })?,
        orphaned: fields.get("orphaned", |reader| match reader.u8()? {
            0 => Some(Orphaned::LivesOn),
            1 => Some(Orphaned::Terminated),
            _ => None,
        })?,
    })
}

fn write_identity(out: &mut Writer, identity: &Identity) -> Result<(), PlanError> {
    out.u32(identity.uid);
    out.u32(identity.gid);
    out.list(&identity.groups, |out, group| {
        out.u32(*group);
        Ok(())
    })
}

fn read_identity(fields: &mut Fields<'_>) -> Result<Identity, PlanError> {
    Ok(Identity {
        uid: fields.get("identity", Reader::u32)?,
        gid: fields.get("identity", Reader::u32)?,
        groups: fields.list("groups", 4, |fields| fields.get("groups", Reader::u32))?,
    })
}

fn read_role(reader: &mut Reader<'_>) -> Option<Role> {
    let number = reader.u8()?;
    Role::ALL.into_iter().find(|role| *role as u8 == number)
}

fn read_limit(reader: &mut Reader<'_>) -> Option<Limit> {
    let kind = match reader.u8()? {
        1 => LimitKind::AddressSpace,
        2 => LimitKind::Core,
        3 => LimitKind::Cpu,
        4 => LimitKind::Data,
        5 => LimitKind::FileSize,
        6 => LimitKind::LockedMemory,
        7 => LimitKind::OpenFiles,
        8 => LimitKind::Processes,
        9 => LimitKind::Stack,
        _ => return None,
    };
    Some(Limit {
        kind,
        soft: reader.u64()?,
        hard: reader.u64()?,
    })
}

/// A use is a kind, the number of its place, and the length of its name with the name; what a kind
/// has no use for is zero.
fn write_descriptor(out: &mut Writer, descriptor: &DescriptorUse) -> Result<(), PlanError> {
    let (kind, target, name) = match descriptor {
        DescriptorUse::Keeper => (1, 0, ""),
        DescriptorUse::Control => (2, 0, ""),
        DescriptorUse::Conns => (3, 0, ""),
        DescriptorUse::Listener { name } => (4, 0, name.as_str()),
        DescriptorUse::Place { target } => (5, *target, ""),
        DescriptorUse::Page => (6, 0, ""),
        DescriptorUse::Estate => (7, 0, ""),
    };
    let length = u32::try_from(name.len()).map_err(|_| PlanError::TooLong {
        length: name.len() as u64,
    })?;
    out.u16(kind);
    out.u16(target);
    out.u32(length);
    out.0.extend_from_slice(name.as_bytes());
    Ok(())
}

fn read_descriptor(reader: &mut Reader<'_>) -> Option<DescriptorUse> {
    let (kind, target, length) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let name = reader.bytes(u64::from(length))?;
    match (kind, target, name) {
        (1, 0, b"") => Some(DescriptorUse::Keeper),
        (2, 0, b"") => Some(DescriptorUse::Control),
        (3, 0, b"") => Some(DescriptorUse::Conns),
        (4, 0, name) => Some(DescriptorUse::Listener {
            name: std::str::from_utf8(name).ok()?.to_owned(),
        }),
        (5, target, b"") => Some(DescriptorUse::Place { target }),
        (6, 0, b"") => Some(DescriptorUse::Page),
        (7, 0, b"") => Some(DescriptorUse::Estate),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn c_string(&mut self, field: &'static str, bytes: &[u8]) -> Result<(), PlanError> {
        check_c_string(field, bytes)?;
        self.bytes(bytes);
        Ok(())
    }

    fn list<T>(
        &mut self,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        self.u64(items.len() as u64);
        items.iter().try_for_each(|item| write(self, item))
    }

    fn option<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Self, &T) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        match value {
            None => {
                self.u8(0);
                Ok(())
            }
            Some(value) => {
                self.u8(1);
                write(self, value)
            }
        }
    }
}

struct Fields<'a>(Reader<'a>);

impl<'a> Fields<'a> {
    fn get<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
    ) -> Result<T, PlanError> {
        read(&mut self.0).ok_or(PlanError::Malformed { field })
    }

    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], PlanError> {
        self.get(field, |reader| {
            let length = reader.u64()?;
            reader.bytes(length)
        })
    }

    fn text(&mut self, field: &'static str) -> Result<String, PlanError> {
        let text = std::str::from_utf8(self.bytes(field)?);
        text.map(str::to_owned)
            .map_err(|_| PlanError::Malformed { field })
    }

    fn c_string(&mut self, field: &'static str) -> Result<Vec<u8>, PlanError> {
        let bytes = self.bytes(field)?;
        check_c_string(field, bytes)?;
        Ok(bytes.to_vec())
    }

    /// A list whose items take at least `smallest` bytes each: a count that the rest of the body
    /// cannot hold is refused before memory is taken for it.
    fn list<T>(
        &mut self,
        field: &'static str,
        smallest: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, PlanError>,
    ) -> Result<Vec<T>, PlanError> {
        let count = self.get(field, Reader::u64)?;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.left() / smallest)
            .ok_or(PlanError::Malformed { field })?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn option<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, PlanError>,
    ) -> Result<Option<T>, PlanError> {
        match self.get(field, Reader::u8)? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(PlanError::Malformed { field }),
        }
    }
}

fn check_c_string(field: &'static str, bytes: &[u8]) -> Result<(), PlanError> {
    if bytes.contains(&0) {
        Err(PlanError::NulByte { field })
    } else {
        Ok(())
    }
}
