//! Clients that come and say nothing, or next to nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::rig::Talker;
use super::{Rig, play};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// How many clients dawdle: more than that say nothing new.
const CROWD: u64 = 10_000;

/// What one of them may cost at most, in bytes: on both sides, for both are in this process.
const COST: usize = 24 * 1024;

/// What memory may grow by for other reasons, in bytes.
const MARGIN: usize = 32 * 1024 * 1024;

#[test]
fn r46_a_crowd_that_dawdles_costs_little_and_keeps_nobody_from_being_served() {
    play(async {
        let descriptors = herder_sys::limits::raise_open_files().unwrap();
        // Both ends are ours.
        let crowd = CROWD.min(descriptors.saturating_sub(1000) / 2);
        let rig = Rig::new(|settings| settings.http.header_timeout_millis = 600_000);
        rig.steady(1, HELLO);
        // What is made once is there.
        assert!(is_served(&rig).await);
        let before = resident();
        let mut dawdlers = Vec::new();
        for number in 0..crowd {
            let mut client = rig.client().await;
            match number % 3 {
                0 => {}
                1 => client.say("G").await,
                _ => client.say("GET / HTTP/1.1\r\nHost: shop\r\nX-").await,
            }
            dawdlers.push(client);
            // The queue of the listener is short.
            while number % 64 == 63 && rig.house.present() < dawdlers.len() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(is_served(&rig).await);
        while rig.house.present() < dawdlers.len() {
            sleep(Duration::from_millis(1)).await;
        }
        let grown = resident().saturating_sub(before);
        println!(
            "{} bytes for each of {}",
            grown / dawdlers.len(),
            dawdlers.len()
        );
        assert!(
            grown < dawdlers.len() * COST + MARGIN,
            "{grown} bytes for {}",
            dawdlers.len()
        );
        for _ in 0..20 {
            assert!(is_served(&rig).await);
        }
        // Who dawdled is served as soon as the request is whole.
        for client in dawdlers.iter_mut().skip(2).step_by(3).take(100) {
            assert_eq!(client.ask("Y: z\r\n\r\n").await.body, "hello");
        }
    });
}

/// Whoever takes a place and says nothing loses it, to somebody who has waited in the queue.
#[test]
fn r46_a_full_house_is_emptied_of_those_who_dawdle() {
    play(async {
        let rig = Rig::new(|settings| {
            settings.max_clients = 20;
            settings.http.header_timeout_millis = 200;
            settings.http.idle_timeout_millis = 200;
        });
        rig.steady(1, HELLO);
        let mut dawdlers = Vec::new();
        for number in 0..20 {
            let mut client = rig.client().await;
            if number % 2 == 0 {
                client.say("GET / HTTP/1.1\r\nHost: ").await;
            }
            dawdlers.push(client);
        }
        assert!(is_served(&rig).await);
        for mut client in dawdlers {
            let told = client.rest().await;
            let is_told = told.is_empty() || told.starts_with("HTTP/1.1 408 ");
            assert!(is_told, "{told}");
        }
    });
}

/// Who sends an empty line from time to time, or half a one, is not there for ever.
#[test]
fn r46_time_is_not_bought_with_empty_lines() {
    play(async {
        for drop in ["\r\n", "G"] {
            let rig = Rig::new(|settings| {
                settings.http.header_timeout_millis = 1000;
                settings.http.idle_timeout_millis = 1000;
            });
            let mut client = rig.client().await;
            let (mut read, mut write) = client.stream.split();
            let mut space = [0; 1000];
            let drip = async {
                while write.write_all(drop.as_bytes()).await.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            // The end comes although the drops go on.
            tokio::select! {
                () = drip => {}
                () = async { while matches!(read.read(&mut space).await, Ok(1..)) {} } => {}
            }
        }
    });
}

async fn is_served(rig: &Rig) -> bool {
    let mut client: Talker = rig.client().await;
    let reply = client.ask("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    reply.status == 200 && reply.body == "hello"
}

/// How much of this process is in memory, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
