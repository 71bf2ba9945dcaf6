//! What programs say, and what they are told.

use herder_wire::node::MAX_LINE;

use super::*;

#[test]
fn what_a_program_says_is_told_and_given_to_another() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    let (mut two, _) = bench.listening(2);
    for text in [r#"{"a":"\u00fc\n"}"#, "5", r#""text""#, "null", "[]"] {
        one.say(text);
        let message = bench.wait("message", |news| {
            let News::Node(NodeNews::Mail(_, mail)) = news else {
                return None;
            };
            Some(mail.value().clone())
        });
        assert_eq!(message.as_json(), text);
        bench.order(two.id, Order::Relay(message));
        assert_eq!(two.hear().trim_end(), text);
    }
}

#[test]
fn who_reads_no_messages_loses_them_and_nothing_else() {
    const MESSAGES: usize = 200;
    let mut bench = bench();
    let (mut one, address) = bench.listening(1);
    let long = UserValue::from_text(&"x".repeat(20_000));
    for _ in 0..MESSAGES {
        bench.order(one.id, Order::Relay(long.clone()));
    }
    let _client = TcpStream::connect(address).expect("it listens");
    bench.order(one.id, Order::Disconnect);
    let mut heard = 0;
    while one.hear().contains("xxx") {
        heard += 1;
    }
    assert!(heard < MESSAGES, "some were lost");
    // What was told after them came all the same; and the next message tells of the loss.
    bench.order(one.id, Order::Relay(UserValue::from_text("mark")));
    while !one.hear().contains("mark") {}
    let id = one.id;
    let lost = bench.wait("loss", |news| {
        let News::Node(NodeNews::Lost(worker, Way::To, lost)) = news else {
            let is_broken = matches!(news, News::Node(NodeNews::Word(_, Word::Broken(_))));
            assert!(!is_broken, "it is not given up");
            return None;
        };
        (*worker == id).then_some(*lost)
    });
    assert_eq!(lost, (MESSAGES - heard) as u64);
}

#[test]
fn what_is_not_taken_of_a_loud_program_is_lost_and_counted() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    let line = format!("{:?}", "x".repeat(60_000));
    for _ in 0..40 {
        one.say(&line);
    }
    let id = one.id;
    drop(one);
    let (mut mail, mut lost) = (0, 0);
    bench.wait("end", |news| {
        if let News::Node(NodeNews::Mail(worker, _)) = news {
            mail += u64::from(*worker == id);
        } else if let News::Node(NodeNews::Lost(_, Way::From, more)) = news {
            lost += more;
        }
        matches!(news, News::Node(NodeNews::Word(_, Word::Ended(_)))).then_some(())
    });
    assert!(lost > 0 && mail + lost == 40, "{mail} and {lost}");
}

/// A herd whose workers are sent its listener.
fn giving_bench() -> Bench {
    let listener = herder_sys::listener::Listener::adopt(
        std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .into(),
    );
    let listeners = vec![listener.expect("it listens")];
    let gift = Some(UserValue::from_text("server"));
    Bench::start(
        &DispatchSpec::default(),
        Scheduling::Shared,
        gift,
        listeners,
    )
}

#[test]
fn a_worker_is_sent_the_listener_once() {
    let mut bench = giving_bench();
    let mut one = bench.worker(1);
    for _ in 0..100 {
        one.say(r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#);
    }
    one.say(r#""ready""#);
    bench.wait_for_word(one.id, &Word::Ready);
    bench.order(one.id, Order::Tell(UserValue::from_text("mark")));
    assert!(one.hear().contains(r#""type":"net.Server""#));
    assert!(one.hear().contains("mark"));
}

#[test]
fn a_worker_that_asks_again_for_what_it_was_sent_gets_it() {
    let mut bench = giving_bench();
    let mut one = bench.worker(1);
    one.say(r#"{"cmd":"NODE_CLUSTER","act":"online","seq":0}"#);
    assert!(one.hear().contains(r#""type":"net.Server""#));
    one.acknowledge();
    bench.wait_for_word(one.id, &Word::HandleTaken);
    let query =
        r#""act":"queryServer","index":0,"data":null,"address":null,"port":-1,"addressType":-1"#;
    for (seq, answer) in [(1, r#""errno":0"#), (2, r#""errno":-22"#)] {
        one.say(&format!(r#"{{"cmd":"NODE_CLUSTER",{query},"seq":{seq}}}"#));
        let reply = one.hear();
        assert!(reply.contains(answer), "{reply}");
    }
    assert_eq!(one.descriptors.len(), 2);
    one.acknowledge();
    one.say(r#"{"cmd":"NODE_CLUSTER","act":"close","key":"sent-0","seq":3}"#);
    one.say(r#""ready""#);
    bench.wait_for_word(one.id, &Word::Ready);
}

#[test]
fn what_is_too_long_is_lost_and_nothing_else() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    one.say(&format!("{:?}", "x".repeat(MAX_LINE)));
    let id = one.id;
    let lost = bench.wait("loss", |news| {
        let News::Node(NodeNews::Lost(worker, Way::From, lost)) = news else {
            return None;
        };
        (*worker == id).then_some(*lost)
    });
    assert_eq!(lost, 1);
    one.say("5");
    bench.wait("message", |news| {
        matches!(news, News::Node(NodeNews::Mail(..))).then_some(())
    });
}

#[test]
fn the_losses_of_a_loud_program_are_told_once_a_second() {
    let mut bench = bench();
    let (mut one, _) = bench.listening(1);
    let line = format!("{:?}", "x".repeat(60_000));
    let (begin, mut tellings) = (Instant::now(), 0);
    for _ in 0..30 {
        for _ in 0..40 {
            one.say(&line);
        }
        // Whoever takes something makes room for more, which ends a gap.
        let mut taken = 0;
        bench.wait("messages", |news| {
            tellings += u64::from(matches!(news, News::Node(NodeNews::Lost(..))));
            taken += u64::from(matches!(news, News::Node(NodeNews::Mail(..))));
            (taken == 8).then_some(())
        });
    }
    drop(one);
    bench.wait("end", |news| {
        tellings += u64::from(matches!(news, News::Node(NodeNews::Lost(..))));
        matches!(news, News::Node(NodeNews::Word(_, Word::Ended(_)))).then_some(())
    });
    // One at the beginning, and what is left at the end.
    let most = begin.elapsed().as_secs() + 2;
    assert!((1..=most).contains(&tellings), "{tellings} of {most}");
}
