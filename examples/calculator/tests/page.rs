//! The page, in a real browser.

mod browser;

use browser::{Browser, Key};
use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::{Herd, Signal};
use herder_e2e::jobs;
use herder_e2e::scene::Scene;
use serde_json::json;

const CALCULATOR: Binary = Binary::new("calculator", "calculator");

const CONNECTED: &str = "document.querySelector('#connection').textContent === 'connected'";
const FOCUSED: &str = "document.activeElement.id || document.activeElement.textContent";

fn start(scene: &Scene, options: &[&str]) -> (Herd, Browser) {
    let setup = scene.herd(CALCULATOR).args(["--listen", "127.0.0.1:0"]);
    let herd = setup.args(options).patience(BOOT).start();
    wait_for(&herd, 0, 2, "ready", BOOT);
    let mut browser = Browser::open(scene, &format!("http://{}/", address(&herd)));
    browser.wait_for("it is connected", CONNECTED);
    (herd, browser)
}

/// An expression that is true when exactly these robots are on the page, and takes jobs.
fn ready(robots: &[u64]) -> String {
    let robots = json!(robots);
    format!(
        "JSON.stringify([...document.querySelectorAll('.robot')].map((it) => \
         it.dataset.state === 'ready' && Number(it.dataset.robot))) === '{robots}'"
    )
}

/// An expression: the replies once there are so many, else false.
fn replies(count: usize) -> String {
    format!(
        "(() => {{ const all = [...document.querySelectorAll('.reply .words')]; \
         return all.length >= {count} && all.map((it) => it.textContent); }})()"
    )
}

fn send(browser: &mut Browser, text: &str) {
    browser.write(text);
    browser.press(Key::Enter);
}

#[test]
fn both_replies_are_shown_and_the_robots_come_and_go() {
    let scene = Scene::new("s0_page");
    let (herd, mut browser) = start(&scene, &["--think", "200ms"]);
    browser.wait_for("the first robots", &ready(&[1, 2]));
    browser.value(
        "globalThis.seen = new Set(); new MutationObserver(() => { \
         for (const it of document.querySelectorAll('.robot')) \
           seen.add(`${it.dataset.robot} ${it.dataset.state}`); \
         }).observe(document, { subtree: true, childList: true, attributes: true }); 0",
    );
    for (index, (text, robot, result)) in [
        ("13", 1, "13"),
        ("13 * 2", 2, "26"),
        ("\"asdasd\" + 'dsas'", 1, "asdasddsas"),
        ("'<b>' + 1 + '</b>'", 2, "<b>1</b>"),
    ]
    .into_iter()
    .enumerate()
    {
        send(&mut browser, text);
        let shown = browser.wait_for("both replies", &replies(2 * index + 2));
        let (first, second) = (&shown[2 * index], &shown[2 * index + 1]);
        let (first, second) = (first.as_str().unwrap(), second.as_str().unwrap());
        let (head, _) = first.split_once(" 处理 ").unwrap();
        assert!(head.starts_with(&format!("{robot} 号机器人 ")), "{first}");
        assert_eq!(first, format!("{head} 处理 {text} 中..."));
        assert_eq!(second, format!("{head} 处理 {text} 完毕，结果为 {result}"));
        let badge = browser.value("[...document.querySelectorAll('.badge')].at(-1).textContent");
        assert_eq!(badge, json!(robot.to_string()));
        assert_eq!(
            browser.value("document.querySelector('#expression').value"),
            ""
        );
    }
    browser.wait_for("their successors, alone", &ready(&[3, 4]));
    for step in ["1 leaving", "1 gone", "2 leaving", "2 gone"] {
        assert_eq!(
            browser.value(&format!("seen.has('{step}')")),
            true,
            "{step}"
        );
    }
    // Nothing comes from anywhere else.
    let foreign = "performance.getEntriesByType('resource').map((it) => it.name)\
                   .filter((it) => !it.startsWith(location.origin))";
    assert_eq!(browser.value(foreign), json!([]));
    browser.end();
    assert!(herd.end().success());
}

