//! Typed clients: what `#[herder::object]` builds on.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use herder_wire::rpc::signature::Incompatible;
use herder_wire::rpc::{CallError, Codec, ErrorKind, Executed, ObjectSignature, Signature, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::agent::Agent;
use super::call::{Call, Patience, Wish};
use super::link::Facts;
use super::options::{CallOptions, StreamOptions};
use super::plan::{Method, Plan};
use super::stream::StreamCore;
use super::subscription::Subscription;
use crate::BoxFuture;
use crate::codec::{decode, encode};

/// A typed client of one object. `#[herder::object]` writes this for a trait.
pub trait Client: Sized {
    /// Name of the object.
    const NAME: &'static str;

    /// The object as the client was compiled with it.
    fn signature() -> Arc<ObjectSignature>;

    /// A client that calls through `proxy`.
    fn new(proxy: Proxy) -> Self;
}

/// An object of a library, as a client was compiled with it. Methods are numbers in the order of
/// names of the *compiled* signature; the library may number them otherwise.
#[derive(Clone, Debug)]
pub struct Proxy {
    agent: Agent,
    shape: Arc<Shape>,
}

#[derive(Debug)]
struct Shape {
    object: &'static str,
    compiled: Arc<ObjectSignature>,
    /// Names of the methods, by number.
    methods: Vec<String>,
    /// How the client fits the library that answered last.
    last: Mutex<Option<Compared>>,
}

/// What came of comparing the client with a library.
#[derive(Debug)]
struct Compared {
    library: Arc<Signature>,
    fit: Result<Arc<Fit>, CallError>,
}

/// The library's numbers for what the client was compiled with.
#[derive(Debug)]
struct Fit {
    object: u16,
    methods: Vec<u16>,
    /// Both sides were compiled with the same types.
    is_same: bool,
}

impl Proxy {
    pub(super) fn new(agent: Agent, object: &'static str, compiled: Arc<ObjectSignature>) -> Self {
        let methods = compiled.methods.keys().cloned().collect();
        let shape = Shape {
            object,
            compiled,
            methods,
            last: Mutex::default(),
        };
        Self {
            agent,
            shape: Arc::new(shape),
        }
    }

    /// The agent that carries the calls.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Calls a method. `args` is a tuple with one element for each argument, `[(); 0]` for none.
    ///
    /// # Errors
    ///
    /// As [`Agent::call`].
    pub async fn call<A: Serialize + Sync, R: DeserializeOwned>(
        &self,
        method: u16,
        args: &A,
        options: &CallOptions,
    ) -> Result<R, CallError> {
        let returned = self.execute(method, args, options, Wish::Answer).await?;
        decode(returned.codec, &returned.value).map_err(|error| {
            error
                .at(self.shape.object, self.shape.name(method))
                .in_epoch(returned.epoch)
        })
    }

    /// Calls a method that is not answered: it is on its way when this returns.
    ///
    /// # Errors
    ///
    /// The call could not be sent.
    pub async fn notify<A: Serialize + Sync>(
        &self,
        method: u16,
        args: &A,
        options: &CallOptions,
    ) -> Result<(), CallError> {
        self.execute(method, args, options, Wish::Nothing)
            .await
            .map(|_| ())
    }

    /// Subscribes to a stream.
    pub fn subscribe<A, T>(&self, method: u16, args: A, options: &StreamOptions) -> Subscription<T>
    where
        A: Serialize + Send + Sync + 'static,
        T: DeserializeOwned,
    {
        let plan = TypedStream {
            shape: Arc::clone(&self.shape),
            method,
            args,
        };
        Subscription::new(self.agent.clone(), StreamCore::new(Box::new(plan), options))
    }

    /// Whether this library has the object that the client was compiled with.
    pub(super) fn check(&self, signature: &Arc<Signature>) -> Result<(), CallError> {
        self.shape.fit(signature).map(|_| ())
    }

    async fn execute<A: Serialize + Sync>(
        &self,
        method: u16,
        args: &A,
        options: &CallOptions,
        wish: Wish,
    ) -> Result<super::call::Returned, CallError> {
        let plan = Typed {
            shape: &self.shape,
            method,
            args,
        };
        let (core, patience) = (self.agent.core(), Patience::UntilDeadline);
        Call {
            core,
            plan: &plan,
            options,
            patience,
            wish,
        }
        .execute()
        .await
    }
}

impl Shape {
    fn name(&self, method: u16) -> &str {
        self.methods
            .get(usize::from(method))
            .map_or("?", String::as_str)
    }

    fn fit(&self, signature: &Arc<Signature>) -> Result<Arc<Fit>, CallError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && Arc::ptr_eq(&last.library, signature)
        {
            return last.fit.clone();
        }
        let (library, fit) = (Arc::clone(signature), self.compare(signature));
        *last = Some(Compared {
            library,
            fit: fit.clone(),
        });
        fit
    }

    fn compare(&self, signature: &Signature) -> Result<Arc<Fit>, CallError> {
        signature
            .check(self.object, &self.compiled)
            .map_err(|difference| {
                let kind = match difference {
                    Incompatible::NoObject { .. } => ErrorKind::NoObject,
                    Incompatible::NoMethod { .. } => ErrorKind::NoMethod,
                    Incompatible::Differs { .. } => ErrorKind::BadArguments,
                };
                CallError::new(kind, Executed::No, difference.to_string())
            })?;
        let offered = &signature.objects[self.object];
        let methods = self
            .methods
            .iter()
            .map(|name| offered.methods[name].id)
            .collect();
        // Without a layout nothing is known of the order of fields, which postcard relies on.
        let is_same = offered.hash == self.compiled.hash && !self.compiled.layout.is_empty();
        Ok(Arc::new(Fit {
            object: offered.id,
            methods,
            is_same,
        }))
    }

    fn resolve(&self, method: u16, facts: &Facts) -> Result<Method, CallError> {
        let fit = self.fit(&facts.signature)?;
        let codec = match fit.is_same && facts.welcome.speaks_postcard() {
            true => Codec::Postcard,
            false => Codec::Json,
        };
        let number = fit.methods.get(usize::from(method)).copied();
        let (Some(number), Some(signature)) =
            (number, self.compiled.methods.get(self.name(method)))
        else {
            let message = format!("the client has no method number {method}");
            return Err(CallError::new(ErrorKind::NoMethod, Executed::No, message));
        };
        let target = Target {
            object: fit.object,
            method: number,
        };
        Ok(Method::new(target, codec, signature))
    }
}

