//! An object made of closures.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use herder_wire::rpc::{
    Argument, CallError, ErrorKind, Executed, MethodKind, MethodSignature, ObjectSignature,
};

use crate::server::{MethodLimits, Object, Sink};
use crate::{Args, BoxFuture, Caller, Cx, Reply};

type Called = dyn Fn(Cx, Args) -> BoxFuture<'static, Result<Reply, CallError>> + Send + Sync;
type Subscribed = dyn Fn(Cx, Args, Sink) -> BoxFuture<'static, Result<(), CallError>> + Send + Sync;

type Down = dyn Fn(&Caller) + Send + Sync;

/// An object whose methods are closures.
#[derive(Default)]
pub struct Script {
    methods: BTreeMap<String, Method>,
    down: Option<Box<Down>>,
}

struct Method {
    signature: MethodSignature,
    limits: MethodLimits,
    act: Act,
}

enum Act {
    Call(Box<Called>),
    Stream(Box<Subscribed>),
}

impl Script {
    /// An object without methods.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method that takes any arguments.
    #[must_use]
    pub fn call<F>(
        self,
        name: &str,
        limits: MethodLimits,
        act: impl Fn(Cx, Args) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reply, CallError>> + Send + 'static,
    {
        let act = Act::Call(Box::new(move |cx, args| Box::pin(act(cx, args))));
        self.add(name, MethodKind::Call, limits, act)
    }

    /// Adds a stream that takes any arguments.
    #[must_use]
    pub fn stream<F>(
        self,
        name: &str,
        kind: MethodKind,
        act: impl Fn(Cx, Args, Sink) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), CallError>> + Send + 'static,
    {
        let act = Act::Stream(Box::new(move |cx, args, sink| {
            Box::pin(act(cx, args, sink))
        }));
        self.add(name, kind, MethodLimits::default(), act)
    }

    /// What to do when a caller is gone.
    #[must_use]
    pub fn down(mut self, down: impl Fn(&Caller) + Send + Sync + 'static) -> Self {
        self.down = Some(Box::new(down));
        self
    }

    /// A method's number.
    ///
    /// # Panics
    ///
    /// When there is no such method.
    #[must_use]
    pub fn number(&self, name: &str) -> u16 {
        let place = self.methods.keys().position(|method| method == name);
        u16::try_from(place.expect("the method was added")).expect("there are few")
    }

    fn add(mut self, name: &str, kind: MethodKind, limits: MethodLimits, act: Act) -> Self {
        let any = Argument {
            name: "args".to_owned(),
            schema: true.into(),
        };
        let signature = MethodSignature {
            kind,
            args: vec![any],
            variadic: true,
            ..MethodSignature::default()
        };
        self.methods.insert(
            name.to_owned(),
            Method {
                signature,
                limits,
                act,
            },
        );
        self
    }

    fn method(&self, number: u16) -> Option<&Method> {
        self.methods.values().nth(usize::from(number))
    }
}

impl Object for Script {
    fn signature(&self) -> ObjectSignature {
        let methods = self.methods.iter();
        ObjectSignature::new(
            "",
            methods.map(|(name, method)| (name.clone(), method.signature.clone())),
        )
    }

    fn call(
        self: Arc<Self>,
        cx: Cx,
        method: u16,
        args: Args,
    ) -> BoxFuture<'static, Result<Reply, CallError>> {
        match self.method(method).map(|method| &method.act) {
            Some(Act::Call(act)) => act(cx, args),
            Some(Act::Stream(_)) | None => Box::pin(async { Err(no_method()) }),
        }
    }

    fn subscribe(
        self: Arc<Self>,
        cx: Cx,
        method: u16,
        args: Args,
        sink: Sink,
    ) -> BoxFuture<'static, Result<(), CallError>> {
        match self.method(method).map(|method| &method.act) {
            Some(Act::Stream(act)) => act(cx, args, sink),
            Some(Act::Call(_)) | None => Box::pin(async { Err(no_method()) }),
        }
    }

    fn limits(&self, method: u16) -> MethodLimits {
        self.method(method)
            .map_or_else(MethodLimits::default, |method| method.limits)
    }

    fn worker_down(&self, caller: &Caller) {
        if let Some(down) = &self.down {
            down(caller);
        }
    }
}

fn no_method() -> CallError {
    CallError::new(ErrorKind::NoMethod, Executed::No, "")
}
