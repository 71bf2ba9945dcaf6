//! Who herder is compared with, each started as its documentation has it, with two workers and a long queue.

use super::server::{LeftOut, START, Server};
use super::{Listeners, Policy};
use crate::bare::WORKERS;
use herder_e2e::client::get;
use herder_e2e::herd::{Herd, Setup};
use herder_e2e::interpreter::Node;
use herder_e2e::node::free_address;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of all Node workers.
pub(super) const NODE_WORKER: &str = "serve.js";
/// By what PM2 runs.
const PM2_NODE: Node = Node::Version(20);
/// How many connections the kernel queues: what herder has unless told otherwise.
pub(crate) const BACKLOG: &str = "4096";
/// What to do where somebody is missing.
const REMEDY: &str = "is not installed: run scripts/setup bench";

/// The arguments of a Python that make it uvicorn with the ASGI program; where it listens comes after.
pub(super) const UVICORN: [&str; 16] = [
    "-m",
    "uvicorn",
    "hello:asgi",
    "--app-dir",
    concat!(env!("CARGO_MANIFEST_DIR"), "/programs/python"),
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--lifespan",
    "off",
    "--no-access-log",
    "--log-level",
    "warning",
    "--backlog",
    BACKLOG,
];

/// A program for Node.
pub(super) fn node_program(name: &str) -> PathBuf {
    programs("node").join(name)
}

/// The Python in which `module` is installed.
pub(super) fn python(module: &str) -> Result<PathBuf, LeftOut> {
    let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/python/.venv/bin");
    if environment.join(module).is_file() {
        Ok(environment.join("python"))
    } else {
        Err(LeftOut(format!("{module} {REMEDY}")))
    }
}

pub(super) fn start_node(scene: &Scene, version: u8, policy: Policy) -> Result<Server, LeftOut> {
    let setup = scene
        .program(Node::Version(version).program())
        .arg(node_program("primary.js"))
        .arg(WORKERS.to_string());
    let setup = match policy {
        Policy::None => setup.env("NODE_CLUSTER_SCHED_POLICY", "none"),
        Policy::RoundRobin => setup.env("NODE_CLUSTER_SCHED_POLICY", "rr"),
    };
    Server::announced(setup.start())
}

pub(super) fn start_pm2(scene: &Scene) -> Result<Server, LeftOut> {
    let address = free_address();
    let setup = scene
        .program(PM2_NODE.program())
        .arg(pm2()?)
        .arg("start")
        .arg(node_program(NODE_WORKER))
        .args(["-i", &WORKERS.to_string()])
        .env("PM2_HOME", scene.directory().join("pm2"))
        .env("PORT", address.port().to_string());
    serve(setup.start(), address)
}

pub(super) fn start_nginx(scene: &Scene, listeners: Listeners) -> Result<Server, LeftOut> {
    let program = installed("nginx")?;
    let address = free_address();
    let reuseport = match listeners {
        Listeners::Each => "reuseport",
        Listeners::One => "",
    };
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/nginx/nginx.conf");
    let text = fs::read_to_string(&template).expect("it lies beside this program's source");
    let text = text
        .replace("@DIRECTORY@", &scene.directory().to_string_lossy())
        .replace("@ADDRESS@", &address.to_string())
        .replace("@WORKERS@", &WORKERS.to_string())
        .replace("@REUSEPORT@", reuseport)
        .replace("@BACKLOG@", BACKLOG);
    let file = scene.directory().join("nginx.conf");
    fs::write(&file, text).expect("the scene has a directory");
    let setup = scene.program(program).arg("-p").arg(scene.directory());
    serve(setup.arg("-c").arg(file).start(), address)
}

pub(super) fn start_gunicorn(scene: &Scene, class: &[&str]) -> Result<Server, LeftOut> {
    let address = free_address();
    let setup = scene
        .program(python("gunicorn")?)
        .args([
            "-m",
            "gunicorn",
            "--backlog",
            BACKLOG,
            "--log-level",
            "warning",
        ])
        .args(["-w", &WORKERS.to_string(), "-b", &address.to_string()])
        .args(class)
        .arg("--chdir")
        .arg(programs("python"))
        .arg("hello:wsgi");
    serve(setup.start(), address)
}

