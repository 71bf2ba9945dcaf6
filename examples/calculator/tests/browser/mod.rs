//! A real browser without a window, led over its DevTools protocol.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use herder_e2e::herd::Herd;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// How long a page may take for anything, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What else a browser would do on its own: talk to its maker, ask, and need a display.
const QUIET: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "about:blank",
];

/// A browser with one page.
pub(crate) struct Browser {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    herd: Herd,
}

/// A key that is no character.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Down,
    Enter,
    Tab,
    Up,
}

impl Browser {
    /// Starts it and opens a page.
    pub(crate) fn open(scene: &Scene, address: &str) -> Browser {
        let home = scene.directory().join("browser");
        let setup = scene
            .program(executable())
            .args(QUIET)
            .arg(format!("--user-data-dir={}", home.display()))
            .env("HOME", scene.directory());
        let herd = setup.start();
        let (port, path) = wait::until(PATIENCE, "the browser listens", || {
            let told = fs::read_to_string(home.join("DevToolsActivePort")).ok()?;
            let (port, path) = told.split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.trim().to_owned()))
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the browser listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the time is more than nothing");
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(url, stream).expect("the browser speaks WebSocket");
        let mut browser = Browser {
            socket,
            session: None,
            last: 0,
            herd,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Log", "Page", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Page.navigate", json!({ "url": address }));
        browser.wait_for("the page is there", "document.readyState === 'complete'");
        browser
    }

    /// The value of a JavaScript expression in the page.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let call = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut answer = self.call("Runtime.evaluate", call);
        if let Some(exception) = answer.get("exceptionDetails") {
            panic!("{expression}: {exception}");
        }
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true, looking at each change of the page, and returns its value.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, expression: &str) -> Value {
        let millis = PATIENCE.as_millis() / 2;
        let value = self.value(&format!(
            "new Promise((resolve) => {{
                let observer, timer;
                const end = (value) => {{
                    observer.disconnect();
                    clearTimeout(timer);
                    resolve(value);
                }};
                const look = () => {{
                    const value = ({expression});
                    if (value) end(value);
                }};
                observer = new MutationObserver(look);
                const all = {{ subtree: true, childList: true, attributes: true, characterData: true }};
                observer.observe(document, all);
                document.addEventListener('readystatechange', look, {{ once: true }});
                timer = setTimeout(() => end(null), {millis});
                look();
            }})"
        ));
        if value.is_null() {
            let text = self.value("document.body.innerText");
            panic!("not within {millis} ms: {what}; the page says {text}");
        }
        value
    }

    /// Types a text, a character at a time.
    #[track_caller]
    pub(crate) fn write(&mut self, text: &str) {
        for character in text.chars() {
            self.key("char", json!({ "text": character.to_string() }));
        }
    }

    /// Presses a key, and lets it go.
    #[track_caller]
    pub(crate) fn press(&mut self, key: Key) {
        let (name, code, text) = match key {
            Key::Down => ("ArrowDown", 40, ""),
            Key::Enter => ("Enter", 13, "\r"),
            Key::Tab => ("Tab", 9, ""),
            Key::Up => ("ArrowUp", 38, ""),
        };
        let event = json!({
            "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text,
        });
        self.key(
            if text.is_empty() {
                "rawKeyDown"
            } else {
                "keyDown"
            },
            event.clone(),
        );
        self.key("keyUp", event);
    }

    /// The role and the name that assistive technology finds for each thing on the page.
    pub(crate) fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let text = |node: &Value, key: &str| node[key]["value"].as_str().unwrap_or("").to_owned();
        let nodes = tree["nodes"].as_array().expect("the protocol says so");
        nodes
            .iter()
            .map(|node| (text(node, "role"), text(node, "name")))
            .collect()
    }

    /// Sets how the page is looked at.
    pub(crate) fn emulate(&mut self, method: &str, settings: Value) {
        self.call(&format!("Emulation.{method}"), settings);
    }

    /// Ends it.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.session = None;
        self.call("Browser.close", json!({}));
        self.herd.wait_for_exit(PATIENCE);
        self.herd.end();
    }

    #[track_caller]
    fn key(&mut self, kind: &str, mut event: Value) {
        event["type"] = kind.into();
        self.call("Input.dispatchKeyEvent", event);
    }

    /// One call of the protocol. What the page complains of meanwhile fails the test.
    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut call = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.socket
            .send(Message::text(call.to_string()))
            .expect("the browser listens");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let message = match self.socket.read() {
                Ok(message) => message.into_text().expect("the protocol is text"),
                Err(error) => panic!("{method}: {error}"),
            };
            let mut message: Value = serde_json::from_str(&message).expect("the protocol is JSON");
            if message["id"] == self.last {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            let complaint = match message["method"].as_str() {
                Some("Runtime.exceptionThrown") => true,
                Some("Log.entryAdded") => is_own_fault(&message["params"]["entry"]),
                _ => false,
            };
            assert!(!complaint, "the page complains: {message}");
        }
        panic!("{method}: no answer within {PATIENCE:?}");
    }
}

/// A connection that cannot be made is an error of the network, not of the page.
fn is_own_fault(entry: &Value) -> bool {
    entry["level"] == "error"
        && entry["text"]
            .as_str()
            .is_some_and(|it| !it.contains("ERR_"))
}

/// # Panics
/// When there is none; the message says what to do.
fn executable() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|directory| ["chromium", "chromium-browser"].map(|name| directory.join(name)))
        .find(|candidate| candidate.is_file());
    found.expect("chromium is missing: run scripts/setup test")
}
