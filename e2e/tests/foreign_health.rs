//! Programs that say when they are ready and that they still live, and those that stop saying so.

use herder_e2e::foreign::{BOOT, run, wait_for};
use herder_e2e::scene::Scene;
use rustix::process::Signal;

/// What the programs below begin with. `wait()` lets the test decide when they go on.
const NOTIFY: &str = r"
import os, signal, socket, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])
def wait(what):
    print('waits:', what, flush=True)
    signal.sigwait([signal.SIGUSR1])
";

fn program(text: &str) -> String {
    format!("{NOTIFY}{text}")
}

#[test]
fn a_worker_is_ready_when_it_says_so() {
    let scene = Scene::new("ready");
    let text = program("wait('ready'); say('STATUS=warm\\nREADY=1'); time.sleep(600)");
    let options = ["-n", "n", "-i", "1", "--ready", "notify"];
    let herd = run(&scene, &options, &["python3", "-c", &text]).start();
    let worker = wait_for(&herd, 0, 1, "started", BOOT)[0];
    herd.wait_for_line("it waits", BOOT, |line| {
        line.contains("waits: ready").then_some(())
    });
    assert!(
        herd.lines()
            .iter()
            .all(|line| !line.text.ends_with("] ready"))
    );
    herd.signal_to(worker.pid, Signal::USR1);
    assert_eq!(wait_for(&herd, 0, 1, "ready", BOOT), [worker]);
    assert!(
        herd.lines()
            .iter()
            .all(|line| !line.text.contains("a guess"))
    );
    assert!(herd.end().success());
}

#[test]
fn r11_a_worker_that_is_not_ready_in_time_is_killed_and_counts() {
    let scene = Scene::new("boot_timeout");
    let options = [
        "-n",
        "n",
        "-i",
        "1",
        "--ready",
        "notify",
        "--boot-timeout",
        "300ms",
    ];
    let options = [
        &options[..],
        &["--max-restarts", "1", "--restart-window", "30s"],
    ]
    .concat();
    let program = ["sh", "-c", "echo looks for its database; exec sleep 600"];
    let herd = run(&scene, &options, &program).start();
    assert_eq!(herd.wait_for_exit(BOOT).code(), Some(3));
    let told = "died: signal SIGKILL (it was not ready in time)";
    assert_eq!(wait_for(&herd, 0, 2, told, BOOT).len(), 2);
    wait_for(&herd, 0, 2, "was not ready in time and is killed", BOOT);
    herd.wait_for_line("its last words", BOOT, |line| {
        (line == "    | looks for its database").then_some(())
    });
}

#[test]
fn r11_a_worker_may_ask_for_more_time_to_start() {
    let scene = Scene::new("extend");
    let text = program(
        "say('EXTEND_TIMEOUT_USEC=60000000'); time.sleep(2); say('READY=1'); time.sleep(600)",
    );
    let options = [
        "-n",
        "n",
        "-i",
        "1",
        "--ready",
        "notify",
        "--boot-timeout",
        "1500ms",
    ];
    let herd = run(&scene, &options, &["python3", "-c", &text]).start();
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    assert_eq!(
        worker.id,
        1,
        "the first life, not a later one: {:?}",
        herd.lines()
    );
    assert!(herd.end().success());
}

#[test]
fn r8_a_worker_whose_beats_stop_is_replaced() {
    let scene = Scene::new("watchdog");
    let text = program(
        "
assert os.environ['WATCHDOG_USEC'] == '1000000'
say('READY=1')
if os.environ['HERDER_WORKER_ID'] == '1':
    for _ in range(10): say('WATCHDOG=1'); time.sleep(0.2)
    print('ten beats', flush=True)
    while not signal.sigtimedwait([signal.SIGUSR1], 0.2): say('WATCHDOG=1')
    wait('for ever')
while True: say('WATCHDOG=1'); time.sleep(0.2)
",
    );
    let options = [
        "-n",
        "n",
        "-i",
        "1",
        "--ready",
        "notify",
        "--watchdog",
        "1s",
    ];
    let herd = run(&scene, &options, &["python3", "-c", &text]).start();
    let worker = wait_for(&herd, 0, 1, "ready", BOOT)[0];
    herd.wait_for_line("two seconds of beats", BOOT, |line| {
        line.ends_with("ten beats").then_some(())
    });
    let suspected = |line: &str| line.contains("no heartbeat").then_some(());
    assert!(
        herd.lines()
            .iter()
            .all(|line| suspected(&line.text).is_none())
    );
    herd.signal_to(worker.pid, Signal::USR1);
    herd.wait_for_line("the silence is seen", BOOT, suspected);
    assert_eq!(
        wait_for(&herd, 0, 1, "died: signal SIGABRT (it hung)", BOOT),
        [worker]
    );
    let next = wait_for(&herd, 0, 2, "ready", BOOT)[1];
    assert_eq!((next.slot, next.id), (0, 2));
    assert!(herd.end().success());
}

#[test]
fn a_worker_may_ask_to_be_treated_as_hung() {
    let scene = Scene::new("trigger");
    let text = program(
        "
say('READY=1')
if os.environ['HERDER_WORKER_ID'] == '1': say('WATCHDOG=trigger')
time.sleep(600)
",
    );
    let options = ["-n", "n", "-i", "1", "--ready", "notify"];
    let herd = run(&scene, &options, &["python3", "-c", &text]).start();
    assert_eq!(wait_for(&herd, 0, 2, "ready", BOOT)[1].id, 2);
    assert!(herd.end().success());
}
