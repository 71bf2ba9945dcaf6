//! What an object is to the library that holds it.

use std::sync::Arc;

use herder_wire::rpc::{CallError, ObjectSignature};

use super::{MethodLimits, Sink};
use crate::{Args, BoxFuture, Caller, Cx, Reply};

/// An object that a library offers. `#[herder::object]` writes this for a trait.
pub trait Object: Send + Sync + 'static {
    /// Its methods; a method's number is its place in the order of names.
    fn signature(&self) -> ObjectSignature;

    /// Executes a method. The future is dropped when the caller takes the call back, is gone, or
    /// waits no longer; if it panics, the object lives on and the caller is told.
    fn call(
        self: Arc<Self>,
        cx: Cx,
        method: u16,
        args: Args,
    ) -> BoxFuture<'static, Result<Reply, CallError>>;

    /// Feeds a stream until it ends. The future is dropped when the caller leaves.
    fn subscribe(
        self: Arc<Self>,
        cx: Cx,
        method: u16,
        args: Args,
        sink: Sink,
    ) -> BoxFuture<'static, Result<(), CallError>>;

    /// How many calls of a method run and wait. Asked once, at the start.
    fn limits(&self, method: u16) -> MethodLimits {
        let _ = method;
        MethodLimits::default()
    }

    /// The last connection of a caller ended: its calls and streams are dropped already, and what
    /// it held may be given to others. Not told when the library ends, for its callers live on.
    fn worker_down(&self, caller: &Caller) {
        let _ = caller;
    }
}

/// What [`super::Library::object`] takes: an object that knows its name.
pub trait IntoObject {
    /// The name and the object.
    fn into_object(self) -> (String, Arc<dyn Object>);
}

impl<O: Object> IntoObject for (&str, O) {
    fn into_object(self) -> (String, Arc<dyn Object>) {
        (self.0.to_owned(), Arc::new(self.1))
    }
}
