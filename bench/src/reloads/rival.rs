//! Who takes part.

use clap::ValueEnum;
use herder_e2e::binary::Binary;
use herder_e2e::client::get;
use herder_e2e::deploy::{Deployed, Program, Verdict, Version, script};
use herder_e2e::foreign::installed;
use herder_e2e::herd::{Herd, Setup, Signal};
use herder_e2e::interpreter::Node;
use herder_e2e::load::Answer;
use herder_e2e::node::free_address;
use herder_e2e::process::Process;
use herder_e2e::scene::Scene;
use herder_e2e::wait;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long a start or a reload may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who takes part in the contest of reloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// gunicorn with two workers of 16 threads, and HUP.
    Gunicorn,
    /// herder with a Node program.
    HerderNode,
    /// herder with a Python program over `LISTEN_FDS`.
    HerderPython,
    /// herder with a Rust program.
    HerderRust,
    /// PM2 in cluster mode with the same Node program, and `pm2 reload`.
    Pm2,
    /// As `Pm2`; the program ends by itself when it gets SIGINT, as PM2's guide wants it.
    Pm2Handler,
}

impl Rival {
    /// All of them, in the order of the table.
    pub const ALL: [Rival; 6] = [
        Rival::HerderNode,
        Rival::Pm2,
        Rival::Pm2Handler,
        Rival::HerderPython,
        Rival::Gunicorn,
        Rival::HerderRust,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Gunicorn => "gunicorn",
            Rival::HerderNode => "herder, node",
            Rival::HerderPython => "herder, python",
            Rival::HerderRust => "herder, rust",
            Rival::Pm2 => "pm2, node",
            Rival::Pm2Handler => "pm2, node, SIGINT",
        }
    }

    /// Whether it is a herd.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Rival::HerderNode | Rival::HerderPython | Rival::HerderRust
        )
    }

    /// Starts it in `scene` and waits until it serves.
    pub(super) fn start(self, scene: &Scene) -> Served<'_> {
        let herd = |program| Served::Ours(Deployed::start(scene, program, &["--soak", "500ms"]));
        match self {
            Rival::HerderNode => herd(Program::Node(NODE)),
            Rival::HerderPython => herd(Program::Python),
            Rival::HerderRust => herd(Program::Native),
            Rival::Gunicorn => start_gunicorn(scene),
            Rival::Pm2 => start_pm2(scene, None),
            Rival::Pm2Handler => start_pm2(scene, Some("HANDLE_SIGINT")),
        }
    }
}

/// By whom all Node programs run.
const NODE: Node = Node::Version(20);

/// Somebody who serves.
pub(super) enum Served<'a> {
    Ours(Deployed<'a>),
    Theirs {
        herd: Herd,
        address: SocketAddr,
        /// The command that reloads it; none = HUP.
        command: Option<Box<dyn Fn() -> Setup + 'a>>,
    },
}

impl Served<'_> {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Served::Ours(deployed) => deployed.address,
            Served::Theirs { address, .. } => *address,
        }
    }

    /// Reloads it, and waits until whoever served before has gone.
    pub(super) fn reload(&self) {
        let before = self.serving();
        match self {
            Served::Ours(deployed) => {
                let verdict = deployed.deploy(Version::Good(2), PATIENCE);
                assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
            }
            Served::Theirs {
                command: None,
                herd,
                ..
            } => herd.signal(Signal::HUP),
            Served::Theirs {
                command: Some(command),
                ..
            } => {
                let status = command().start().wait_for_exit(PATIENCE);
                assert!(status.success(), "its reload: {status}");
            }
        }
        wait::until(PATIENCE, "who served before has gone", || {
            let is_gone = |process: &Process| !process.lives_on();
            before.iter().all(is_gone).then_some(())
        });
    }

    pub(super) fn end(self) {
        match self {
            Served::Ours(deployed) => deployed.herd.end(),
            Served::Theirs { herd, .. } => herd.end(),
        };
    }

    /// The two processes that answer.
    fn serving(&self) -> Vec<Process> {
        let mut pids = BTreeSet::new();
        wait::until(PATIENCE, "both workers answer", || {
            let body = get(self.address(), "/").ok()?;
            pids.insert(Answer::of_body(body.as_bytes())?.pid);
            (pids.len() == 2).then_some(())
        });
        pids.into_iter().filter_map(Process::of).collect()
    }
}

fn start_gunicorn(scene: &Scene) -> Served<'_> {
    let address = free_address();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/python");
    let herd = scene
        .program(installed("gunicorn"))
        .args(["-w", "2", "-k", "gthread", "--threads", "16", "-b"])
        .arg(address.to_string())
        .args(["--chdir", directory, "app:app"])
        .start();
    serve(herd, address, None)
}

fn start_pm2<'a>(scene: &'a Scene, flag: Option<&str>) -> Served<'a> {
    let address = free_address();
    let version = scene.directory().join("version");
    std::fs::write(&version, "1").expect("the scene has a directory");
    let setup = pm2(scene, "pm2-runtime")
        .arg("start")
        .arg(script("serve.js"));
    let setup = setup.args(["-i", "2"]).env("VERSION_FILE", version);
    let setup = setup.env("PORT", address.port().to_string());
    let setup = match flag {
        Some(flag) => setup.env(flag, "1"),
        None => setup,
    };
    let reload = || pm2(scene, "pm2").args(["reload", "all"]);
    serve(setup.start(), address, Some(Box::new(reload)))
}

fn serve<'a>(
    herd: Herd,
    address: SocketAddr,
    command: Option<Box<dyn Fn() -> Setup + 'a>>,
) -> Served<'a> {
    wait::until(PATIENCE, "it serves", || get(address, "/").ok());
    Served::Theirs {
        herd,
        address,
        command,
    }
}

/// One of PM2's programs, with a home in the scene.
fn pm2(scene: &Scene, name: &str) -> Setup {
    let directory = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/peers/pm2/node_modules/pm2/bin"
    );
    let program = PathBuf::from(directory).join(name);
    assert!(
        program.is_file(),
        "{} is missing: run scripts/setup bench",
        program.display()
    );
    let setup = scene.program(NODE.program()).arg(program);
    setup.env("PM2_HOME", scene.directory().join("pm2"))
}

/// Builds what takes part, before the time is taken.
pub(super) fn prepare() {
    Binary::HERDER.path();
}
