use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use herder_wire::proxy_protocol::{Header, Tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::proxy::settings::{Certificate, Kind, ProxyVersion, TlsSettings};
use crate::proxy::testing::{Site, all_of, noise, run, say, settings};

const ONE: (&str, &str) = (
    include_str!("testdata/one.crt"),
    include_str!("testdata/one.key"),
);
const WILD: (&str, &str) = (
    include_str!("testdata/wild.crt"),
    include_str!("testdata/wild.key"),
);

/// A directory that goes with the test.
struct Files(PathBuf);

impl Files {
    fn new() -> Files {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("herder-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Files(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn pair(&self, name: &str, (certificate, key): (&str, &str)) -> Certificate {
        Certificate {
            certificate: self.write(&format!("{name}.crt"), certificate),
            key: self.write(&format!("{name}.key"), key),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn with(certificates: Vec<Certificate>) -> TlsSettings {
    TlsSettings {
        certificates,
        alpn: vec!["h2".to_owned(), "tale".to_owned()],
        handshake_timeout_millis: 30_000,
    }
}

fn opened(certificates: &[Certificate]) -> Vec<OpenFiles> {
    certificates.iter().map(OpenFiles::open).collect()
}

fn made(certificates: Vec<Certificate>, kind: Kind) -> Result<(Acceptor, Vec<Warning>), TlsError> {
    let open = opened(&certificates);
    Acceptor::new(&with(certificates), kind, &open)
}

fn acceptor(certificates: Vec<Certificate>) -> Acceptor {
    made(certificates, Kind::Tcp).unwrap().0
}

/// A client that trusts these and asks for a name.
async fn client(
    site: &Site,
    name: &str,
    trusted: &[&str],
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pem in trusted {
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, site.client().await).await
}

/// The error of an acceptor that cannot be made.
fn refusal(certificates: Vec<Certificate>) -> String {
    made(certificates, Kind::Tcp).unwrap_err().to_string()
}

#[test]
fn a_client_gets_the_certificate_of_the_name_it_asks_for() {
    run(async {
        let files = Files::new();
        let tls = acceptor(vec![files.pair("one", ONE), files.pair("wild", WILD)]);
        let site = Site::open(settings(), Some(tls));
        let _listener = site.worker(1).await;
        for (name, trusted, well) in [
            ("one.example", ONE.0, true),
            ("any.wild.example", WILD.0, true),
            ("two.any.wild.example", WILD.0, false),
            ("127.0.0.1", ONE.0, true),
            // The first is for everybody else, who may not like it.
            ("other.example", ONE.0, false),
            ("one.example", WILD.0, false),
        ] {
            let connected = client(&site, name, &[trusted], &[]).await;
            assert_eq!(connected.is_ok(), well, "{name}: {connected:?}");
        }
    });
}

#[test]
fn what_was_agreed_is_said_to_the_worker_and_each_half_ends_for_itself() {
    run(async {
        let files = Files::new();
        let mut settings = settings();
        settings.tcp.proxy_protocol = Some(ProxyVersion::V2);
        let site = Site::open(settings, Some(acceptor(vec![files.pair("one", ONE)])));
        let listener = site.worker(1).await;
        let talk = client(&site, "one.example", &[ONE.0], &["tale", "x"]);
        let (client, accepted) = tokio::join!(talk, listener.accept());
        let (mut client, mut worker) = (client.unwrap(), accepted.unwrap().0);
        let much = noise(3_000_000);
        let (heard, ()) = tokio::join!(all_of(&mut worker), say(&mut client, &much));
        let (header, length) = Header::decode(&heard).unwrap().unwrap();
        let Header::Client(origin) = header else {
            panic!("{header:?}");
        };
        let agreed = Tls {
            version: Some("TLSv1.3".to_owned()),
            alpn: Some(b"tale".to_vec()),
            authority: Some("one.example".to_owned()),
        };
        assert_eq!(origin.tls, Some(agreed));
        assert!(heard[length..] == much);
        let (heard, ()) = tokio::join!(all_of(&mut client), say(&mut worker, &much));
        assert!(heard == much);
    });
}

#[cfg(feature = "http2")]
#[test]
fn clients_agree_on_http_2_or_do_not() {
    run(async {
        let files = Files::new();
        let pairs = vec![files.pair("one", ONE)];
        let open = opened(&pairs);
        let tls = TlsSettings {
            alpn: Vec::new(),
            ..with(pairs)
        };
        let (tls, _) = Acceptor::new(&tls, Kind::Http, &open).unwrap();
        let mut settings = settings();
        settings.kind = Kind::Http;
        let site = Site::open(settings, Some(tls));
        let agreed = async |alpn: &[&str]| {
            let client = client(&site, "one.example", &[ONE.0], alpn).await.unwrap();
            let agreed = client.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            (client, agreed)
        };
        let (new, protocol) = agreed(&["http/1.1", "h2"]).await;
        assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
        let (requests, connection) = h2::client::handshake(new).await.unwrap();
        tokio::task::spawn_local(connection);
        let request = http::Request::get("https://one.example/").body(()).unwrap();
        let mut requests = requests.ready().await.unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        // There is no worker.
        assert_eq!(response.await.unwrap().status(), 503);
        for alpn in [&["http/1.1"][..], &[]] {
            let (mut old, protocol) = agreed(alpn).await;
            assert_ne!(protocol.as_deref(), Some(&b"h2"[..]));
            let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            old.write_all(request).await.unwrap();
            assert!(all_of(&mut old).await.starts_with(b"HTTP/1.1 503 "));
        }
    });
}

#[test]
fn a_client_that_leaves_tls_without_a_word_has_said_its_last() {
    run(async {
        let files = Files::new();
        let site = Site::open(settings(), Some(acceptor(vec![files.pair("one", ONE)])));
        let listener = site.worker(1).await;
        let mut client = client(&site, "one.example", &[ONE.0], &[]).await.unwrap();
        let (mut worker, _) = listener.accept().await.unwrap();
        client.write_all(b"last words").await.unwrap();
        client.flush().await.unwrap();
        client.into_inner().0.shutdown().await.unwrap();
        assert_eq!(all_of(&mut worker).await, b"last words");
    });
}

#[test]
fn who_speaks_no_tls_is_closed_and_others_are_served() {
    run(async {
        let files = Files::new();
        let tls = acceptor(vec![files.pair("one", ONE)]);
        let site = Site::open(settings(), Some(tls.clone()));
        let _listener = site.worker(1).await;
        let _silent = site.client().await;
        let mut plain = site.client().await;
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // A word of TLS (an alert) that it does not understand, and the end.
        let _alert = plain.read_to_end(&mut Vec::new()).await;
        assert_eq!(tls.failed(), 1);
        client(&site, "one.example", &[ONE.0], &[]).await.unwrap();
    });
}

#[test]
fn who_speaks_http_without_tls_is_sent_to_https() {
    run(async {
        let files = Files::new();
        let (tls, _) = made(vec![files.pair("one", ONE)], Kind::Http).unwrap();
        let mut settings = settings();
        settings.kind = Kind::Http;
        settings.http.https_port = Some(8443);
        let site = Site::open(settings, Some(tls));
        let listener = site.worker(1).await;
        let request = b"GET /a?b HTTP/1.1\r\nHost: one.example:80\r\nConnection: close\r\n\r\n";

        let mut plain = site.client().await;
        plain.write_all(request).await.unwrap();
        let answer = String::from_utf8(all_of(&mut plain).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        let location = "\r\nlocation: https://one.example:8443/a?b\r\n";
        assert!(answer.to_ascii_lowercase().contains(location), "{answer}");

        let mut secure = client(&site, "one.example", &[ONE.0], &[]).await.unwrap();
        secure.write_all(request).await.unwrap();
        let (mut worker, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            assert_ne!(worker.read_buf(&mut heard).await.unwrap(), 0);
        }
        let heard = String::from_utf8(heard).unwrap().to_ascii_lowercase();
        assert!(
            heard.contains("\r\nx-forwarded-proto: https\r\n"),
            "{heard}"
        );
        worker
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        let answer = String::from_utf8(all_of(&mut secure).await).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok"),
            "{answer}"
        );
    });
}

#[test]
fn new_files_serve_who_comes_next_and_bad_ones_change_nothing() {
    run(async {
        let files = Files::new();
        let pair = [files.pair("it", ONE)];
        let tls = acceptor(pair.to_vec());
        let site = Site::open(settings(), Some(tls.clone()));
        let listener = site.worker(1).await;
        let mut early = client(&site, "one.example", &[ONE.0], &[]).await.unwrap();
        let (mut worker, _) = listener.accept().await.unwrap();

        // Half of the new pair is none.
        files.write("it.crt", WILD.0);
        let error = tls.renew(&opened(&pair)).unwrap_err().to_string();
        assert!(
            error.contains("it.key:1: this is not the key of"),
            "{error}"
        );
        client(&site, "one.example", &[ONE.0], &[]).await.unwrap();

        files.write("it.key", WILD.1);
        assert_eq!(tls.renew(&opened(&pair)), Ok(Vec::new()));
        client(&site, "a.wild.example", &[WILD.0], &[])
            .await
            .unwrap();
        client(&site, "one.example", &[ONE.0], &[])
            .await
            .unwrap_err();

        say(&mut early, b"still here").await;
        assert_eq!(all_of(&mut worker).await, b"still here");
    });
}

#[test]
fn files_are_read_from_their_beginning_whoever_has_read_them_before() {
    let files = Files::new();
    let pair = [files.pair("one", ONE)];
    let open = opened(&pair);
    for _ in 0..2 {
        assert!(Acceptor::new(&with(pair.to_vec()), Kind::Tcp, &open).is_ok());
    }
}

#[test]
fn a_file_that_could_not_be_opened_is_named_with_the_reason() {
    let files = Files::new();
    let pair = files.pair("one", ONE);
    let mut open = opened(std::slice::from_ref(&pair));
    open[0] = OpenFiles::NoKey("it is a pipe".to_owned());
    let error = Acceptor::new(&with(vec![pair]), Kind::Tcp, &open).unwrap_err();
    let said = error.to_string();
    assert!(
        said.ends_with("one.key: cannot be read: it is a pipe"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line_and_what_would_be_right() {
    let files = Files::new();
    let one = files.pair("one", ONE);
    let wild = files.pair("wild", WILD);
    let with_certificate = |name, text: &[u8]| Certificate {
        certificate: files.write(name, text),
        key: one.key.clone(),
    };
    let with_key = |name, text: &str| Certificate {
        certificate: one.certificate.clone(),
        key: files.write(name, text),
    };
    let exchanged = Certificate {
        certificate: one.key.clone(),
        key: one.certificate.clone(),
    };
    let missing = Certificate {
        certificate: one.certificate.clone(),
        key: files.0.join("nowhere.key"),
    };
    let mixed = Certificate {
        certificate: one.certificate.clone(),
        key: wild.key.clone(),
    };
    let cut = ONE.0.replace("-----END CERTIFICATE-----\n", "");
    let spoilt = ONE.1.replacen("\nM", "\n!", 1);
    let encrypted = include_str!("testdata/encrypted.key");
    for (pair, parts) in [
        (exchanged, ["one.key:1: ", "exchanged"]),
        (missing, ["nowhere.key: cannot be read: ", "No such file"]),
        (mixed, ["wild.key:1: ", "one.crt; the two belong together"]),
        (
            with_certificate("der.crt", b"\x30\x82\xff"),
            ["der.crt: it is not text", "openssl x509"],
        ),
        (
            with_certificate("none.crt", b"hello\n"),
            ["none.crt: ", "BEGIN CERTIFICATE"],
        ),
        (
            with_certificate("cut.crt", cut.as_bytes()),
            ["cut.crt:1: ", "END CERTIFICATE"],
        ),
        (
            with_key("spoilt.key", &format!("# me\n{spoilt}")),
            ["spoilt.key:3: ", "base64"],
        ),
        (
            with_key("locked.key", encrypted),
            ["locked.key:1: ", "openssl pkey"],
        ),
    ] {
        let error = refusal(vec![pair]);
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
    assert_eq!(refusal(Vec::new()), TlsError::Nothing.to_string());
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let files = Files::new();
    let pair = files.pair("one", ONE);
    let warned = |mode| {
        fs::set_permissions(&pair.key, fs::Permissions::from_mode(mode)).unwrap();
        let (_, warnings) = made(vec![pair.clone()], Kind::Tcp).unwrap();
        warnings
            .into_iter()
            .map(|it| it.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(warned(0o640), Vec::<String>::new());
    let warnings = warned(0o644);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("one.key: "), "{warnings:?}");
    assert!(
        warnings[0].contains("(mode 0644); `chmod 600` it"),
        "{warnings:?}"
    );
}

#[test]
fn the_tls_of_python_is_understood() {
    run(async {
        let files = Files::new();
        let pair = files.pair("one", ONE);
        let trusted = pair.certificate.clone();
        let site = Site::open(settings(), Some(acceptor(vec![pair])));
        let listener = site.worker(1).await;
        let port = site.address.port();
        let python = tokio::task::spawn_blocking(move || ask_in_python(port, &trusted));
        let (mut worker, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 8];
        worker.read_exact(&mut asked).await.unwrap();
        say(&mut worker, &noise(300_000)).await;
        let said = python.await.unwrap();
        assert_eq!(said.trim(), format!("{} {:?}", "TLSv1.3 tale", 300_000));
        assert_eq!(asked, b"question");
    });
}

/// Asks by Python's own TLS, and gives what it prints: the version, the protocol, how much was answered.
fn ask_in_python(port: u16, trusted: &Path) -> String {
    const PROGRAM: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
context.set_alpn_protocols(['tale'])
plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 50)
with context.wrap_socket(plain, server_hostname='one.example') as tls:
    tls.sendall(b'question')
    count = 0
    while piece := tls.recv(65536):
        count += len(piece)
    print(tls.version(), tls.selected_alpn_protocol(), count)
";
    let output = std::process::Command::new("python3")
        .args(["-c", PROGRAM, &port.to_string()])
        .arg(trusted)
        .output()
        .expect("python3 can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
