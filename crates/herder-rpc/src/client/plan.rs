//! From names and values to what a connection carries.

use std::time::Duration;

use bytes::Bytes;
use herder_wire::rpc::{
    CallError, Codec, ErrorKind, Executed, Frame, MethodKind, MethodSignature, Target,
};
use serde_json::Value;

use super::link::Facts;

/// Arguments, written for one library.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) codec: Codec,
    pub(super) args: Bytes,
    pub(super) kind: MethodKind,
    pub(super) is_idempotent: bool,
    /// The method's own deadline.
    pub(super) deadline: Option<Duration>,
}

impl Prepared {
    pub(super) fn new(
        target: Target,
        method: &MethodSignature,
        (codec, args): (Codec, Bytes),
    ) -> Self {
        let deadline = method.deadline_ms.map(u64::from).map(Duration::from_millis);
        Self {
            target,
            codec,
            args,
            kind: method.kind,
            is_idempotent: method.idempotent,
            deadline,
        }
    }

    /// The length of the frame that carries a call, in bytes.
    pub(super) fn frame_length(&self, key: &Bytes) -> usize {
        let frame = Frame::Call {
            id: 0,
            target: self.target,
            deadline_ms: 1,
            key: key.clone(),
            delivery: herder_wire::rpc::Delivery::Answered,
            codec: self.codec,
            args: self.args.clone(),
        };
        frame.encoded_length()
    }
}

/// What is asked for, independent of any connection: it is prepared again when another library,
/// or another version of it, answers.
pub(super) trait Plan: Send + Sync {
    /// The object and the method, for messages.
    fn names(&self) -> (&str, &str);

    /// What the library's signature makes of it.
    ///
    /// # Errors
    ///
    /// What the library would answer too: no such object or method, wrong arguments.
    fn prepare(&self, facts: &Facts) -> Result<Prepared, CallError>;
}

/// A call by name, with JSON.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) object: &'a str,
    pub(super) method: &'a str,
    pub(super) args: Value,
}

impl Plan for Named<'_> {
    fn names(&self) -> (&str, &str) {
        (self.object, self.method)
    }

    fn prepare(&self, facts: &Facts) -> Result<Prepared, CallError> {
        prepare_named((self.object, self.method), &self.args, facts)
    }
}

/// A stream by name, which outlives the borrow of its names.
#[derive(Debug)]
pub(super) struct OwnedNamed {
    pub(super) object: String,
    pub(super) method: String,
    pub(super) args: Value,
}

impl Plan for OwnedNamed {
    fn names(&self) -> (&str, &str) {
        (&self.object, &self.method)
    }

    fn prepare(&self, facts: &Facts) -> Result<Prepared, CallError> {
        prepare_named((&self.object, &self.method), &self.args, facts)
    }
}

fn prepare_named(
    (object, name): (&str, &str),
    args: &Value,
    facts: &Facts,
) -> Result<Prepared, CallError> {
    let refused = |kind, message: String| {
        Err(CallError::new(kind, Executed::No, message).in_epoch(facts.welcome.epoch))
    };
    let signature = &facts.signature;
    let Some((target, method)) = signature.find(object, name) else {
        let library = &signature.library;
        return match signature.objects.contains_key(object) {
            true => refused(
                ErrorKind::NoMethod,
                format!("{object} has no method {name}"),
            ),
            false => refused(
                ErrorKind::NoObject,
                format!("{library} has no object {object}"),
            ),
        };
    };
    let Value::Array(list) = args else {
        return refused(ErrorKind::BadArguments, "arguments are an array".to_owned());
    };
    if !method.variadic && list.len() != method.args.len() {
        let names: Vec<_> = method.args.iter().map(|arg| arg.name.as_str()).collect();
        let expected = names.join(", ");
        let (given, wanted) = (list.len(), names.len());
        let message = format!("{given} arguments were given, {wanted} are expected ({expected})");
        return refused(ErrorKind::BadArguments, message);
    }
    let body = serde_json::to_vec(args).expect("JSON can be written as JSON");
    Ok(Prepared::new(
        target,
        method,
        (Codec::Json, Bytes::from(body)),
    ))
}

/// The method must be of a kind that can be used so.
pub(super) fn check_kind(prepared: &Prepared, usage: Usage) -> Result<(), CallError> {
    let message = match (usage, prepared.kind) {
        (Usage::Call, MethodKind::Call | MethodKind::Notify)
        | (Usage::Stream, MethodKind::State | MethodKind::Events) => return Ok(()),
        (Usage::Call, MethodKind::State | MethodKind::Events) => {
            "it is a stream: it is subscribed to, not called"
        }
        (Usage::Stream, MethodKind::Call | MethodKind::Notify) => {
            "it is no stream: it is called, not subscribed to"
        }
    };
    Err(CallError::new(
        ErrorKind::BadArguments,
        Executed::No,
        message,
    ))
}

/// How a method is being used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    Call,
    Stream,
}
