//! TLS in front of programs that know nothing but `PORT`: certificates that only the master may read, chosen by
//! name and renewed while clients are there. The client is Python's.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use herder_e2e::binary::Binary;
use herder_e2e::foreign::{BOOT, address, wait_for};
use herder_e2e::herd::Herd;
use herder_e2e::proxy::examples;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// For `one.example`, and for `*.wild.example`.
const ONE: (&str, &str) = (
    include_str!("../../crates/herder-gateway/src/proxy/tls/testdata/one.crt"),
    include_str!("../../crates/herder-gateway/src/proxy/tls/testdata/one.key"),
);
const WILD: (&str, &str) = (
    include_str!("../../crates/herder-gateway/src/proxy/tls/testdata/wild.crt"),
    include_str!("../../crates/herder-gateway/src/proxy/tls/testdata/wild.key"),
);

/// How long it may take until a change of the files is seen, and a fault in them told, on a busy machine.
const LOOK: std::time::Duration = std::time::Duration::from_secs(90);

/// Asks once (`once NAME CA`), by a connection that stays (`keep`), and by that one again (`again`).
const CLIENT: &str = r"
import socket, ssl, sys

port = int(sys.argv[1])
kept = {}

def connect(name, ca):
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(['http/1.1'])
    plain = socket.create_connection(('127.0.0.1', port), 60)
    return context.wrap_socket(plain, server_hostname=name)

def get(tls, name):
    tls.sendall(f'GET / HTTP/1.1\r\nHost: {name}\r\n\r\n'.encode())
    data = b''
    while True:
        head, end, body = data.partition(b'\r\n\r\n')
        length = [line for line in head.lower().split(b'\r\n') if line.startswith(b'content-length:')]
        if end and len(body) >= int(length[0].split(b':')[1]):
            break
        piece = tls.recv(65536)
        if not piece:
            return 'closed'
        data += piece
    return head.decode().split('\r\n')[0] + ' ' + str(tls.selected_alpn_protocol())

for line in sys.stdin:
    what, name, ca = line.split()
    try:
        if what == 'again':
            said = get(kept[name], name)
        else:
            tls = connect(name, ca)
            said = get(tls, name)
            if what == 'keep':
                kept[name] = tls
            else:
                tls.close()
    except Exception as error:
        said = f'{type(error).__name__}: {error}'
    print(' '.join(said.split()), flush=True)
";

const GOOD: &str = "HTTP/1.1 200 OK http/1.1";

