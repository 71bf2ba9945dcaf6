//! The agent of one library.

use std::sync::Arc;

use herder_wire::rpc::{CallError, Executed, Signature};
use serde_json::Value;

use super::call::{Call, Patience, Wish};
use super::core::{Connection, Core};
use super::endpoint::Endpoint;
use super::options::{AgentSettings, CallOptions, StreamOptions};
use super::plan::{Named, OwnedNamed};
use super::proxy::{Client, Proxy};
use super::stream::StreamCore;
use super::subscription::Subscription;
use crate::codec::decode;

/// The client of one library, in a worker, another library or a tool.
///
/// Handles are cheap to clone and share one connection, which is made at the first use, on the
/// tokio runtime of that use, and made again whenever it is lost. With the last handle and the
/// last [`Subscription`] it is closed.
///
/// A call ends in one of three ways, and in time: with its answer, with an error of the method, or
/// with an error that says whether the method ran.
#[derive(Clone, Debug)]
pub struct Agent(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Core>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Agent {
    /// An agent for the library at `endpoint`. Nothing is connected before the first use.
    #[must_use]
    pub fn connect(endpoint: Endpoint) -> Self {
        Self::with_settings(endpoint, AgentSettings::default())
    }

    /// The same, with other settings.
    #[must_use]
    pub fn with_settings(endpoint: Endpoint, settings: AgentSettings) -> Self {
        Self(Arc::new(Handle(Arc::new(Core::new(endpoint, settings)))))
    }

    /// Name of the library.
    #[must_use]
    pub fn library(&self) -> &str {
        &self.core().endpoint.library
    }

    /// Waits until the library answers, as long as [`AgentSettings::init`] allows.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](herder_wire::rpc::ErrorKind::Unavailable) when it did not, and
    /// [`Refused`](herder_wire::rpc::ErrorKind::Refused) when it does not talk to this process.
    pub async fn ready(&self) -> Result<(), CallError> {
        let wait = tokio::time::timeout(self.core().settings.init, self.core().link());
        match wait.await {
            Ok(link) => link.map(|_| ()),
            Err(_) => Err(self.core().away(Executed::No)),
        }
    }

    /// Calls a method by name. `args` is a JSON array with one element for each argument.
    ///
    /// # Errors
    ///
    /// What the method returned, or why there is no answer. That the library has no such object
    /// or method, or that it takes other arguments, is known without asking it.
    pub async fn call(&self, object: &str, method: &str, args: Value) -> Result<Value, CallError> {
        self.call_with(object, method, args, CallOptions::default())
            .await
    }

    /// The same as [`Agent::call`].
    ///
    /// # Errors
    ///
    /// As [`Agent::call`].
    pub async fn invoke(
        &self,
        object: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, CallError> {
        self.call(object, method, args).await
    }

    /// Calls a method by name, with a deadline or an idempotency key.
    ///
    /// # Errors
    ///
    /// As [`Agent::call`].
    pub async fn call_with(
        &self,
        object: &str,
        method: &str,
        args: Value,
        options: CallOptions,
    ) -> Result<Value, CallError> {
        let how = (Patience::UntilDeadline, Wish::Answer);
        self.by_name(
            &Named {
                object,
                method,
                args,
            },
            &options,
            how,
        )
        .await
    }

    /// Calls a method if that is possible at once: it waits for the answer, but neither for a
    /// library that is being restarted nor for a place in the window, and is never repeated.
    ///
    /// # Errors
    ///
    /// [`Overloaded`](herder_wire::rpc::ErrorKind::Overloaded) when the window is full, else as
    /// [`Agent::call`].
    pub async fn try_call(
        &self,
        object: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, CallError> {
        let how = (Patience::None, Wish::Answer);
        self.by_name(
            &Named {
                object,
                method,
                args,
            },
            &CallOptions::default(),
            how,
        )
        .await
    }

    /// Calls a method without waiting for an answer: it is on its way when this returns.
    ///
    /// # Errors
    ///
    /// The call could not be sent.
    pub async fn notify(&self, object: &str, method: &str, args: Value) -> Result<(), CallError> {
        let how = (Patience::UntilDeadline, Wish::Nothing);
        let named = Named {
            object,
            method,
            args,
        };
        self.by_name(&named, &CallOptions::default(), how)
            .await
            .map(|_| ())
    }

    /// Subscribes to a stream by name. Whether the library opens it is told by the stream's first
    /// item, or by [`Subscription::opened`].
    pub fn subscribe(
        &self,
        object: &str,
        method: &str,
        args: Value,
        options: StreamOptions,
    ) -> Subscription {
        let plan = OwnedNamed {
            object: object.to_owned(),
            method: method.to_owned(),
            args,
        };
        Subscription::new(self.clone(), StreamCore::new(Box::new(plan), &options))
    }

    /// What the library offers.
    ///
    /// # Errors
    ///
    /// As [`Agent::ready`].
    pub async fn signature(&self) -> Result<Arc<Signature>, CallError> {
        self.ready().await?;
        let link = self.core().link().await?;
        Ok(Arc::clone(&link.facts.signature))
    }

    /// A typed client of an object, once the library answers and has such an object.
    ///
    /// # Errors
    ///
    /// As [`Agent::ready`], and the first difference between the library's object and the one
    /// that the client was compiled with.
    pub async fn object<C: Client>(&self) -> Result<C, CallError> {
        let signature = self.signature().await?;
        let proxy = Proxy::new(self.clone(), C::NAME, C::signature());
        proxy.check(&signature)?;
        Ok(C::new(proxy))
    }

    /// A typed client of an object, at once. Whether the library has such an object is told by
    /// the first call.
    #[must_use]
    pub fn client<C: Client>(&self) -> C {
        C::new(Proxy::new(self.clone(), C::NAME, C::signature()))
    }

    /// How the agent stands with its library.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.core().connection()
    }

    /// What is under way.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let core = self.core();
        Gauges {
            under_way: core.serving().map_or(0, |link| link.under_way()),
            waiting: core.waiting(),
            streams: core.streams(),
        }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0.0
    }

    async fn by_name(
        &self,
        plan: &Named<'_>,
        options: &CallOptions,
        (patience, wish): (Patience, Wish),
    ) -> Result<Value, CallError> {
        let core = self.core();
        let call = Call {
            core,
            plan,
            options,
            patience,
            wish,
        };
        let returned = call.execute().await?;
        decode(returned.codec, &returned.value)
            .map_err(|error| error.at(plan.object, plan.method).in_epoch(returned.epoch))
    }
}

/// What is under way at one agent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Gauges {
    /// Calls and streams on the connection.
    pub under_way: usize,
    /// Calls that wait for the library or for a place in its window.
    pub waiting: usize,
    /// Subscriptions.
    pub streams: usize,
}