fn write<A: Serialize>(codec: Codec, args: &A) -> Result<Bytes, CallError> {
    encode(codec, args).map_err(|mut error| {
        error.executed = Executed::No;
        error
    })
}

struct Typed<'a, A> {
    shape: &'a Shape,
    method: u16,
    args: &'a A,
}

impl<A: Serialize + Sync> Plan for Typed<'_, A> {
    fn names(&self) -> (&str, &str) {
        (self.shape.object, self.shape.name(self.method))
    }

    fn resolve(&self, facts: &Facts) -> Result<Method, CallError> {
        self.shape.resolve(self.method, facts)
    }

    fn encode(&self, codec: Codec) -> Result<Bytes, CallError> {
        write(codec, self.args)
    }
}

struct TypedStream<A> {
    shape: Arc<Shape>,
    method: u16,
    args: A,
}

impl<A: Serialize + Send + Sync> Plan for TypedStream<A> {
    fn names(&self) -> (&str, &str) {
        (self.shape.object, self.shape.name(self.method))
    }

    fn resolve(&self, facts: &Facts) -> Result<Method, CallError> {
        self.shape.resolve(self.method, facts)
    }

    fn encode(&self, codec: Codec) -> Result<Bytes, CallError> {
        write(codec, &self.args)
    }
}

/// One call of a typed client, made when it is awaited.
#[must_use = "a call is made when it is awaited"]
pub struct TypedCall<A, R, E> {
    proxy: Proxy,
    method: u16,
    args: A,
    options: CallOptions,
    returns: PhantomData<fn() -> (R, E)>,
}

impl<A, R, E> TypedCall<A, R, E> {
    /// A call of the method with this number.
    pub fn new(proxy: &Proxy, method: u16, args: A) -> Self {
        let options = CallOptions::default();
        Self {
            proxy: proxy.clone(),
            method,
            args,
            options,
            returns: PhantomData,
        }
    }

    /// How long to wait for the answer, instead of the method's deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// An idempotency key: a method that remembers keys runs once for each.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.options.key = Some(key.into());
        self
    }
}

impl<A, R, E> IntoFuture for TypedCall<A, R, E>
where
    A: Serialize + Send + Sync + 'static,
    R: DeserializeOwned + 'static,
    E: From<CallError> + 'static,
{
    type Output = Result<R, E>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let returned = self
                .proxy
                .execute(self.method, &self.args, &self.options, Wish::Answer);
            let returned = returned.await?;
            let value = decode(returned.codec, &returned.value).map_err(|error| {
                let shape = &self.proxy.shape;
                error
                    .at(shape.object, shape.name(self.method))
                    .in_epoch(returned.epoch)
            })?;
            Ok(value)
        })
    }
}

impl<A, R, E> fmt::Debug for TypedCall<A, R, E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.proxy.shape;
        write!(
            out,
            "TypedCall({}.{})",
            shape.object,
            shape.name(self.method)
        )
    }
}

/// Why a call of a typed client failed: by the method's own error, or else.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RpcError<E> {
    /// The method returned this.
    #[error("{0}")]
    App(E),
    /// There is no answer of the method.
    #[error(transparent)]
    Call(CallError),
}

impl<E: DeserializeOwned> From<CallError> for RpcError<E> {
    fn from(error: CallError) -> Self {
        if error.kind != ErrorKind::App {
            return Self::Call(error);
        }
        match error.data.as_ref().map(E::deserialize) {
            Some(Ok(app)) => Self::App(app),
            Some(Err(_)) | None => Self::Call(error),
        }
    }
}
