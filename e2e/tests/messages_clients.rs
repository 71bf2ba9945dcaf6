//! What the gateway promises to clients of every kind.

use herder_e2e::foreign::{BOOT, freeze, wait_for};
use herder_e2e::herd::Stream;
use herder_e2e::jobs::{addresses, gateway, herd, started, unix_lines};
use herder_e2e::message::{Chat, Crowd, Door, Heard, Refusal};
use herder_e2e::process::own_bytes;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const MIB: usize = 1024 * 1024;

#[test]
fn lines_are_messages_too() {
    let scene = Scene::new("lines");
    let options = ["--lines", "127.0.0.1:0", "--max-jobs", "7"];
    let herd = herd(&scene, &options).start();
    let door = Door::lines(addresses(&herd, 1)[0]);
    let crowd = Crowd::at(door).clients(5).command("twice").messages(40);
    let account = crowd.outstanding(3).run();
    println!("{account}");
    // The crowd ends each connection as lines do, by its half, and hears the rest.
    account.assert_all_answered();
    assert!(herd.end().success());
}

#[test]
fn both_protocols_and_a_unix_socket_lead_to_the_same_workers() {
    let scene = Scene::new("doors");
    let socket = format!("unix:{}", scene.directory().join("l.sock").display());
    let options = ["--messages", "127.0.0.1:0", "--lines", "127.0.0.1:0"];
    let herd = herd(&scene, &options).args(["--lines", &socket]).start();
    let found = addresses(&herd, 2);
    let mut chats = [
        Chat::open(&Door::web_socket(found[0])),
        Chat::open(&Door::lines(found[1])),
        Chat::open(&unix_lines(&scene, "l.sock")),
    ];
    let mut lives = BTreeMap::new();
    for round in 0..20 {
        for chat in &mut chats {
            chat.say(&format!("echo {round}"));
            let reply = chat.hear_reply();
            assert_eq!(reply.id, round.to_string());
            *lives.entry(reply.worker).or_insert(0) += 1;
        }
    }
    // Each message goes to the next worker, whoever sends it.
    assert_eq!(lives.keys().collect::<Vec<_>>(), [&1, &2]);
    assert!(lives.values().all(|count| *count >= 20), "{lives:?}");
    drop(chats);
    assert!(herd.end().success());
}

