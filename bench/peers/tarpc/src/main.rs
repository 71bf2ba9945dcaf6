//! The calls of the benchmark, by tarpc with bincode over a Unix socket.
//!
//! `tarpc-peer library PATH` serves; `tarpc-peer caller PATH SIZE IN_FLIGHT MILLISECONDS` calls, and prints what
//! all callers of the benchmark print.

#[path = "../../../src/calls/press.rs"]
mod press;

use futures_util::StreamExt;
use press::Load;
use std::env;
use std::error::Error;
use tarpc::serde_transport::unix;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context};
use tokio::runtime::Builder;

/// As many threads as a library of a herd has.
const THREADS: usize = 4;

const USAGE: &str = "tarpc-peer library PATH | caller PATH SIZE IN_FLIGHT MILLISECONDS";

#[tarpc::service]
trait Echo {
    async fn echo(text: String) -> String;
}

#[derive(Clone)]
struct Library;

impl Echo for Library {
    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let role = arguments.next().ok_or(USAGE)?;
    let path = arguments.next().ok_or(USAGE)?;
    match role.as_str() {
        "library" => serve(&path),
        "caller" => call(&path, Load::from_arguments(arguments).ok_or(USAGE)?),
        _ => Err(USAGE.into()),
    }
}

fn serve(path: &str) -> Result<(), Box<dyn Error>> {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(async {
        let mut callers = unix::listen(path, Bincode::default).await?;
        println!("listening {path}");
        while let Some(caller) = callers.next().await {
            let channel = BaseChannel::with_defaults(caller?);
            let calls = channel.execute(Library.serve());
            tokio::spawn(calls.for_each(|call| async {
                tokio::spawn(call);
            }));
        }
        Ok(())
    })
}

fn call(path: &str, load: Load) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let transport = unix::connect(path, Bincode::default).await?;
        let echo = EchoClient::new(client::Config::default(), transport).spawn();
        let account = load.press(move |text| {
            let echo = echo.clone();
            async move {
                let size = text.len();
                let answer = echo.echo(context::current(), text).await;
                answer.is_ok_and(|text| text.len() == size)
            }
        });
        println!("{}", account.await);
        Ok(())
    })
}