#[test]
fn everything_can_be_done_by_keyboard_and_has_a_name() {
    let scene = Scene::new("s0_keys");
    let (herd, mut browser) = start(&scene, &["--think", "10ms", "--max-jobs", "0"]);
    assert_eq!(browser.value(FOCUSED), "expression");
    send(&mut browser, "1 + 1");
    browser.wait_for("both replies", &replies(2));
    send(&mut browser, "2 + 2");
    browser.wait_for("both replies", &replies(4));
    let field = "document.querySelector('#expression').value";
    browser.write("draft");
    for (key, shown) in [
        (Key::Up, "2 + 2"),
        (Key::Up, "1 + 1"),
        (Key::Up, "1 + 1"),
        (Key::Down, "2 + 2"),
        (Key::Down, "draft"),
    ] {
        browser.press(key);
        assert_eq!(browser.value(field), shown);
    }
    // On to the button that sends, and to the first expression to try.
    browser.press(Key::Tab);
    assert_eq!(browser.value(FOCUSED), "Send");
    browser.press(Key::Tab);
    assert_eq!(browser.value(FOCUSED), "13 * 2");
    browser.press(Key::Enter);
    assert_eq!(browser.value(FOCUSED), "expression");
    assert_eq!(browser.value(field), "13 * 2");
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    let shown = browser.wait_for("both replies", &replies(6));
    assert!(shown[5].as_str().unwrap().ends_with("结果为 26"));
    assert_eq!(browser.value(FOCUSED), "expression");
    let named = browser.accessible();
    for (role, name) in [
        ("textbox", "JavaScript expression"),
        ("button", "Send"),
        ("log", "Replies"),
        ("list", "Robots"),
        ("heading", "Robot calculator"),
    ] {
        let is_there = named
            .iter()
            .any(|it| (it.0.as_str(), it.1.as_str()) == (role, name));
        assert!(is_there, "{role} {name}: {named:?}");
    }
    browser.end();
    assert!(herd.end().success());
}

#[test]
fn a_lost_connection_is_said_and_comes_back_by_itself() {
    let scene = Scene::new("s0_back");
    let (herd, mut browser) = start(&scene, &["--think", "10s", "--max-jobs", "0"]);
    send(&mut browser, "1");
    browser.wait_for("the first reply", &replies(1));
    browser.value(
        "globalThis.states = []; new MutationObserver(() => \
         states.push(document.querySelector('#connection').dataset.state))\
         .observe(document.querySelector('#connection'), { attributes: true }); 0",
    );
    let gateway = jobs::gateway(&herd);
    herd.signal_to(gateway.pid, Signal::KILL);
    let shown = browser.wait_for("what became of it", &replies(2));
    assert_eq!(shown[1], "The connection ended before the answer came.");
    let back = format!("states.includes('waiting') && states.at(-1) === 'open' && {CONNECTED}");
    browser.wait_for("it is back", &back);
    send(&mut browser, "2");
    let shown = browser.wait_for("the next reply", &replies(3));
    assert!(shown[2].as_str().unwrap().ends_with(" 处理 2 中..."));
    browser.wait_for("the same robots", &ready(&[1, 2]));
    browser.end();
    assert!(herd.end().success());
}

#[test]
fn it_fits_a_phone_in_the_dark_without_motion() {
    let scene = Scene::new("s0_phone");
    let (herd, mut browser) = start(&scene, &["--think", "10ms", "--max-jobs", "0"]);
    let phone = json!({ "width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": true });
    browser.emulate("setDeviceMetricsOverride", phone);
    let wishes = json!({ "features": [
        { "name": "prefers-color-scheme", "value": "dark" },
        { "name": "prefers-reduced-motion", "value": "reduce" },
    ] });
    browser.emulate("setEmulatedMedia", wishes);
    browser.wait_for("the first robots", &ready(&[1, 2]));
    send(&mut browser, "'long'.repeat(100)");
    browser.wait_for("both replies", &replies(2));
    let size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]";
    assert_eq!(browser.value(size), json!([360, 640]));
    let back = browser.value("getComputedStyle(document.documentElement).backgroundColor");
    assert_eq!(back, "rgb(18, 20, 31)");
    assert_eq!(browser.value("document.getAnimations().length"), 0);
    browser.end();
    assert!(herd.end().success());
}
