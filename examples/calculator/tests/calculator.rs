//! The example does what it promises, word for word.

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, address, told, wait_for};
use herder_e2e::herd::{Herd, Stream};
use herder_e2e::message::{Chat, Door};
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use std::time::{Duration, Instant};

const CALCULATOR: Binary = Binary::new("calculator", "calculator");

/// What the original session sends, who serves it, and what comes out.
const SESSION: [(&str, u64, &str); 9] = [
    ("13", 1, "13"),
    ("13 * 2", 2, "26"),
    ("\"asdasd\" + 'dsas'", 1, "asdasddsas"),
    ("123132", 2, "123132"),
    ("3321", 3, "3321"),
    ("312231", 4, "312231"),
    ("31", 3, "31"),
    ("32154", 4, "32154"),
    ("5464", 5, "5464"),
];

fn start(scene: &Scene, options: &[&str]) -> (Herd, Door) {
    let setup = scene.herd(CALCULATOR).args(["--listen", "127.0.0.1:0"]);
    let herd = setup.args(options).patience(BOOT).start();
    let door = Door::web_socket(address(&herd));
    (herd, door)
}

/// The robot and the process of `N 号机器人 PID 处理 …`, and what follows.
fn robot(reply: &str) -> Option<(u64, i32, &str)> {
    let (number, rest) = reply.split_once(" 号机器人 ")?;
    let (pid, rest) = rest.split_once(" 处理 ")?;
    Some((number.parse().ok()?, pid.parse().ok()?, rest))
}

/// Asks, checks the first reply, and returns who works on it.
#[track_caller]
fn ask(chat: &mut Chat, text: &str) -> (u64, i32) {
    chat.say(text);
    let reply = chat.hear_text();
    match robot(&reply) {
        Some((number, pid, rest)) if rest == format!("{text} 中...") => (number, pid),
        _ => panic!("{reply}"),
    }
}

/// The whole log of the original session. `pids` are those of the robots 1, 2, 3 ….
fn session_log(primary: i32, pids: &[i32]) -> Vec<String> {
    let mut lines = vec![format!("Primary {primary} is running")];
    for (index, (_, number, _)) in SESSION.iter().enumerate() {
        lines.push(format!("Dispatch to {number}"));
        if SESSION[..index].iter().any(|(_, other, _)| other == number) {
            lines.push(format!("worker {number} success!"));
            let pid = pids[usize::try_from(*number).expect("it is small") - 1];
            lines.push(format!("worker {pid} died"));
        }
    }
    lines
}

/// Standard output, once its last line is there.
#[track_caller]
fn said(herd: &Herd, last: &str) -> Vec<String> {
    herd.wait_for_line(last, BOOT, |line| (line == last).then_some(()));
    herd.texts(Stream::Stdout)
}

#[test]
fn the_original_session_has_its_robots_its_replies_and_its_log() {
    const THINK: Duration = Duration::from_millis(300);
    let scene = Scene::new("s0");
    let (herd, door) = start(&scene, &["--think", "300ms"]);
    let primary = herd.master().unwrap().pid;
    wait_for(&herd, 0, 2, "ready", BOOT);
    let mut chat = Chat::open(&door);
    let mut pids = Vec::new();
    let mut ready = 2;
    for (index, (text, number, result)) in SESSION.into_iter().enumerate() {
        let sent = Instant::now();
        let (served_by, pid) = ask(&mut chat, text);
        assert_eq!(served_by, number, "message {}", index + 1);
        assert!(Process::of(pid).is_some_and(|process| process.is_alive()));
        let is_last = pids.contains(&pid);
        if !is_last {
            assert!(herd.workers().iter().any(|worker| worker.pid == pid));
            pids.push(pid);
        }
        let expected = format!("{number} 号机器人 {pid} 处理 {text} 完毕，结果为 {result}");
        assert_eq!(chat.hear_text(), expected);
        let took = sent.elapsed();
        assert!(took >= THINK && took < THINK + BOOT / 4, "{took:?}");
        // Where the original pauses, this waits for what happens in the pause.
        if is_last {
            let log = format!("worker {pid} died");
            herd.wait_for_line(&log, BOOT, |line| (line == log).then_some(()));
            ready += 1;
            wait_for(&herd, 0, ready, "ready", BOOT);
        }
    }
    assert_eq!(pids.len(), 5);
    let expected = session_log(primary, &pids);
    assert_eq!(expected.len(), 18);
    assert_eq!(said(&herd, &expected[expected.len() - 1]), expected);
    assert!(herd.end().success());
}

