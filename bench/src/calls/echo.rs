//! The library whose one method returns its argument, and its callers in Rust.

use super::press::Load;
use herder::rpc::Part;
use herder::rpc::client::{Client, Endpoint, Identity};
use herder::rpc::server::LibraryIdentity;
use herder::{Agent, Library};
use serde_json::{Value, json};
use std::future::{Future, pending};
use std::io::{self, Write};
use std::path::Path;
use tokio::net::UnixListener;
use tokio::runtime::Builder;

/// The herd that library and callers belong to.
pub const HERD: &str = "00112233445566778899aabbccddeeff";

/// How many threads a library of a herd has.
const THREADS: usize = 4;

/// Serves until it is killed. `arguments`: where.
///
/// # Errors
/// When it is not said where, and those of the socket.
pub fn serve(arguments: &[String]) -> io::Result<()> {
    let path = Path::new(arguments.first().ok_or_else(missing)?);
    // As a herd runs its libraries.
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = UnixListener::bind(path)?;
        writeln!(io::stdout().lock(), "listening {}", path.display())?;
        let identity = LibraryIdentity {
            name: "core".to_owned(),
            epoch: 1,
            app: "bench".to_owned(),
            herd: HERD.to_owned(),
        };
        let library = Library::new("core").object(EchoObject::new(Same));
        let served = library.serve_on(listener, identity, pending::<()>());
        served.await.map_err(io::Error::other)
    })
}

/// Calls by name, with JSON. `arguments`: whom, and the load.
///
/// # Errors
/// When an argument is missing, and those of the socket.
pub fn call_by_name(arguments: &[String]) -> io::Result<()> {
    let (path, load) = path_and_load(arguments)?;
    press(path, |agent| async move {
        load.press(move |text| {
            let agent = agent.clone();
            async move {
                let size = text.len();
                let answer = agent.call(EchoClient::NAME, "echo", json!([text])).await;
                matches!(answer, Ok(Value::String(text)) if text.len() == size)
            }
        })
        .await
    })
}

/// Calls by a typed client, with postcard. `arguments`: whom, and the load.
///
/// # Errors
/// When an argument is missing, and those of the socket.
pub fn call_typed(arguments: &[String]) -> io::Result<()> {
    let (path, load) = path_and_load(arguments)?;
    press(path, |agent| async move {
        let echo: EchoClient = agent.client();
        load.press(move |text| {
            let echo = echo.clone();
            async move {
                let size = text.len();
                let answer = echo.echo(text).await;
                answer.is_ok_and(|text| text.len() == size)
            }
        })
        .await
    })
}

fn path_and_load(arguments: &[String]) -> io::Result<(&Path, Load)> {
    let (path, load) = arguments.split_first().ok_or_else(missing)?;
    let load = Load::from_arguments(load.iter().cloned()).ok_or_else(missing)?;
    Ok((Path::new(path), load))
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "an argument is missing")
}

fn press<F: Future<Output = String>>(path: &Path, act: impl FnOnce(Agent) -> F) -> io::Result<()> {
    // As a herd runs its asynchronous workers unless they say otherwise.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let agent = Agent::connect(Endpoint {
            library: "core".to_owned(),
            path: path.to_owned(),
            herd: HERD.to_owned(),
            identity: Identity {
                app: "bench".to_owned(),
                part: Part::Worker,
                slot: 1,
                worker: 1,
                pid: std::process::id(),
            },
        });
        agent.ready().await.map_err(io::Error::other)?;
        writeln!(io::stdout().lock(), "{}", act(agent).await)
    })
}

/// What is called.
#[herder::object(codec = "postcard")]
pub(super) trait Echo {
    async fn echo(&self, text: String) -> String;
}

struct Same;

impl Echo for Same {
    async fn echo(&self, text: String) -> String {
        text
    }
}
