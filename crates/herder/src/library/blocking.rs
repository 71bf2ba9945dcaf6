//! Calls for programs that block.

use std::io;
use std::sync::Arc;

use herder_rpc::CallError;
use herder_rpc::client::{Agents, CallOptions};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// Calls the objects of libraries, and waits for the answers. Cheap to clone; a program needs one.
///
/// It must not be used on a thread of a runtime, which would be kept from its other tasks.
#[derive(Clone, Debug)]
pub struct BlockingAgents {
    agents: Agents,
    runtime: Arc<Background>,
}

/// A runtime that is let go without waiting, wherever that happens.
#[derive(Debug)]
struct Background(Option<Runtime>);

impl BlockingAgents {
    pub(crate) fn new(agents: Agents) -> io::Result<BlockingAgents> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("herder-agent")
            .enable_all()
            .build()?;
        Ok(BlockingAgents {
            agents,
            runtime: Arc::new(Background(Some(runtime))),
        })
    }

    /// Calls a method of the library that has the object.
    ///
    /// # Errors
    /// As [`Agents::call`].
    pub fn call(&self, object: &str, method: &str, args: Value) -> Result<Value, CallError> {
        self.wait(self.agents.call(object, method, args))
    }

    /// Calls a method with a deadline or an idempotency key.
    ///
    /// # Errors
    /// As [`Agents::call`].
    pub fn call_with(
        &self,
        object: &str,
        method: &str,
        args: Value,
        options: CallOptions,
    ) -> Result<Value, CallError> {
        self.wait(self.agents.call_with(object, method, args, options))
    }

    /// Calls a method without waiting for an answer.
    ///
    /// # Errors
    /// The call could not be sent.
    pub fn notify(&self, object: &str, method: &str, args: Value) -> Result<(), CallError> {
        self.wait(self.agents.notify(object, method, args))
    }

    /// The agents themselves, for what is [waited](BlockingAgents::wait) for.
    #[must_use]
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Waits for anything that the [agents](BlockingAgents::agents) do.
    ///
    /// # Panics
    /// On a thread of a runtime.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        let runtime = self.runtime.0.as_ref();
        runtime
            .expect("it is there until it is dropped")
            .block_on(future)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
