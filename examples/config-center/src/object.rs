//! The object of the library.

use herder::rpc::CallError;
use herder::rpc::server::{Change, Feed};

use crate::upstream::Upstream;

/// The values of the configuration server.
#[herder::object(name = "config")]
pub(crate) trait Config {
    /// The value of a key.
    #[herder(idempotent)]
    async fn get(&self, key: String) -> Option<String>;

    /// Changes a key at the server, and so for everybody. When it returns, the library has it.
    #[herder(idempotent)]
    async fn set(&self, key: String, value: String) -> Result<(), CallError>;

    /// All keys that begin with `prefix`, and then what changes.
    #[herder(stream = "state")]
    fn watch(&self, prefix: String) -> Feed<Change<String, String>>;
}

/// The object is the connection.
pub(crate) struct Center(pub(crate) Upstream);

impl Config for Center {
    async fn get(&self, key: String) -> Option<String> {
        self.0.values().with(&key, Clone::clone)
    }

    async fn set(&self, key: String, value: String) -> Result<(), CallError> {
        if key.is_empty() || key.contains([' ', '\n']) || value.contains('\n') {
            let problem = "keys have no blanks, and neither keys nor values line feeds";
            return Err(CallError::app("not_a_key", problem));
        }
        let set = self.0.set(key, value).await;
        set.map_err(|error| CallError::app("away", error.to_string()))
    }

    fn watch(&self, prefix: String) -> Feed<Change<String, String>> {
        self.0
            .values()
            .feed_where(move |key| key.starts_with(&prefix))
    }
}
