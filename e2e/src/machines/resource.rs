//! What a job of the cluster writes to: outside of all machines, and with a memory of tokens.
//!
//! A run says `begin TICK TOKEN ATTEMPT PID`, and goes on when it is answered; then it says `write …`.
//! A write is refused when its token is smaller than the greatest that wrote to the tick, and when the
//! tick has its effect. What a resource without memory would have done is written down, too.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The resource. Its thread ends with the process.
#[derive(Clone, Debug)]
pub struct Resource {
    inside: Arc<Mutex<Inside>>,
    port: u16,
}

/// A run that begins, or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The tick, in milliseconds since 1970.
    pub tick: i64,
    /// Its token.
    pub token: u64,
    /// Which try it is.
    pub attempt: u8,
    /// The worker.
    pub pid: i32,
}

/// What became of a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Who began, in order.
    pub begun: Vec<Access>,
    /// The greatest token that wrote.
    pub greatest: u64,
    /// The write that took effect.
    pub effect: Option<Access>,
    /// Writes that were refused by their token.
    pub late: Vec<Access>,
    /// Writes that were refused because the tick had its effect.
    pub again: Vec<Access>,
}

/// When a run is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has begun, and not written.
    Begun,
    /// It has written, and not heard of it.
    Written,
}

/// A run that is held where it is, until this is dropped.
#[derive(Debug)]
pub struct Caught {
    /// What it did.
    pub access: Access,
    _held: Sender<()>,
}

#[derive(Debug, Default)]
struct Inside {
    ticks: BTreeMap<i64, Tick>,
    snare: Option<Snare>,
}

#[derive(Debug)]
struct Snare {
    moment: Moment,
    caught: Sender<Caught>,
}

impl Resource {
    /// A resource that listens on all addresses of this machine.
    ///
    /// # Panics
    /// When it cannot.
    pub fn start() -> Resource {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let resource = Resource {
            inside: Arc::default(),
            port,
        };
        let serving = resource.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let resource = serving.clone();
                // A worker that is killed is cut off in the middle.
                thread::spawn(move || drop(resource.serve(stream)));
            }
        });
        resource
    }

    /// Where it is, for a machine that reaches this one at this address.
    pub fn address(&self, address: IpAddr) -> String {
        SocketAddr::new(address, self.port).to_string()
    }

    /// Holds the next run that comes to this moment.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn catch(&self, moment: Moment, within: Duration) -> Caught {
        let (caught, next): (_, Receiver<Caught>) = channel();
        self.lock().snare = Some(Snare { moment, caught });
        let Ok(caught) = next.recv_timeout(within) else {
            panic!("no run within {within:?}");
        };
        caught
    }

    /// All ticks so far.
    pub fn ticks(&self) -> BTreeMap<i64, Tick> {
        self.lock().ticks.clone()
    }

    /// One tick.
    pub fn tick(&self, tick: i64) -> Tick {
        self.lock().ticks.get(&tick).cloned().unwrap_or_default()
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while let Some(line) = lines.next().transpose()? {
            let Some((word, access)) = parse(&line) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let (answer, moment) = match word {
                "begin" => {
                    let mut inside = self.lock();
                    inside.tick(access).begun.push(access);
                    ("go", Moment::Begun)
                }
                _ => (self.lock().tick(access).write(access), Moment::Written),
            };
            self.hold(moment, access);
            writeln!(&stream, "{answer}")?;
        }
        Ok(())
    }

    /// Returns when nobody holds the run any more.
    fn hold(&self, moment: Moment, access: Access) {
        let mut inside = self.lock();
        let snare = inside.snare.take_if(|snare| snare.moment == moment);
        drop(inside);
        if let Some(snare) = snare {
            let (held, freed) = channel();
            let caught = Caught {
                access,
                _held: held,
            };
            // Freed by being dropped, also when the test has given up.
            let _gone = snare.caught.send(caught);
            let _freed = freed.recv();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn tick(&mut self, access: Access) -> &mut Tick {
        self.ticks.entry(access.tick).or_default()
    }
}

impl Tick {
    fn write(&mut self, access: Access) -> &'static str {
        if access.token < self.greatest {
            self.late.push(access);
            return "late";
        }
        self.greatest = access.token;
        if self.effect.is_some() {
            self.again.push(access);
            return "again";
        }
        self.effect = Some(access);
        "done"
    }
}

fn parse(line: &str) -> Option<(&str, Access)> {
    let mut words = line.split(' ');
    let word = words.next()?;
    let access = Access {
        tick: words.next()?.parse().ok()?,
        token: words.next()?.parse().ok()?,
        attempt: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
    };
    Some((word, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: u64) -> Access {
        Access {
            tick: 1,
            token,
            attempt: 1,
            pid: 1,
        }
    }

    #[test]
    fn a_tick_has_one_effect_and_no_smaller_token_after_a_greater() {
        let mut tick = Tick::default();
        assert_eq!(tick.write(access(2)), "done");
        assert_eq!(tick.write(access(1)), "late");
        assert_eq!(tick.write(access(2)), "again");
        assert_eq!(tick.write(access(3)), "again");
        assert_eq!(tick.write(access(2)), "late");
        assert_eq!((tick.late.len(), tick.again.len()), (2, 2));
        assert_eq!(tick.effect, Some(access(2)));
    }

    #[test]
    fn a_line_is_read() {
        assert_eq!(parse("write 1 2 1 1"), Some(("write", access(2))));
        assert_eq!(parse("write 1 2 1"), None);
    }
}