pub(super) fn start_uvicorn(scene: &Scene) -> Result<Server, LeftOut> {
    let address = free_address();
    let setup = scene.program(python("uvicorn")?).args(UVICORN);
    let setup = at(setup, address).args(["--workers", &WORKERS.to_string()]);
    serve(setup.start(), address)
}

pub(super) fn start_granian(scene: &Scene) -> Result<Server, LeftOut> {
    let address = free_address();
    let setup = scene
        .program(python("granian")?)
        .args(["-m", "granian", "--interface", "asginl", "hello:asgi"])
        .args(["--backlog", BACKLOG, "--log-level", "warning"])
        .args(["--workers", &WORKERS.to_string(), "--no-access-log"])
        .directory(programs("python"));
    serve(at(setup, address).start(), address)
}

pub(super) fn start_puma(scene: &Scene) -> Result<Server, LeftOut> {
    let address = free_address();
    let setup = scene
        .program(installed("puma")?)
        .args(["-w", &WORKERS.to_string(), "-t", "4:4", "-e", "production"])
        .args(["-b", &format!("tcp://{address}?backlog={BACKLOG}")])
        .arg(programs("ruby").join("hello.ru"));
    serve(setup.start(), address)
}

fn at(setup: Setup, address: SocketAddr) -> Setup {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    setup.args(["--host", &host, "--port", &port])
}

/// A program that was told where to listen.
pub(crate) fn serve(herd: Herd, address: SocketAddr) -> Result<Server, LeftOut> {
    // Who has ended does not answer either; what it said is in the reason.
    let is_there = || herd.descendants().iter().any(|one| one.pid == herd.pid());
    wait::attempt(START, || {
        (get(address, "/").is_ok() || !is_there()).then_some(())
    });
    Server::of(herd, address)
}

fn programs(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("programs")
        .join(language)
}

fn pm2() -> Result<PathBuf, LeftOut> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/pm2/node_modules/pm2");
    let program = directory.join("bin/pm2-runtime");
    if program.is_file() {
        Ok(program)
    } else {
        Err(LeftOut(format!("pm2 {REMEDY}")))
    }
}

/// Where a program of the machine is. (nginx's place is in the path of an administrator only.)
pub(crate) fn installed(name: &str) -> Result<PathBuf, LeftOut> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(administrators)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| LeftOut(format!("{name} {REMEDY}")))
}

/// The versions of those who are here, in their own words.
pub fn versions() -> Vec<String> {
    let mut found = Vec::new();
    for version in [20, 24] {
        found.extend(word(
            Command::new(Node::Version(version).program()).arg("--version"),
        ));
    }
    let found = found.into_iter().map(|word| format!("Node {word}"));
    let pm2 = pm2().ok().and_then(|program| {
        let package = program.parent()?.parent()?.join("package.json");
        let package: serde_json::Value = serde_json::from_slice(&fs::read(package).ok()?).ok()?;
        Some(format!("PM2 {}", package.get("version")?.as_str()?))
    });
    let puma = installed("puma")
        .ok()
        .and_then(|program| word(Command::new(program).arg("--version")));
    let modules = ["uvicorn", "granian", "gunicorn"]
        .into_iter()
        .filter_map(|module| {
            let version =
                format!("import importlib.metadata as m; print('{module}', m.version('{module}'))");
            word(Command::new(python(module).ok()?).args(["-c", &version]))
        });
    found
        .chain(pm2)
        .chain(nginx_version())
        .chain(modules)
        .chain(puma)
        .collect()
}

fn nginx_version() -> Option<String> {
    let text = word(Command::new(installed("nginx").ok()?).arg("-v"))?;
    Some(text.replace("nginx version: ", "").replace('/', " "))
}

/// The versions of the proxies that are here.
pub(crate) fn versions_of_proxies() -> Vec<String> {
    let haproxy = installed("haproxy").ok();
    let haproxy = haproxy.and_then(|program| word(Command::new(program).arg("-v")));
    // `HAProxy version 2.6.12-1 2023/12/16 - https://haproxy.org/`
    let haproxy = haproxy.map(|text| {
        let words = text.split(' ').filter(|word| *word != "version");
        words.take(2).collect::<Vec<_>>().join(" ")
    });
    haproxy.into_iter().chain(nginx_version()).collect()
}

/// The first line that a command says.
fn word(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let said = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().next().map(|line| line.trim().to_owned())
}
