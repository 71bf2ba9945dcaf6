//! What a request can ask for.

use std::io;
use std::process;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::channel::{self, Channel, wait_for_the_end};

/// Memory that was asked for.
static EATEN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// What to do with a request.
#[derive(Clone, Copy)]
pub(crate) enum Deed {
    Answer,
    Beats(Duration),
    Block(Duration),
    Child,
    Descriptors,
    Eat(usize),
    Exit(i32),
    Garbage,
    HalfAFrame,
    Hang,
    Oversize,
    Panic,
    Print(u64),
    Shut,
    Slow(Duration),
}

/// When the answer is sent.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Now,
    After(Duration),
}

impl Deed {
    pub(crate) fn of_path(path: &str) -> Deed {
        let (name, number) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
        let number: u32 = number.parse().unwrap_or(0);
        let time = Duration::from_millis(number.into());
        match name {
            "beats" => Deed::Beats(time),
            "block" => Deed::Block(time),
            "child" => Deed::Child,
            "descriptors" => Deed::Descriptors,
            "eat" => Deed::Eat(usize::try_from(number).unwrap_or(0)),
            "exit" => Deed::Exit(i32::try_from(number).unwrap_or(1)),
            "garbage" => Deed::Garbage,
            "half" => Deed::HalfAFrame,
            "hang" => Deed::Hang,
            "oversize" => Deed::Oversize,
            "panic" => Deed::Panic,
            "print" => Deed::Print(number.into()),
            "shut" => Deed::Shut,
            "slow" => Deed::Slow(time),
            _ => Deed::Answer,
        }
    }

    /// What comes before the answer.
    pub(crate) fn before(self) -> io::Result<Answer> {
        match self {
            Deed::Answer | Deed::Panic => {}
            Deed::Beats(time) => {
                let channel = Channel::find()?;
                // It ends with the worker at the latest.
                thread::spawn(move || channel.beats(time));
            }
            Deed::Block(time) => thread::sleep(time),
            Deed::Child => drop(process::Command::new("sleep").arg("300").spawn()?),
            Deed::Descriptors => Channel::find()?.descriptors()?,
            Deed::Eat(mebibytes) => eat(mebibytes),
            Deed::Exit(code) => process::exit(code),
            Deed::Garbage => fatal(Channel::garbage)?,
            Deed::HalfAFrame => fatal(Channel::half_a_frame)?,
            Deed::Hang => hang(),
            Deed::Oversize => fatal(Channel::too_much)?,
            Deed::Print(lines) => print(lines),
            Deed::Shut => channel::shut_listener()?,
            Deed::Slow(time) => return Ok(Answer::After(time)),
        }
        Ok(Answer::Now)
    }

    /// What comes when the answer was written.
    #[expect(clippy::panic, reason = "asked for")]
    pub(crate) fn after(self) {
        if matches!(self, Deed::Panic) {
            panic!("asked to panic");
        }
    }
}

fn fatal(misdeed: impl FnOnce(&Channel) -> io::Result<()>) -> io::Result<()> {
    misdeed(&Channel::find()?)?;
    wait_for_the_end()
}

fn hang() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn eat(mebibytes: usize) {
    // Not zeros: those are only promised.
    let meal = vec![1; mebibytes << 20];
    EATEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(meal);
}

#[expect(clippy::print_stdout, reason = "asked for")]
fn print(lines: u64) {
    for number in 0..lines {
        println!("line {number} {:-<100}", "");
    }
}
