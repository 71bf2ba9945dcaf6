//! The stand-in for a master.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use herder_sys::epoll::{Epoll, Events, Interest};
use herder_sys::pidfd::PidFd;
use herder_sys::process::{self, Executable};
use herder_sys::signal::{self, Signal, SignalFd};
use herder_sys::socket::{self, Wait};
use herder_sys::{fd, memory};
use herder_wire::keeper::{FromKeeper, Key, MAX_FRAME, MemberItem, ToKeeper};
use herder_wire::plan::{LaunchPlan, MAX_PLAN, PlanHeader};

/// What an operator says.
const SIGNALS: [Signal; 8] = [
    Signal::Hangup,
    Signal::Interrupt,
    Signal::Quit,
    Signal::Terminate,
    Signal::Ttin,
    Signal::Ttou,
    Signal::User1,
    Signal::User2,
];

struct Master {
    keeper: OwnedFd,
    child: Option<PidFd>,
}

/// Is a master, until it has done what it was told.
pub(crate) fn live() -> io::Result<ExitCode> {
    signal::reset_all_but(&SIGNALS)?;
    let mut master = Master {
        keeper: keeper_of_plan()?,
        child: None,
    };
    for name in herder_sys::manager::NAMES {
        if std::env::var_os(name).is_some() {
            say(&format!("sees {name}"));
        }
    }
    let died = master.hear_until_complete()?;
    let scripts: Vec<String> = std::env::args().skip(1).collect();
    let last = scripts.len().saturating_sub(1);
    let number = usize::try_from(died).map_or(last, |died| died.min(last));
    let script = scripts.get(number).map_or("wait", String::as_str);
    for step in script.split(',') {
        let (verb, value) = step.split_once('=').unwrap_or((step, "0"));
        if let Some(code) = master.step(verb, value)? {
            return Ok(ExitCode::from(code));
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Master {
    /// Does one step. Returns the exit status when it was the last.
    fn step(&mut self, verb: &str, value: &str) -> io::Result<Option<u8>> {
        let number = value.parse::<u32>().unwrap_or(0);
        let millis = number;
        match verb {
            "beat" => self.beat(number)?,
            "charge" => self.tell(&ToKeeper::InCharge, None)?,
            "child" => self.start_child(u64::from(number))?,
            "endchild" => self.end_child()?,
            "exit" => return Ok(u8::try_from(number).ok()),
            "forget" => {
                let key = Key::parse(value).ok_or(io::ErrorKind::InvalidInput)?;
                self.tell(&ToKeeper::Forget { key }, None)?;
            }
            "grace" => self.tell(&ToKeeper::Grace { millis }, None)?,
            "hand-over" => {
                self.tell(&ToKeeper::HandOver, None)?;
                self.hear_until_complete()?;
            }
            "kill" => signal_self(Signal::Kill)?,
            "leave" => self.tell(&ToKeeper::Leaving, None)?,
            "listen" => {
                let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
                self.store(Key::listener(number), listener.as_fd(), 0)?;
            }
            "notify" => {
                let text = value.replace(';', "\n");
                self.tell(&ToKeeper::Notify { text }, None)?;
            }
            "pause" => std::thread::sleep(Duration::from_millis(u64::from(millis))),
            "rest" => self.tell(&ToKeeper::Rest, None)?,
            "signals" => return self.obey_signals().map(Some),
            "stop" => signal_self(Signal::Stop)?,
            "store" => self.store_many(number)?,
            "store-itself" => {
                let own = Executable::current()?;
                self.store(Key::executable(), own.as_fd(), 0)?;
            }
            "wait" => loop {
                self.hear()?;
            },
            "watchdog" => self.tell(&ToKeeper::Watchdog { millis }, None)?,
            _ => return Err(io::Error::other(format!("what is {verb}?"))),
        }
        Ok(None)
    }

    fn beat(&self, times: u32) -> io::Result<()> {
        for _ in 0..times {
            self.tell(&ToKeeper::Beat, None)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A child in a group of its own, as workers are.
    fn start_child(&mut self, life: u64) -> io::Result<()> {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("sleep");
        // Its output would hold the test's pipes open.
        let command = command.arg("600").stdin(Stdio::null());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.process_group(0).spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let pidfd = PidFd::open(pid)?;
        self.store(
            Key::member(0, 0, life, MemberItem::Pidfd),
            pidfd.as_fd(),
            pid,
        )?;
        say(&format!("child {pid}"));
        self.child = Some(pidfd);
        Ok(())
    }

    fn end_child(&self) -> io::Result<()> {
        let child = self.child.as_ref().ok_or(io::ErrorKind::NotFound)?;
        child.signal(Signal::Kill)
    }

    fn store_many(&self, count: u32) -> io::Result<()> {
        let null = fd::null()?;
        for number in 0..u64::from(count) {
            self.store(Key::node(number), null.as_fd(), 0)?;
        }
        Ok(())
    }

    fn obey_signals(&self) -> io::Result<u8> {
        let signals = SignalFd::block(&SIGNALS)?;
        let epoll = Epoll::new()?;
        epoll.add(signals.as_fd(), 0, Interest::READABLE)?;
        epoll.add(self.keeper.as_fd(), 1, Interest::READABLE)?;
        let mut events = Events::with_capacity(2);
        loop {
            epoll.wait(&mut events, None)?;
            if events.iter().any(|event| event.token == 1) {
                self.hear()?;
            }
            while let Some(signal) = signals.read()? {
                say(&format!("signal {signal}"));
                if signal == Signal::Terminate {
                    self.tell(&ToKeeper::Leaving, None)?;
                    return Ok(0);
                }
            }
        }
    }

    fn store(&self, key: Key, fd: BorrowedFd<'_>, pid: i32) -> io::Result<()> {
        self.tell(&ToKeeper::Store { key, pid }, Some(fd))
    }

    fn tell(&self, frame: &ToKeeper, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).map_err(io::Error::other)?;
        loop {
            match socket::send(self.keeper.as_fd(), &bytes, fd.as_slice()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns how many masters have died.
    fn hear_until_complete(&self) -> io::Result<u32> {
        let mut stored = 0;
        loop {
            match self.hear()? {
                FromKeeper::Complete { masters_died } => {
                    say(&format!("complete {masters_died}, {stored} stored"));
                    return Ok(masters_died);
                }
                FromKeeper::Stored { .. } => stored += 1,
                FromKeeper::Exited { .. } | FromKeeper::LetsRest => {}
            }
        }
    }

    fn hear(&self) -> io::Result<FromKeeper> {
        let (mut bytes, mut fds) = ([0; MAX_FRAME], Vec::new());
        let channel = self.keeper.as_fd();
        let received = socket::receive(channel, &mut bytes, &mut fds, 9, Wait::Block)?;
        if received.len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let frame = FromKeeper::decode(&bytes[..received.len]).map_err(io::Error::other)?;
        let frame = frame.ok_or_else(|| io::Error::other("an unknown frame"))?;
        match frame {
            FromKeeper::Exited { pid, status } => say(&format!("exited {pid} {status}")),
            FromKeeper::Stored { key, pid } if key.as_node().is_none() => {
                say(&format!("stored {key} {pid} {}", fds.len()));
            }
            FromKeeper::Complete { .. } | FromKeeper::LetsRest | FromKeeper::Stored { .. } => {}
        }
        Ok(frame)
    }
}

/// The keeper's channel: what comes with the plan, behind the plan's body. The rest of the plan is printed.
fn keeper_of_plan() -> io::Result<OwnedFd> {
    let (mut bytes, mut fds) = ([0; PlanHeader::SIZE], Vec::new());
    let stdin = io::stdin();
    let received = socket::receive(stdin.as_fd(), &mut bytes, &mut fds, 9, Wait::Block)?;
    let header = PlanHeader::decode(&bytes[..received.len]).map_err(io::Error::other)?;
    let keeper = fds.pop().ok_or(io::ErrorKind::NotFound)?;
    let body = fds.pop().ok_or(io::ErrorKind::NotFound)?;
    let body = memory::read_sealed(body.as_fd(), MAX_PLAN)?;
    let plan = LaunchPlan::decode(&header, &body).map_err(io::Error::other)?;
    for limit in plan.limits {
        say(&format!("{:?} is to be {}", limit.kind, limit.soft));
    }
    Ok(keeper)
}

fn signal_self(signal: Signal) -> io::Result<()> {
    PidFd::open(process::current_pid())?.signal(signal)
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    let line = format!("{}: {text}\n", process::current_pid());
    let _unread = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
