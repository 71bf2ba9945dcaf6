//! From names and values to what a connection carries.

use std::time::Duration;

use bytes::Bytes;
use herder_wire::rpc::{
    CallError, Codec, ErrorKind, Executed, MethodKind, MethodSignature, Target,
};
use serde_json::Value;

use super::link::Facts;

/// A method as one library has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    pub(super) target: Target,
    /// How its arguments are to be written.
    pub(super) codec: Codec,
    pub(super) kind: MethodKind,
    pub(super) is_idempotent: bool,
    /// Its own deadline.
    pub(super) deadline: Option<Duration>,
}

impl Method {
    pub(super) fn new(target: Target, codec: Codec, method: &MethodSignature) -> Self {
        let deadline = method.deadline_ms.map(u64::from).map(Duration::from_millis);
        let (kind, is_idempotent) = (method.kind, method.idempotent);
        Self {
            target,
            codec,
            kind,
            is_idempotent,
            deadline,
        }
    }
}

/// What is asked for, independent of any connection: it is resolved again when another library,
/// or another version of it, answers.
pub(super) trait Plan: Send + Sync {
    /// The object and the method, for messages.
    fn names(&self) -> (&str, &str);

    /// What the library's signature makes of it.
    ///
    /// # Errors
    ///
    /// What the library would answer too: no such object or method, wrong arguments.
    fn resolve(&self, facts: &Facts) -> Result<Method, CallError>;

    /// The arguments, written.
    ///
    /// # Errors
    ///
    /// They have no form in this codec.
    fn encode(&self, codec: Codec) -> Result<Bytes, CallError>;
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

    fn resolve(&self, facts: &Facts) -> Result<Method, CallError> {
        resolve_named((self.object, self.method), &self.args, facts)
    }

    fn encode(&self, _: Codec) -> Result<Bytes, CallError> {
        Ok(write(&self.args))
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

    fn resolve(&self, facts: &Facts) -> Result<Method, CallError> {
        resolve_named((&self.object, &self.method), &self.args, facts)
    }

    fn encode(&self, _: Codec) -> Result<Bytes, CallError> {
        Ok(write(&self.args))
    }
}

fn write(args: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(args).expect("JSON can be written as JSON"))
}

fn resolve_named(
    (object, name): (&str, &str),
    args: &Value,
    facts: &Facts,
) -> Result<Method, CallError> {
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
    Ok(Method::new(target, Codec::Json, method))
}

/// The method must be of a kind that can be used so.
pub(super) fn check_kind(method: &Method, usage: Usage) -> Result<(), CallError> {
    let message = match (usage, method.kind) {
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