#[test]
#[ignore = "long: sixteen seconds of pauses"]
fn the_original_session_with_its_own_pauses() {
    let scene = Scene::new("s0_long");
    let (herd, _) = start(&scene, &[]);
    let primary = herd.master().unwrap().pid;
    let address = address(&herd).to_string();
    let client = scene.herd(CALCULATOR);
    let client = client.args(["talk", "--address", &address]).start();
    assert!(client.wait_for_exit(4 * BOOT).success());
    let transcript = client.texts(Stream::Stdout);
    assert_eq!(transcript.len(), 3 * SESSION.len());
    let mut pids = Vec::new();
    for (lines, (text, number, result)) in transcript.chunks(3).zip(SESSION) {
        let (_, pid, _) = robot(&lines[1][2..]).unwrap();
        if !pids.contains(&pid) {
            pids.push(pid);
        }
        let head = format!("< {number} 号机器人 {pid} 处理 {text}");
        assert_eq!(
            lines,
            [
                format!("> {text}"),
                format!("{head} 中..."),
                format!("{head} 完毕，结果为 {result}"),
            ]
        );
    }
    let expected = session_log(primary, &pids);
    assert_eq!(said(&herd, &expected[expected.len() - 1]), expected);
    assert!(herd.end().success());
}

#[test]
fn jobs_of_one_worker_run_at_the_same_time() {
    let scene = Scene::new("s0_together");
    let options = ["--workers", "1", "--max-jobs", "0", "--think", "1s"];
    let (herd, door) = start(&scene, &options);
    let mut chat = Chat::open(&door);
    let begun = Instant::now();
    for number in 0..8 {
        chat.say(&number.to_string());
    }
    let replies: Vec<String> = (0..16).map(|_| chat.hear_text()).collect();
    // One after the other they would take eight seconds.
    assert!(begun.elapsed() < Duration::from_secs(6), "{replies:?}");
    let firsts = replies.iter().take_while(|it| it.ends_with(" 中..."));
    assert_eq!(firsts.count(), 8, "{replies:?}");
    assert!(herd.end().success());
}

#[test]
fn an_endless_text_costs_one_worker_and_nobody_else_waits() {
    let scene = Scene::new("s0_endless");
    let options = ["--max-jobs", "0", "--think", "50ms", "--eval-limit", "3s"];
    let (herd, door) = start(&scene, &options);
    let mut mine = Chat::open(&door);
    let mut other = Chat::open(&door);
    let (number, pid) = ask(&mut mine, "while(true){}");
    let mut meanwhile = 0;
    let answer = loop {
        ask(&mut other, "1 + 1");
        let reply = other.hear_text();
        assert!(reply.ends_with(" 1 + 1 完毕，结果为 2"), "{reply}");
        if let Some(heard) = mine.try_hear(Duration::from_millis(1)) {
            break heard;
        }
        meanwhile += 1;
    };
    // Of two workers the second would have waited with the endless one.
    assert!(meanwhile > 3, "{meanwhile} answers in three seconds");
    let text = format!("{number} 号机器人 {pid} 处理 while(true){{}} 出错：计算时间超过 3000 毫秒");
    assert_eq!(answer, herder_e2e::message::Heard::Text(text));
    herd.wait_for_line("it exits 1", BOOT, |line| {
        told(line, "ended: exit status 1 (it announced its own end)").filter(|it| it.pid == pid)
    });
    wait_for(&herd, 0, 3, "ready", BOOT);
    let died: Vec<String> = herd.texts(Stream::Stdout);
    let died: Vec<&String> = died.iter().filter(|it| it.ends_with(" died")).collect();
    assert_eq!(died, [&format!("worker {pid} died")]);
    // The connection stays what it was.
    let (next, _) = ask(&mut mine, "2 + 2");
    assert_ne!(next, number);
    assert!(mine.hear_text().ends_with("结果为 4"));
    assert!(herd.end().success());
}

