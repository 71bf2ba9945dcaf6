//! The crowd's account is right, shown on a server that does what a message asks for.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use futures_util::{SinkExt, StreamExt};
use herder_e2e::message::{Chat, Crowd, Door, Fate, Heard};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

const SOON: Duration = Duration::from_secs(10);

/// A server on a thread that ends with the test.
fn server() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client));
            }
        });
    });
    address
}

async fn serve(client: TcpStream) -> Result<(), Error> {
    let mut socket = accept_async(client).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let (command, id) = text.split_once(' ').unwrap();
        let number = id.rsplit('.').next().unwrap();
        let answers = match command {
            "echo" => vec![format!("{id} 1/1 pid:7 worker:1")],
            "double" => vec![format!("{id} 1/1 pid:7 worker:1"); 2],
            "late" => vec![
                format!("{id} 1/1 pid:7 worker:1"),
                format!("message {number}: too late"),
            ],
            "lose" if number == "2" => vec![],
            "lose" => vec![format!("{id} 1/1 pid:7 worker:1")],
            "tell" => vec![
                format!("{id} 1/2 pid:7 worker:1"),
                format!("message {number}: gone"),
            ],
            "cut" if number == "3" => return Ok(()),
            "cut" => vec![format!("{id} 1/1 pid:7 worker:1")],
            _ => {
                let frame = CloseFrame {
                    code: 1001.into(),
                    reason: "".into(),
                };
                socket.close(Some(frame)).await?;
                vec![]
            }
        };
        for answer in answers {
            socket.send(Message::text(answer)).await?;
        }
    }
    Ok(())
}

fn crowd(address: SocketAddr, command: &str) -> Crowd {
    let crowd = Crowd::at(Door::web_socket(address)).command(command);
    crowd.clients(3).messages(5)
}

#[test]
fn every_fate_is_seen() {
    let address = server();
    for (command, fate) in [
        ("echo", Fate::Answered),
        ("double", Fate::Doubled),
        ("late", Fate::AnsweredAndTold),
        ("tell", Fate::Told),
    ] {
        let account = crowd(address, command).outstanding(2).run();
        assert_eq!(account.count(fate), 15, "{command}: {account}");
        account.assert_fates(&[fate]);
        account.assert_nobody_disconnected();
    }
}

#[test]
fn what_is_never_answered_is_lost() {
    let load = crowd(server(), "lose").patience(Duration::from_millis(200));
    let account = load.outstanding(2).run();
    let counts = [Fate::Answered, Fate::Lost].map(|fate| account.count(fate));
    assert_eq!(counts, [12, 3], "{account}");
}

#[test]
fn a_connection_that_ends_cuts_what_was_open() {
    let address = server();
    let account = crowd(address, "cut").run();
    let counts = [Fate::Answered, Fate::Cut].map(|fate| account.count(fate));
    assert_eq!(counts, [6, 3], "{account}");
    assert_eq!(account.disconnects, vec![Heard::Ended; 3]);
    let account = crowd(address, "cut").returning().run();
    let counts = [Fate::Answered, Fate::Cut].map(|fate| account.count(fate));
    assert_eq!(counts, [12, 3], "{account}");
}

#[test]
fn a_servers_close_is_heard_with_its_code() {
    let address = server();
    let load = crowd(address, "close").start();
    load.wait_until_connected(3, SOON);
    let account = load.finish_disconnected();
    assert_eq!(account.disconnects, vec![Heard::Closed(1001); 3]);
    let mut chat = Chat::open(&Door::web_socket(address));
    chat.say("echo a");
    assert_eq!(chat.hear_reply().id, "a");
    assert_eq!(chat.try_hear(Duration::from_millis(10)), None);
    chat.ping();
    assert_eq!(chat.hear(), Heard::Pong);
    chat.say_end();
    assert_eq!(chat.hear(), Heard::Closed(1000));
}
