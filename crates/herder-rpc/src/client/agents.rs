//! The agents of all libraries of a herd.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use herder_wire::rpc::{CallError, ErrorKind, Executed, Signature};
use serde_json::Value;

use super::agent::Agent;
use super::endpoint::{Endpoint, endpoints_from_environment};
use super::error::EnvironmentError;
use super::options::{AgentSettings, CallOptions, StreamOptions};
use super::proxy::Client;
use super::subscription::Subscription;

/// One agent for each library of the herd. An object is looked for in all of them; of several that
/// have it, the first that answers is called.
#[derive(Clone, Debug)]
pub struct Agents(Arc<[Agent]>);

impl Agents {
    /// Agents for the libraries that the master wrote into this process's environment.
    ///
    /// # Errors
    ///
    /// When it wrote none.
    pub fn from_environment() -> Result<Self, EnvironmentError> {
        Ok(Self::new(endpoints_from_environment()?))
    }

    /// Agents for these libraries.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        Self::with_settings(endpoints, &AgentSettings::default())
    }

    /// The same, with other settings.
    #[must_use]
    pub fn with_settings(
        endpoints: impl IntoIterator<Item = Endpoint>,
        settings: &AgentSettings,
    ) -> Self {
        let agent = |endpoint| Agent::with_settings(endpoint, settings.clone());
        Self(endpoints.into_iter().map(agent).collect())
    }

    /// The agent of the library with this name.
    #[must_use]
    pub fn library(&self, name: &str) -> Option<&Agent> {
        self.0.iter().find(|agent| agent.library() == name)
    }

    /// The agents, in the order in which the app names its libraries.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.0.iter()
    }

    /// Waits until every library answers, as long as [`AgentSettings::init`] allows for each.
    ///
    /// # Errors
    ///
    /// As [`Agent::ready`], of the first that does not.
    pub async fn ready(&self) -> Result<(), CallError> {
        for agent in self.iter() {
            agent.ready().await?;
        }
        Ok(())
    }

    /// The agent of the library that has this object.
    ///
    /// # Errors
    ///
    /// [`NoObject`](ErrorKind::NoObject) when all libraries answer and none has it;
    /// [`Unavailable`](ErrorKind::Unavailable) when none of those that answer within `wait` has it.
    pub async fn with_object(&self, object: &str, wait: Duration) -> Result<&Agent, CallError> {
        // What a library had when it answered last, it has after a restart, too.
        if let Some(agent) = self.iter().find(|agent| agent.core().had(object)) {
            return Ok(agent);
        }
        // All at a time: a library that does not answer must not keep those that do.
        let ask = |agent: &'_ Agent| {
            let core = Arc::clone(agent.core());
            async move { core.link().await }
        };
        let mut asked: Vec<_> = self
            .iter()
            .map(|agent| (agent, Box::pin(ask(agent))))
            .collect();
        let mut refusal = None;
        let found = std::future::poll_fn(|cx| {
            let mut place = 0;
            while let Some((agent, link)) = asked.get_mut(place) {
                match link.as_mut().poll(cx) {
                    Poll::Pending => {
                        place += 1;
                        continue;
                    }
                    Poll::Ready(Ok(link)) if link.facts.signature.objects.contains_key(object) => {
                        return Poll::Ready(Some(*agent));
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => refusal = Some(error),
                }
                drop(asked.remove(place));
            }
            match asked.is_empty() {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        });
        let found = tokio::time::timeout(wait, found).await;
        let silent = asked.first().map(|(agent, _)| agent.core());
        match found {
            Ok(Some(agent)) => Ok(agent),
            Ok(None) | Err(_) => Err(silent
                .map(|core| core.away(Executed::No))
                .or(refusal)
                .unwrap_or_else(|| nowhere(object))),
        }
    }

    /// Calls a method of the library that has the object; see [`Agent::call`].
    ///
    /// # Errors
    ///
    /// As [`Agent::call`] and [`Agents::with_object`].
    pub async fn call(&self, object: &str, method: &str, args: Value) -> Result<Value, CallError> {
        self.call_with(object, method, args, CallOptions::default())
            .await
    }

    /// The same as [`Agents::call`].
    ///
    /// # Errors
    ///
    /// As [`Agents::call`].
    pub async fn invoke(
        &self,
        object: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, CallError> {
        self.call(object, method, args).await
    }

    /// Calls a method of the library that has the object, with a deadline or an idempotency key.
    ///
    /// # Errors
    ///
    /// As [`Agents::call`].
    pub async fn call_with(
        &self,
        object: &str,
        method: &str,
        args: Value,
        mut options: CallOptions,
    ) -> Result<Value, CallError> {
        let began = Instant::now();
        let agent = self.find(object, method, options.deadline).await?;
        // What the search took is taken off.
        options.deadline = options
            .deadline
            .map(|allowed| allowed.saturating_sub(began.elapsed()));
        agent.call_with(object, method, args, options).await
    }

    /// Calls a method of the library that has the object if that is possible at once; see
    /// [`Agent::try_call`].
    ///
    /// # Errors
    ///
    /// As [`Agent::try_call`].
    pub async fn try_call(
        &self,
        object: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, CallError> {
        let agent = self.find(object, method, Some(Duration::ZERO)).await?;
        agent.try_call(object, method, args).await
    }

    /// Calls a method of the library that has the object, without waiting for an answer.
    ///
    /// # Errors
    ///
    /// The call could not be sent.
    pub async fn notify(&self, object: &str, method: &str, args: Value) -> Result<(), CallError> {
        self.find(object, method, None)
            .await?
            .notify(object, method, args)
            .await
    }

    /// Subscribes to a stream of the library that has the object; see [`Agent::subscribe`].
    ///
    /// # Errors
    ///
    /// No library with such an object answered in time.
    pub async fn subscribe(
        &self,
        object: &str,
        method: &str,
        args: Value,
        options: StreamOptions,
    ) -> Result<Subscription, CallError> {
        let agent = self.find(object, method, options.deadline).await?;
        Ok(agent.subscribe(object, method, args, options))
    }

    /// What every library offers.
    ///
    /// # Errors
    ///
    /// As [`Agents::ready`].
    pub async fn signatures(&self) -> Result<Vec<Arc<Signature>>, CallError> {
        let mut signatures = Vec::with_capacity(self.0.len());
        for agent in self.iter() {
            signatures.push(agent.signature().await?);
        }
        Ok(signatures)
    }

    /// A typed client of an object of any library; see [`Agent::object`].
    ///
    /// # Errors
    ///
    /// As [`Agent::object`] and [`Agents::with_object`].
    pub async fn object<C: Client>(&self) -> Result<C, CallError> {
        let init = self
            .0
            .first()
            .map_or(Duration::ZERO, |agent| agent.core().settings.init);
        self.with_object(C::NAME, init).await?.object().await
    }

    async fn find(
        &self,
        object: &str,
        method: &str,
        deadline: Option<Duration>,
    ) -> Result<&Agent, CallError> {
        let default = || self.0.first().map(|agent| agent.core().settings.deadline);
        let wait = deadline.or_else(default).unwrap_or_default();
        self.with_object(object, wait)
            .await
            .map_err(|error| error.at(object, method))
    }
}

fn nowhere(object: &str) -> CallError {
    let message = format!("no library of this herd has an object {object}");
    CallError::new(ErrorKind::NoObject, Executed::No, message)
}