#[test]
fn what_is_no_expression_has_an_error_for_its_reply_and_costs_nothing() {
    let scene = Scene::new("s0_errors");
    let (herd, door) = start(&scene, &["--max-jobs", "0", "--think", "10ms"]);
    // A test page from anywhere may connect.
    let mut chat = Chat::open(&door.from_origin("https://example.org"));
    for (text, error) in [
        ("nonsense", "ReferenceError: nonsense is not defined"),
        ("throw new Error('no')", "Error: no"),
        ("throw 1", "1"),
        (
            "(function f() { f() })()",
            "RangeError: Maximum call stack size exceeded",
        ),
        ("'x'.repeat(2 ** 29)", "InternalError: out of memory"),
    ] {
        ask(&mut chat, text);
        let reply = chat.hear_text();
        assert!(
            reply.ends_with(&format!(" 处理 {text} 出错：{error}")),
            "{reply}"
        );
    }
    chat.say_bytes(vec![1, 2, 3]);
    for end in [
        "（3 字节的二进制消息） 中...",
        "（3 字节的二进制消息） 出错：只接受文本消息",
    ] {
        let reply = chat.hear_text();
        assert!(reply.ends_with(end), "{reply}");
    }
    let died = herd.texts(Stream::Stdout);
    assert!(!died.iter().any(|it| it.ends_with(" died")), "{died:?}");
    assert!(herd.end().success());
}

#[test]
fn the_client_sends_what_it_is_given_and_fails_without_an_answer() {
    let scene = Scene::new("s0_talk");
    let (herd, _) = start(&scene, &["--think", "10ms"]);
    let address = address(&herd).to_string();
    let talk = ["talk", "--pause", "10ms", "--address", &address];
    let client = scene.herd(CALCULATOR).args(talk).args(["6 * 7", "no"]);
    let client = client.start();
    assert!(client.wait_for_exit(BOOT).success());
    let lines = client.texts(Stream::Stdout);
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!([&lines[0], &lines[3]], ["> 6 * 7", "> no"]);
    assert!(lines[2].ends_with(" 6 * 7 完毕，结果为 42"), "{lines:?}");
    assert!(lines[5].ends_with(" no 出错：ReferenceError: no is not defined"));
    assert!(herd.end().success());
    let client = scene.herd(CALCULATOR).args(talk).start();
    assert_eq!(client.wait_for_exit(BOOT).code(), Some(1));
    let said = client.texts(Stream::Stderr);
    assert!(
        said[0].starts_with(&format!("calculator talk: {address}: ")),
        "{said:?}"
    );
}

#[test]
fn an_option_that_cannot_be_is_named() {
    let scene = Scene::new("s0_wrong");
    for (option, value) in [
        ("--listen", "nowhere at all"),
        ("--workers", "0"),
        ("--workers", "many"),
        ("--max-jobs", "-1"),
        ("--think", "5"),
        ("--think", "0ms"),
        ("--eval-limit", "2h"),
        ("--page", "/nowhere"),
    ] {
        let herd = scene
            .herd(CALCULATOR)
            .arg(format!("{option}={value}"))
            .start();
        assert_eq!(herd.wait_for_exit(BOOT).code(), Some(2), "{option} {value}");
        let said = herd.texts(Stream::Stderr).join("\n");
        assert!(said.contains(option), "{option} {value}: {said}");
        assert_eq!(herd.texts(Stream::Stdout), [""; 0]);
    }
}
