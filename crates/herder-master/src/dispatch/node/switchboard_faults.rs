//! What goes wrong between a worker and the master, on purpose.

use herder_sys::fd;

use super::*;

/// Serves `count` connections as Node reads them: so many bytes at once, and only the newest descriptor is kept.
///
/// # Panics
/// When a message comes without its descriptor.
fn serve_as_node(actor: &mut Actor, count: usize) {
    let (mut served, mut newest) = (0, None);
    while served < count {
        let (mut bytes, mut fds) = (vec![0; ROOM], Vec::new());
        let end = actor.end.as_fd();
        let received = socket::receive(end, &mut bytes, &mut fds, 4, Wait::Block);
        let length = received.expect("the master speaks").len;
        assert!(length > 0, "the channel has ended");
        newest = fds.pop().or(newest);
        actor.rest.extend(&bytes[..length]);
        while let Some(end) = actor.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = actor.rest.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            if !line.contains("newconn") {
                continue;
            }
            let descriptor = newest.take().expect("its descriptor came with it");
            actor.descriptors.push_back(descriptor);
            actor.answer(number(&line, "\"seq\":").expect("a number"), "served");
            served += 1;
        }
    }
}

fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(address).expect("it listens");
    (0..count).map(connect).collect()
}

/// Ends a worker, and waits until that is known.
fn end(bench: &mut Bench, actor: Actor) {
    let id = actor.id;
    drop(actor);
    bench.wait("end", |news| {
        let is_it =
            matches!(news, News::Node(NodeNews::Word(worker, Word::Ended { .. })) if *worker == id);
        is_it.then_some(())
    });
}

#[test]
fn scenario_27_connections_behind_a_long_message_to_a_busy_worker() {
    for length in [65_300, 65_400, 65_450, 65_500, 131_000] {
        let mut bench = bench();
        let (mut one, address) = bench.listening(1);
        let text = UserValue::from_text(&"x".repeat(length));
        bench.order(one.id, Order::Tell(text));
        let clients = connect(address, 3);
        // Two turns later the thread has seen all three, and given what it would give at once.
        let mut two = bench.worker(2);
        two.say(r#""ready""#);
        bench.wait_for_word(two.id, &Word::Ready);
        two.say(r#"{"act":"suicide"}"#);
        bench.wait_for_word(two.id, &Word::Suicide);
        serve_as_node(&mut one, 3);
        for client in clients {
            assert_eq!(read(client), "served", "behind {length}");
        }
    }
}

#[test]
fn scenario_28_late_verdicts_count() {
    let mut bench = bench_with(&DispatchSpec {
        stall_after: PATIENCE * 6,
        ..DispatchSpec::default()
    });
    let (mut one, address) = bench.listening(1);
    let (mut two, _) = bench.listening(2);
    let depth = DEPTH.get() as usize;
    let clients = connect(address, 3 * depth);
    // All that the first one may have stays with it; the second one serves the rest.
    for _ in 0..2 * depth {
        let seq = two.wait_for_connection();
        two.answer(seq, "two");
    }
    let late: Vec<u64> = (0..depth).map(|_| one.wait_for_connection()).collect();
    for seq in late {
        one.answer(seq, "one");
    }
    let answers: Vec<String> = clients.into_iter().map(read).collect();
    let of = |whom: &str| answers.iter().filter(|answer| *answer == whom).count();
    assert_eq!((of("one"), of("two")), (depth, 2 * depth));
    // And it is one of them again.
    let clients = connect(address, 2);
    let seq = one.wait_for_connection();
    one.answer(seq, "one");
    let seq = two.wait_for_connection();
    two.answer(seq, "two");
    for client in clients {
        assert!(!read(client).is_empty());
    }
}

#[test]
fn scenario_28_nothing_is_lost_or_leaked_by_workers_that_fail() {
    let mut bench = bench_with(&DispatchSpec {
        poison_deaths: NonZeroU32::MAX,
        ..DispatchSpec::default()
    });
    let (first, address) = bench.listening(1);
    drop(first);
    let before = fd::open_count().expect("/proc");
    let clients = connect(address, 60);
    for id in 2..32 {
        let (mut actor, same) = bench.listening(id);
        assert_eq!(same, address);
        let seq = actor.wait_for_connection();
        match id % 4 {
            0 => {}
            1 => actor.say(r#"{"cmd":"NODE_HANDLE_NACK"}"#),
            2 => {
                actor.acknowledge();
                actor.decide(seq, false);
                // What it has given back is not its any more.
                actor.decide(seq, true);
            }
            _ => {
                actor.acknowledge();
                actor.decide(seq + 1_000_000, true);
                actor.say(r#"{"cmd":"NODE_HANDLE_NACK"}"#);
            }
        }
        end(&mut bench, actor);
    }
    let (mut last, _) = bench.listening(40);
    for _ in &clients {
        let seq = last.wait_for_connection();
        last.answer(seq, "served");
    }
    for client in clients {
        assert_eq!(read(client), "served");
    }
    end(&mut bench, last);
    // Other tests open and close theirs meanwhile.
    let after = fd::open_count().expect("/proc");
    assert!(after < before + 30, "{before} were open, and now {after}");
}
