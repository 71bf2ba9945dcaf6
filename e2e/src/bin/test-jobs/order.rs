//! What a message can ask for.

use std::process;
use std::time::Duration;

/// What to do with a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Big(usize),
    Block(Duration),
    Echo,
    Exit(i32),
    Fail,
    Hang,
    Length,
    Many(u32),
    None,
    Panic,
    Retire,
    Slow(Duration),
    Twice,
    Watch,
}

/// A message that was understood.
pub(crate) struct Order {
    pub(crate) deed: Deed,
    /// How the client calls the message.
    id: String,
    /// Bytes of the message.
    length: usize,
    /// Who replies.
    signature: String,
}

impl Order {
    /// Reads a message; what is no command is `echo`, and its own name.
    pub(crate) fn parse(text: &str, worker: u64) -> Order {
        let mut words = text.split(' ');
        let command = words.next().unwrap_or_default();
        let id = words.next().unwrap_or(command).to_owned();
        Order {
            deed: Deed::of(command),
            id,
            length: text.len(),
            signature: format!("pid:{} worker:{worker}", process::id()),
        }
    }

    /// How many replies it gets in all.
    pub(crate) fn replies(&self) -> u32 {
        match self.deed {
            Deed::Many(count) => count,
            Deed::Twice | Deed::Watch => 2,
            Deed::None => 0,
            Deed::Big(_)
            | Deed::Block(_)
            | Deed::Echo
            | Deed::Exit(_)
            | Deed::Fail
            | Deed::Hang
            | Deed::Length
            | Deed::Panic
            | Deed::Retire
            | Deed::Slow(_) => 1,
        }
    }

    /// Its reply number `part`, from 1.
    pub(crate) fn reply(&self, part: u32) -> String {
        let (id, of, by) = (&self.id, self.replies(), &self.signature);
        if self.deed == Deed::Length {
            return format!("{id} {part}/{of} {by} {}", self.length);
        }
        format!("{id} {part}/{of} {by}")
    }

    /// Says that the client has gone, which `watch` waits for.
    #[expect(clippy::print_stdout, reason = "asked for")]
    pub(crate) fn say_cancelled(&self) {
        println!("cancelled {}", self.id);
    }
}

impl Deed {
    fn of(command: &str) -> Deed {
        let (name, number) = command.split_once('/').unwrap_or((command, "0"));
        let number: u32 = number.parse().unwrap_or(0);
        let time = Duration::from_millis(number.into());
        match name {
            "big" => Deed::Big(usize::try_from(number).unwrap_or(0)),
            "block" => Deed::Block(time),
            "exit" => Deed::Exit(i32::try_from(number).unwrap_or(1)),
            "fail" => Deed::Fail,
            "hang" => Deed::Hang,
            "length" => Deed::Length,
            "many" => Deed::Many(number),
            "none" => Deed::None,
            "panic" => Deed::Panic,
            "retire" => Deed::Retire,
            "slow" => Deed::Slow(time),
            "twice" => Deed::Twice,
            "watch" => Deed::Watch,
            _ => Deed::Echo,
        }
    }

    /// Does what needs no waiting and no reply, and perhaps does not come back.
    #[expect(clippy::panic, reason = "asked for")]
    pub(crate) fn do_harm(self) {
        match self {
            Deed::Block(time) => std::thread::sleep(time),
            Deed::Exit(code) => process::exit(code),
            Deed::Hang => loop {
                std::hint::spin_loop();
            },
            Deed::Panic => panic!("asked to panic"),
            Deed::Big(_)
            | Deed::Echo
            | Deed::Fail
            | Deed::Length
            | Deed::Many(_)
            | Deed::None
            | Deed::Retire
            | Deed::Slow(_)
            | Deed::Twice
            | Deed::Watch => {}
        }
    }
}
