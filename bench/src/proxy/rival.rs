//! Who takes part.

use super::part::{Kind, Part};
use crate::bare::Role;
use crate::variant::{BACKLOG, LeftOut, Server, announcement, installed, own_program, serve_at};
use herder_e2e::binary::Binary;
use herder_e2e::herd::Herd;
use herder_e2e::node::free_address;
use herder_e2e::scene::Scene;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a Debian package puts what nginx needs for TCP.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Who takes part in the contest of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// No proxy: one of the workers itself.
    Direct,
    /// herder's gateway.
    Herder,
    /// HAProxy with one thread.
    Haproxy,
    /// The same, moving bytes within the kernel where it thinks that it pays.
    HaproxySplice,
    /// nginx with one process.
    Nginx,
}

/// A proxy that serves, and who answers behind it.
pub(super) struct Standing {
    pub(super) server: Server,
    workers: Vec<Herd>,
}

impl Rival {
    /// All of them, in the order of the table.
    pub const ALL: [Rival; 5] = [
        Rival::Direct,
        Rival::Herder,
        Rival::Haproxy,
        Rival::HaproxySplice,
        Rival::Nginx,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Direct => "no proxy",
            Rival::Herder => "herder",
            Rival::Haproxy => "haproxy",
            Rival::HaproxySplice => "haproxy, splice-auto",
            Rival::Nginx => "nginx",
        }
    }

    /// Whether it has something to say there.
    pub fn suits(self, part: Part) -> bool {
        match self {
            Rival::Haproxy | Rival::Herder | Rival::Nginx => true,
            Rival::Direct => part == Part::HttpLight,
            Rival::HaproxySplice => part == Part::TcpLarge,
        }
    }

    /// Starts it in `scene`, and waits until all workers have answered by it.
    pub(super) fn start(self, scene: &Scene, part: Part) -> Result<Standing, LeftOut> {
        let kind = part.kind();
        if self == Rival::Herder {
            return Ok(Standing {
                server: start_herder(scene, kind)?,
                workers: Vec::new(),
            });
        }
        let program = match self {
            Rival::Direct | Rival::Herder => None,
            Rival::Haproxy | Rival::HaproxySplice => Some(installed("haproxy")?),
            Rival::Nginx => Some(installed("nginx")?),
        };
        let (mut workers, addresses) = start_workers(scene);
        let server = match (self, program) {
            (Rival::Nginx, Some(program)) => start_nginx(scene, program, kind, addresses)?,
            (_, Some(program)) => {
                let option = match self {
                    Rival::HaproxySplice => "option splice-auto",
                    Rival::Direct | Rival::Haproxy | Rival::Herder | Rival::Nginx => "",
                };
                start_haproxy(scene, program, kind, option, addresses)?
            }
            (_, None) => Server::alone(workers.remove(0), addresses[0]),
        };
        Ok(Standing { server, workers })
    }
}

impl Standing {
    /// Processor time of the proxy's processes so far.
    pub(super) fn time(&self) -> Duration {
        let [before, front, _workers] = self.server.times();
        before + front
    }

    pub(super) fn end(self) {
        self.server.herd.end();
        for worker in self.workers {
            worker.end();
        }
    }
}

fn start_workers(scene: &Scene) -> (Vec<Herd>, [SocketAddr; 2]) {
    let role = Role::Proxied.name();
    let start = || scene.program(own_program()).arg(role).start();
    let workers = [start(), start()];
    let addresses = workers
        .each_ref()
        .map(|worker| worker.wait_for_line("where it listens", PATIENCE, announcement));
    (workers.into(), addresses)
}

fn start_herder(scene: &Scene, kind: Kind) -> Result<Server, LeftOut> {
    let address = free_address();
    let kind = match kind {
        Kind::Http => "http",
        Kind::Tcp => "tcp",
    };
    let command = [&*own_program().to_string_lossy(), Role::Proxied.name()].map(quoted);
    let mut text = String::new();
    let written = write!(
        text,
        "[apps.bench]\ncommand = [{}, {}]\nworkers = 2\nlisten = \"{address}\"\n\
         dispatch = \"proxy\"\n\n[apps.bench.proxy]\nkind = \"{kind}\"\n",
        command[0], command[1],
    );
    written.expect("a string takes everything");
    let file = write_down(scene, "herder.toml", &text);
    let herd = scene.herd(Binary::HERDER).arg("run").arg(file).start();
    serve_at(herd, address)
}

/// As TOML has it.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn start_haproxy(
    scene: &Scene,
    program: PathBuf,
    kind: Kind,
    option: &str,
    workers: [SocketAddr; 2],
) -> Result<Server, LeftOut> {
    let address = free_address();
    let mode = match kind {
        Kind::Http => "http",
        Kind::Tcp => "tcp",
    };
    let text = template("haproxy/haproxy.cfg")
        .replace("@MODE@", mode)
        .replace("@OPTION@", option);
    let file = write_down(
        scene,
        "haproxy.cfg",
        &filled(&text, scene, address, workers),
    );
    let setup = scene.program(program).arg("-db").arg("-f").arg(file);
    serve_at(setup.start(), address)
}

fn start_nginx(
    scene: &Scene,
    program: PathBuf,
    kind: Kind,
    workers: [SocketAddr; 2],
) -> Result<Server, LeftOut> {
    let (block, module) = match kind {
        Kind::Http => (template("nginx/proxy-http.conf"), String::new()),
        Kind::Tcp if Path::new(NGINX_STREAM).exists() => (
            template("nginx/proxy-tcp.conf"),
            format!("load_module {NGINX_STREAM};"),
        ),
        Kind::Tcp => {
            let reason = "the module `stream` is not installed: run scripts/setup bench";
            return Err(LeftOut(reason.to_owned()));
        }
    };
    let address = free_address();
    let text = template("nginx/proxy.conf")
        .replace("@MODULE@", &module)
        .replace("@KIND@", &block);
    let file = write_down(scene, "nginx.conf", &filled(&text, scene, address, workers));
    let setup = scene.program(program).arg("-p").arg(scene.directory());
    serve_at(setup.arg("-c").arg(file).start(), address)
}

fn template(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name);
    fs::read_to_string(path).expect("it lies beside this program's source")
}

fn filled(text: &str, scene: &Scene, address: SocketAddr, workers: [SocketAddr; 2]) -> String {
    text.replace("@DIRECTORY@", &scene.directory().to_string_lossy())
        .replace("@ADDRESS@", &address.to_string())
        .replace("@BACKLOG@", BACKLOG)
        .replace("@FIRST@", &workers[0].to_string())
        .replace("@SECOND@", &workers[1].to_string())
}

fn write_down(scene: &Scene, name: &str, text: &str) -> PathBuf {
    let path = scene.directory().join(name);
    fs::write(&path, text).expect("the scene has a directory");
    path
}