/// A client in Python.
struct Python {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Python {
    fn new(port: u16) -> Python {
        let mut child = Command::new("python3")
            .args(["-c", CLIENT, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 can be started");
        Python {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// What a request brings: its status line and what was agreed on, or why there is no answer.
    fn ask(&mut self, what: &str, name: &str, trusted: &Path) -> String {
        writeln!(self.stdin, "{what} {name} {}", trusted.display()).unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A herd with TLS, and its files.
struct Shop<'a> {
    scene: &'a Scene,
    herd: Herd,
    address: SocketAddr,
}

impl Shop<'_> {
    fn new(scene: &Scene) -> Shop<'_> {
        let directory = scene.directory();
        for (name, (certificate, key)) in [("it", ONE), ("wild", WILD)] {
            write(&directory.join(format!("{name}.crt")), certificate);
            write(&directory.join(format!("{name}.key")), key);
        }
        // What the client trusts stays as it is.
        write(&directory.join("one.ca"), ONE.0);
        write(&directory.join("wild.ca"), WILD.0);
        let script = examples().join("server.py");
        let text = format!(
            "[apps.shop]\ncommand = [\"python3\", {script:?}]\nlisten = \"127.0.0.1:0\"\nworkers = 2\n\
             dispatch = \"proxy\"\n[apps.shop.proxy]\nhttps_port = 8443\nidle_timeout = \"10m\"\n\
             certificate = \"it.crt\"\nkey = \"it.key\"\n\
             [[apps.shop.proxy.certificates]]\ncertificate = \"wild.crt\"\nkey = \"wild.key\"\n"
        );
        let file = directory.join("herder.toml");
        fs::write(&file, text).unwrap();
        let herd = scene.herd(Binary::HERDER).arg("run").arg(&file).start();
        wait_for(&herd, 0, 2, "ready", BOOT * 2);
        let address = address(&herd);
        Shop {
            scene,
            herd,
            address,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scene.directory().join(name)
    }

    /// Ends the gateway, and waits until another one is there.
    fn replace_gateway(&self) {
        let pid = || {
            let found = self.herd.titled("herder: gateway");
            found.first().map(|process| process.pid)
        };
        let before = pid().unwrap();
        self.herd.signal_to(before, herder_e2e::herd::Signal::KILL);
        wait::until(BOOT, "another gateway", || {
            pid().filter(|pid| *pid != before)
        });
    }

    /// Puts another file in the place of one, as those do who renew certificates.
    fn replace(&self, name: &str, text: &str) {
        let beside = self.file("beside");
        write(&beside, text);
        fs::rename(beside, self.file(name)).unwrap();
    }
}

/// A file that its owner alone may read. (The gateway is nobody, if that is root.)
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// What a request without TLS brings.
fn plain(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOOT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn certificates_are_chosen_by_name_and_renewed_under_clients() {
    let scene = Scene::new("proxy_tls");
    let shop = Shop::new(&scene);
    let (one, wild) = (shop.file("one.ca"), shop.file("wild.ca"));
    let mut client = Python::new(shop.address.port());
    assert_eq!(client.ask("keep", "one.example", &one), GOOD);
    assert_eq!(client.ask("once", "any.wild.example", &wild), GOOD);
    let refused = client.ask("once", "any.wild.example", &one);
    assert!(refused.contains("certificate verify failed"), "{refused}");

    let request = "GET /a?b HTTP/1.1\r\nHost: one.example\r\nConnection: close\r\n\r\n";
    let answer = plain(shop.address, request).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 308 "), "{answer}");
    let location = "\r\nlocation: https://one.example:8443/a?b\r\n";
    assert!(answer.contains(location), "{answer}");

    // A key that is none: it is told with its line, and the old pair serves.
    let mark = shop.herd.mark();
    shop.replace(
        "it.key",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
    );
    shop.herd
        .wait_for_line_after(mark, "the damaged key", LOOK, |line| {
            let told =
                line.contains("the certificates stay as they were") && line.contains("it.key:2: ");
            told.then_some(())
        });
    assert_eq!(client.ask("once", "one.example", &one), GOOD);

    // Another pair: who comes gets that, who is there stays.
    shop.replace("it.crt", WILD.0);
    shop.replace("it.key", WILD.1);
    wait::until(LOOK, "the new pair serves", || {
        let said = client.ask("once", "one.example", &one);
        said.contains("certificate verify failed").then_some(())
    });
    assert_eq!(client.ask("again", "one.example", &one), GOOD);
    assert_eq!(client.ask("once", "any.wild.example", &wild), GOOD);

    // A gateway that has to start gets the files, too, and so does one that another master finds.
    drop(client);
    let mark = shop.herd.mark();
    let gateway = shop.herd.titled("herder: gateway").remove(0).pid;
    shop.herd.signal_to(gateway, herder_e2e::herd::Signal::KILL);
    let master = shop.herd.master().unwrap().pid;
    shop.herd
        .wait_for_line_after(mark, "its death is told", BOOT, |line| {
            (line.contains("gateway") && line.contains("died")).then_some(())
        });
    let mut client = Python::new(shop.address.port());
    assert_eq!(client.ask("once", "any.wild.example", &wild), GOOD);
    let mark = shop.herd.mark();
    shop.herd.signal_to(master, herder_e2e::herd::Signal::KILL);
    shop.herd
        .wait_for_line_after(mark, "another master", BOOT, |line| {
            line.contains("took over").then_some(())
        });
    shop.replace("it.crt", ONE.0);
    shop.replace("it.key", ONE.1);
    wait::until(LOOK, "the first pair serves again", || {
        let said = client.ask("once", "one.example", &one);
        (said == GOOD).then_some(())
    });
    assert!(shop.herd.end().success());
}

#[test]
fn r26_gateways_that_start_while_the_files_are_broken_serve_with_the_last_good_ones() {
    let scene = Scene::new("proxy_tls_broken");
    let shop = Shop::new(&scene);
    let (one, wild) = (shop.file("one.ca"), shop.file("wild.ca"));
    let mut client = Python::new(shop.address.port());
    assert_eq!(client.ask("once", "one.example", &one), GOOD);

    // One is written over, which a descriptor of it would show, and of the other nothing is left.
    let broken = shop.herd.mark();
    write(&shop.file("it.key"), "-----BEGIN PRIVATE KEY-----\n!\n");
    fs::remove_file(shop.file("wild.crt")).unwrap();
    let told = |line: &str| line.contains("the certificates stay as they were");
    shop.herd
        .wait_for_line_after(broken, "what is wrong", LOOK, |line| {
            (told(line) && line.contains("it.key:2: ")).then_some(())
        });
    let serves = |client: &mut Python| {
        assert_eq!(client.ask("once", "one.example", &one), GOOD);
        assert_eq!(client.ask("once", "any.wild.example", &wild), GOOD);
    };
    serves(&mut client);
    shop.replace_gateway();
    serves(&mut client);

    // The next master has them from the keeper.
    let (master, mark) = (shop.herd.master().unwrap().pid, shop.herd.mark());
    shop.herd.signal_to(master, herder_e2e::herd::Signal::KILL);
    shop.herd
        .wait_for_line_after(mark, "another master", BOOT, |line| {
            line.contains("took over").then_some(())
        });
    shop.replace_gateway();
    serves(&mut client);
    let lines = shop.herd.lines_after(broken);
    let count = lines.iter().filter(|line| told(&line.text)).count();
    assert_eq!(count, 1, "{lines:#?}");

    // Nothing of a key is where it could be read by others.
    let secret = ONE.1.lines().nth(1).unwrap();
    assert!(lines.iter().all(|line| !line.text.contains(secret)));

    write(&shop.file("it.key"), ONE.1);
    write(&shop.file("wild.crt"), ONE.0);
    write(&shop.file("wild.key"), ONE.1);
    wait::until(LOOK, "the new ones serve", || {
        let said = client.ask("once", "any.wild.example", &wild);
        said.contains("certificate verify failed").then_some(())
    });
    assert!(shop.herd.end().success());
}
