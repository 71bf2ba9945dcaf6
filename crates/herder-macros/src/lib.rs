#![forbid(unsafe_code)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Rust's grammar grows: whatever is not named here is no part of an object"
)]
//! `#[herder::object]`: an object of a library, its client and its mock from one trait.
//!
//! | module | what it does |
//! |---|---|
//! | `attribute` | what is written in `#[object(…)]` and `#[herder(…)]` |
//! | `model` | the trait, checked |
//! | `kind` | what a method returns, and so how it is used |
//! | `emit` | what is written for it: trait, client, object, mock, signature |

mod attribute;
mod emit;
mod kind;
mod model;

use proc_macro::TokenStream;

/// Makes a trait an object of a library.
///
/// ```ignore
/// /// Values by name.
/// #[herder::object(name = "kv")]
/// pub trait Kv {
///     /// The value of a key.
///     #[herder(idempotent, deadline = "200ms")]
///     async fn get(&self, key: String) -> Option<String>;
///     async fn put(&self, cx: &Cx, key: String, value: String) -> Result<u64, KvError>;
///     #[herder(notify)]
///     fn touch(&self, key: String);
///     #[herder(stream = "state")]
///     fn watch(&self, prefix: String) -> Feed<Change<String, String>>;
/// }
/// ```
///
/// For the trait `Kv` it writes:
///
/// | name | what it is |
/// |---|---|
/// | `Kv` | the trait; whoever implements it is the object |
/// | `KvObject<T>` | the implementation `T`, as `Library::object` takes it |
/// | `KvClient` | the client: `agent.object::<KvClient>().await?` |
/// | `KvMock` | an implementation made of closures, for tests |
///
/// The trait gets one method more, `worker_down`, which does nothing unless it is written: it is
/// told that a caller is gone.
///
/// What is written on the trait:
///
/// * `name = "kv"`: the object's name; else that of the trait, in snake case.
/// * `codec = "postcard"`: processes of the same executable exchange values as postcard instead of
///   JSON. It is for types whose fields are always all written: no `skip_serializing_if`,
///   `flatten`, `untagged` or `tag`, and no `serde_json::Value`.
/// * `crate = path`: where `herder_rpc` is; else `::herder::rpc`.
///
/// What is written on a method, as `#[herder(…)]`:
///
/// * `idempotent`: two calls do what one does; the agent makes a call again whose answer was lost.
/// * `deadline = "200ms"`: how long a call may take unless the caller says otherwise (`ms`, `s`,
///   `m`).
/// * `notify`: nobody waits for an answer, and there is none.
/// * `stream = "state"` or `"events"`: it is subscribed to. It returns a `Feed<T>`, a
///   `Result<Feed<T>, E>` or an `impl Stream<Item = T>`.
/// * `concurrency = 4`, `queue = 64`: how many calls run and wait; more are turned away.
///
/// A method takes `&self`, then `cx: &Cx` if it wants to know who calls, then up to 16 arguments by
/// value. Arguments, results and errors are `Serialize`, `DeserializeOwned` and `JsonSchema`;
/// errors are `Display`, too.
#[proc_macro_attribute]
pub fn object(attribute: TokenStream, item: TokenStream) -> TokenStream {
    match model::Model::parse(attribute.into(), item.into()) {
        Ok(model) => emit::emit(&model).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