#[test]
fn who_has_ended_its_half_hears_its_answers() {
    let scene = Scene::new("half");
    let herd = herd(&scene, &["--lines", "127.0.0.1:0"]).start();
    let mut chat = Chat::open(&Door::lines(addresses(&herd, 1)[0]));
    chat.say_raw(b"slow/100 a\nslow/50 b\r\nslow/50 c\n");
    chat.say_end();
    let mut heard: Vec<String> = (0..3).map(|_| chat.hear_reply().id).collect();
    heard.sort();
    assert_eq!(heard, ["a", "b", "c"]);
    assert_eq!(chat.hear(), Heard::Ended);
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn a_close_is_answered_after_the_outstanding_jobs() {
    let scene = Scene::new("close");
    let (herd, door) = started(&scene, &[]);
    let mut chat = Chat::open(&door);
    for id in ["a", "b", "c"] {
        chat.say(&format!("slow/100 {id}"));
    }
    chat.say_end();
    let mut heard: Vec<String> = (0..3).map(|_| chat.hear_reply().id).collect();
    heard.sort();
    assert_eq!(heard, ["a", "b", "c"]);
    assert_eq!(chat.hear(), Heard::Closed(1000));
    assert!(herd.end().success());
}

#[test]
fn a_close_does_not_wait_longer_than_five_seconds() {
    let scene = Scene::new("close_late");
    let (herd, door) = started(&scene, &["--grace", "1000"]);
    let mut chat = Chat::open(&door);
    chat.say("watch a");
    assert_eq!(chat.hear_reply().part, 1);
    let mark = herd.mark();
    chat.say_end();
    assert!(matches!(chat.hear(), Heard::Closed(_) | Heard::Ended));
    herd.wait_for_line_after(mark, "the job is cancelled", BOOT, |line| {
        line.ends_with("cancelled a").then_some(())
    });
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn the_job_of_a_client_that_has_gone_is_cancelled() {
    for options in [&[][..], &["--blocking"]] {
        let scene = Scene::new("cancel");
        let (herd, door) = started(&scene, options);
        let mut chat = Chat::open(&door);
        chat.say("watch a");
        assert_eq!(chat.hear_reply().part, 1);
        drop(chat);
        herd.wait_for_line("the job is cancelled", BOOT, |line| {
            line.ends_with("cancelled a").then_some(())
        });
        assert!(herd.end().success());
    }
}

#[test]
fn big_messages_go_both_ways() {
    let scene = Scene::new("big");
    let (herd, door) = started(&scene, &["--max-message", "16777216"]);
    let mut chat = Chat::open(&door);
    // Below, at and above what is carried inline, and at the limit.
    for length in [60 * 1024 - 1, 60 * 1024, 60 * 1024 + 1, MIB, 16 * MIB] {
        let sent: Vec<u8> = (0..=250).cycle().take(length).collect();
        chat.say_bytes(sent.clone());
        assert!(chat.hear() == Heard::Bytes(sent), "{length} bytes");
        let padding = "x".repeat(length - "length a ".len());
        chat.say(&format!("length a {padding}"));
        assert_eq!(chat.hear_reply().rest, length.to_string());
    }
    chat.say(&format!("big/{MIB} b"));
    assert!(chat.hear() == Heard::Bytes(vec![b'x'; MIB]));
    assert_eq!(chat.hear_reply().id, "b");
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn a_message_beyond_the_limit_ends_the_connection() {
    let scene = Scene::new("toobig");
    let (herd, door) = started(&scene, &["--max-message", "100000"]);
    let mut chat = Chat::open(&door);
    chat.say_bytes(vec![0; 100_000]);
    assert!(matches!(chat.hear(), Heard::Bytes(_)));
    chat.say_bytes(vec![0; 100_001]);
    assert_eq!(chat.hear(), Heard::Closed(1009));
    let mut chat = Chat::open(&door);
    chat.say("echo a");
    assert_eq!(chat.hear_reply().id, "a");
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn more_than_the_greatest_limit_is_refused_at_start() {
    let scene = Scene::new("limit");
    let herd = herd(&scene, &["--max-message", "16777217"]).start();
    assert!(!herd.wait_for_exit(BOOT).success());
    let said = herd.texts(Stream::Stderr).join("\n");
    assert!(said.contains("max_message"), "{said}");
}

#[test]
fn r46_timed_a_client_that_reads_nothing_holds_nobody_up() {
    wait::timed(Duration::from_secs(1), || {
        let scene = Scene::new("slow");
        let (herd, door) = started(&scene, &[]);
        let mut lazy = Chat::open(&door);
        for number in 0..8 {
            lazy.say(&format!("big/{MIB} {number}"));
        }
        let account = Crowd::at(door).clients(4).messages(100).run();
        println!("{account}");
        account.assert_all_answered();
        // All of it is there when it reads at last.
        let (mut bytes, mut replies) = (0, 0);
        while replies < 8 || bytes < 8 * MIB {
            match lazy.hear() {
                Heard::Bytes(part) => bytes += part.len(),
                Heard::Text(_) => replies += 1,
                end @ (Heard::Closed(_) | Heard::Ended | Heard::Pong) => {
                    panic!("{end:?} after {bytes} bytes and {replies} replies")
                }
            }
        }
        assert_eq!((bytes, replies), (8 * MIB, 8));
        drop(lazy);
        assert!(herd.end().success());
        account.latency(1000)
    });
}

#[test]
fn r46_a_client_that_reads_nothing_at_all_is_given_up() {
    let scene = Scene::new("tooslow");
    let (herd, door) = started(&scene, &["--workers", "4"]);
    let before = gateway(&herd).pid;
    let mut lazy = Chat::open(&door);
    let mark = herd.mark();
    // First: nothing is heard of a client any more while a megabyte waits for it.
    lazy.say("watch w");
    for number in 0..8 {
        lazy.say(&format!("big/16777216 {number}"));
    }
    // Its jobs are cancelled when it is.
    herd.wait_for_line_after(mark, "the job is cancelled", BOOT, |line| {
        line.ends_with("cancelled w").then_some(())
    });
    while !matches!(lazy.hear(), Heard::Closed(1008) | Heard::Ended) {}
    let mut chat = Chat::open(&door);
    chat.say("echo a");
    assert_eq!(chat.hear_reply().id, "a");
    assert_eq!(gateway(&herd).pid, before);
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn r19_timed_a_client_gets_no_more_jobs_than_its_window() {
    let scene = Scene::new("window");
    let options = ["--workers", "4", "--client-window", "2"];
    let (herd, door) = started(&scene, &options);
    let crowd = Crowd::at(door.clone()).command("slow/50").messages(20);
    let account = crowd.outstanding(20).run();
    println!("{account}");
    account.assert_all_answered();
    // Twenty of 50 ms, two at a time.
    assert!(account.elapsed >= Duration::from_millis(500), "{account}");
    // The windows of others are their own.
    wait::timed(account.elapsed * 5, || {
        let crowd = Crowd::at(door.clone()).clients(10).command("slow/50");
        let together = crowd.messages(20).outstanding(20).run();
        println!("{together}");
        together.assert_all_answered();
        together.elapsed
    });
    assert!(herd.end().success());
}

#[test]
fn r19_who_is_not_answered_cannot_fill_the_gateways_memory() {
    let scene = Scene::new("pressure");
    let options = ["--workers", "1", "--client-window", "4", "--hang", "60000"];
    let (herd, door) = started(&scene, &options);
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    let mut chat = Chat::open(&door);
    chat.say("echo first");
    chat.hear_reply();
    freeze(&herd, &[worker.pid]);
    let text = format!("length a {}", "x".repeat(MIB - 9));
    let mut said = 0;
    while chat.try_say(&text, Duration::from_secs(1)).is_ok() {
        said += 1;
        assert!(said < 64, "nothing holds the client back");
    }
    let gateway = gateway(&herd);
    let resident = own_bytes(gateway.pid).expect("it lives");
    assert!(resident < 40 * MIB as u64, "{resident} bytes after {said}");
    herd.signal_to(worker.pid, Signal::CONT);
    for _ in 0..said {
        assert_eq!(chat.hear_reply().rest, MIB.to_string());
    }
    drop(chat);
    assert!(herd.end().success());
}

#[test]
fn pages_of_other_origins_are_kept_out() {
    let refused = Refusal::Status(403);
    let evil = "http://evil.example";
    let scene = Scene::new("origin");
    let (herd, door) = started(&scene, &[]);
    let address = addresses(&herd, 1)[0];
    let own = format!("http://{address}");
    let come = |door: &Door, origin: &str| Chat::try_open(&door.clone().from_origin(origin)).err();
    assert_eq!(come(&door, &own), None);
    assert_eq!(come(&door, evil), Some(refused.clone()));
    assert_eq!(come(&door, "null"), Some(refused.clone()));
    assert!(herd.end().success());
    let (herd, door) = started(&scene, &["--origin", "https://good.example"]);
    assert_eq!(come(&door, "https://good.example"), None);
    assert_eq!(come(&door, evil), Some(refused));
    assert!(Chat::try_open(&door).is_ok(), "no page, no origin");
    assert!(herd.end().success());
    let (herd, door) = started(&scene, &["--any-origin"]);
    assert_eq!(come(&door, evil), None);
    assert!(herd.end().success());
}

#[test]
fn more_clients_than_the_limit_wait_until_there_is_room() {
    let scene = Scene::new("crowded");
    let (herd, door) = started(&scene, &["--max-clients", "2"]);
    let mut first = Chat::open(&door);
    let mut second = Chat::open(&door);
    let third = thread::spawn(move || Chat::open(&door));
    for number in 0..20 {
        second.say(&format!("slow/5 {number}"));
        assert_eq!(second.hear_reply().id, number.to_string());
    }
    assert!(!third.is_finished());
    first.say_end();
    assert_eq!(first.hear(), Heard::Closed(1000));
    let mut third = third.join().unwrap();
    third.say("echo a");
    assert_eq!(third.hear_reply().id, "a");
    assert!(herd.end().success());
}
