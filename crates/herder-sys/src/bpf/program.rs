//! The program: which socket of a group gets a connection.

use std::os::fd::BorrowedFd;

use super::assembler::{Assembler, Helper, Instruction, Label, Register, Width};
use super::steering::{MAX_SOCKETS, MAX_TURNS};

/// The maps that it uses.
pub(super) struct Maps<'a> {
    pub(super) sockets: BorrowedFd<'a>,
    pub(super) turns: BorrowedFd<'a>,
    pub(super) counters: BorrowedFd<'a>,
}

/// How many turns are tried for one connection before the kernel's own hash decides.
const TRIES: usize = 4;

// Counters, as offsets in bytes into their one value.
/// Turns that were taken, in vain or not: whose turn it is next.
pub(super) const TURNS: i16 = 0;
/// Turns in vain: no socket was at the index, or one of another address.
pub(super) const MISSES: i16 = 8;
/// Connections that went by the kernel's hash: nobody had a turn.
pub(super) const EMPTY: i16 = 16;
/// Connections that went by the kernel's hash: all tries were in vain.
pub(super) const EXHAUSTED: i16 = 24;
/// Connections that waited at a socket that was closed or shut down, and went to another.
pub(super) const MIGRATED: i16 = 32;

/// Turns that each place has yielded, eight bytes for each: behind the line of the processor's cache in which all
/// else is, which is written for each connection.
pub(super) const YIELDED: i16 = 64;

// Offsets into `struct sk_reuseport_md`.
/// Where the packet's TCP header begins.
const DATA: i16 = 0;
/// Where the part of the packet that can be read ends.
const DATA_END: i16 = 8;
/// The socket that the connection is to leave; zero for a new connection.
const MIGRATING_SOCKET: i16 = 48;

// A TCP header.
/// The byte that says what a packet is.
const FLAGS: i16 = 13;
const SYN: i32 = 0x02;
const ACK: i32 = 0x10;

// Offsets into the one value of the map of turns.
const LENGTH: i16 = 0;
const FIRST_TURN: i16 = 4;
/// How many turns each place is to have yielded in all, eight bytes for each. There are turns of four bytes before
/// them, and the length.
#[expect(clippy::cast_possible_truncation, reason = "about a kilobyte")]
pub(super) const TO_YIELD: i16 = (4 + 4 * MAX_TURNS as i16 + 7) / 8 * 8;

// Offsets from the top of the stack.
const ONLY_KEY: i16 = -4;
const PLACE: i16 = -8;
const STEP: i16 = -16;

/// A length that no rotation has: new connections are refused.
pub(super) const CLOSED: i32 = -1;

/// What the kernel is told: nobody listens here.
const REFUSE: i32 = 0;
/// What the kernel is told: go on, with the selected socket or, if there is none, by the hash.
const PASS: i32 = 1;

const CONTEXT: Register = Register::KeptA;
const COUNTERS: Register = Register::KeptB;
const ROTATION: Register = Register::KeptC;
const COUNT: Register = Register::KeptD;

/// The instructions, for these maps.
pub(super) fn assemble(maps: &Maps<'_>) -> Vec<Instruction> {
    let mut asm = Assembler::default();
    let (empty, selected, pass) = (asm.label(), asm.label(), asm.label());
    let refuse = asm.label();
    find_maps(&mut asm, maps, pass);
    set_step(&mut asm);
    // How many turns there are.
    asm.load(Width::Word, COUNT, ROTATION, LENGTH);
    // A comparison is of 64 bits, and what is loaded has no sign.
    let closed = u64::from(CLOSED.cast_unsigned());
    asm.set_wide(Register::First, closed);
    // Whoever waits already stays where it is until it is accepted.
    asm.jump_if_same(COUNT, Register::First, refuse);
    // Nothing was written yet: dividing by zero would leave the counter as the index.
    asm.jump_if_equal(COUNT, 0, empty);
    for left in (0..TRIES).rev() {
        // Somebody has to take it in the end.
        let may_yield = if left > 0 { Yields::Yes } else { Yields::No };
        attempt(&mut asm, maps, may_yield, selected);
    }
    // Each turn named a place without a socket. The hash knows only sockets that listen.
    count(&mut asm, EXHAUSTED);
    asm.jump(pass);

    asm.place(empty);
    count(&mut asm, EMPTY);
    asm.jump(pass);

    asm.place(selected);
    // New connections and those that leave a closed socket come by the same way, and are told apart
    // only to be counted.
    asm.load(Width::Double, Register::First, CONTEXT, MIGRATING_SOCKET);
    // Zero: a new connection.
    asm.jump_if_equal(Register::First, 0, pass);
    count(&mut asm, MIGRATED);

    asm.place(pass);
    // With what was selected, or by the hash.
    asm.set(Register::Answer, PASS);
    asm.exit();

    asm.place(refuse);
    // The client hears that nobody listens, as it will in a moment when it is true.
    asm.set(Register::Answer, REFUSE);
    asm.exit();
    asm.finish()
}

/// Finds the values of the maps that have one each.
fn find_maps(asm: &mut Assembler, maps: &Maps<'_>, absent: Label) {
    // The context is the first argument, which calls destroy.
    asm.copy(CONTEXT, Register::First);
    // Their one value has the key 0. A key is read from memory.
    asm.store_value(Width::Word, Register::Frame, ONLY_KEY, 0);
    for (map, value) in [(maps.counters, COUNTERS), (maps.turns, ROTATION)] {
        // The map to look into.
        asm.load_map(Register::First, map);
        // Where the key is …
        asm.copy(Register::Second, Register::Frame);
        // … on the stack.
        asm.add(Register::Second, ONLY_KEY.into());
        // An array has all its values, but the verifier wants to see that we look.
        asm.call(Helper::MapLookup);
        // It never happens; the hash decides then.
        asm.jump_if_equal(Register::Answer, 0, absent);
        // The next call destroys the answer.
        asm.copy(value, Register::Answer);
    }
}

/// Says how many turns the packet takes: one if a connection begins by it, or goes from one socket to another. The
/// kernel asks for each packet that belongs to no connection: a scanner's, one that came twice, the last one of a
/// connection that was forgotten, and the answer to a SYN cookie, whose connection has had its turn. They are given
/// to whoever would be next, and it stays its turn.
fn set_step(asm: &mut Assembler) {
    let (new, known) = (asm.label(), asm.label());
    asm.store_value(Width::Double, Register::Frame, STEP, 1);
    // Whoever moves needs a place, whatever the packet, if there is one at all.
    asm.load(Width::Double, Register::First, CONTEXT, MIGRATING_SOCKET);
    asm.jump_if_equal(Register::First, 0, new);
    asm.jump(known);
    asm.place(new);
    // The packet is from here …
    asm.load(Width::Double, Register::First, CONTEXT, DATA);
    // … to there.
    asm.load(Width::Double, Register::Second, CONTEXT, DATA_END);
    asm.copy(Register::Third, Register::First);
    asm.add(Register::Third, i32::from(FLAGS) + 1);
    // The verifier wants to see that we look.
    asm.jump_if_beyond(Register::Third, Register::Second, known);
    asm.load(Width::Byte, Register::First, Register::First, FLAGS);
    asm.and(Register::First, SYN | ACK);
    // The first packet of a connection.
    asm.jump_if_equal(Register::First, SYN, known);
    asm.store_value(Width::Double, Register::Frame, STEP, 0);
    asm.place(known);
}

/// Whether a place that has turns to yield yields this one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Yields {
    Yes,
    No,
}

/// Takes the next turn, and selects the socket whose turn it is.
fn attempt(asm: &mut Assembler, maps: &Maps<'_>, yields: Yields, selected: Label) {
    let (vain, next) = (asm.label(), asm.label());
    // One more turn is taken, or none …
    asm.load(Width::Double, Register::First, Register::Frame, STEP);
    // … by this connection and no other, on all processors. A turn in vain is not given to the
    // neighbour: a new one is taken, so that those who are there stay even.
    asm.atomic_fetch_add(COUNTERS, TURNS, Register::First);
    // Around and around.
    asm.modulo(Register::First, COUNT);
    // The verifier does not know how large the length may be, and user space may be wrong about it.
    let last = i32::try_from(MAX_TURNS - 1).expect("some hundred");
    asm.jump_if_greater(Register::First, last, vain);
    // Each turn has four bytes.
    asm.shift_left(Register::First, 2);
    // Where the turns are …
    asm.copy(Register::Second, ROTATION);
    // … and this one.
    asm.add_register(Register::Second, Register::First);
    // The place of the socket whose turn it is.
    asm.load(Width::Word, Register::First, Register::Second, FIRST_TURN);
    // A key is read from memory.
    asm.store(Width::Word, Register::Frame, PLACE, Register::First);
    if yields == Yields::Yes {
        yield_turn(asm, next);
    }
    // Select for this connection …
    asm.copy(Register::First, CONTEXT);
    // … of these sockets …
    asm.load_map(Register::Second, maps.sockets);
    // … the one at the place …
    asm.copy(Register::Third, Register::Frame);
    // … on the stack …
    asm.add(Register::Third, PLACE.into());
    // … and there are no flags.
    asm.set(Register::Fourth, 0);
    // Fails where there is no socket, where it was closed this moment, and where it is of another
    // address (which the kernel checks for us).
    asm.call(Helper::SelectReuseport);
    // It is selected.
    asm.jump_if_equal(Register::Answer, 0, selected);
    asm.place(vain);
    count(asm, MISSES);
    asm.place(next);
}

/// Whose turn it is, in `First`, yields it if it has not yielded as many as it is to: the turn after it is taken.
fn yield_turn(asm: &mut Assembler, next: Label) {
    let keep = asm.label();
    let last = i32::try_from(MAX_SOCKETS - 1).expect("some hundred");
    // Nothing is at such a place.
    asm.jump_if_greater(Register::First, last, keep);
    // Each count has eight bytes.
    asm.shift_left(Register::First, 3);
    // How many it is to have yielded …
    asm.copy(Register::Second, ROTATION);
    asm.add_register(Register::Second, Register::First);
    asm.load(Width::Double, Register::Third, Register::Second, TO_YIELD);
    // … and how many it has.
    asm.copy(Register::Second, COUNTERS);
    asm.add_register(Register::Second, Register::First);
    asm.load(Width::Double, Register::Fourth, Register::Second, YIELDED);
    // Another processor may see the same and yield one more: user space counts what was yielded.
    asm.jump_if_at_most(Register::Third, Register::Fourth, keep);
    asm.load(Width::Double, Register::First, Register::Frame, STEP);
    asm.atomic_add(Register::Second, YIELDED, Register::First);
    asm.jump(next);
    asm.place(keep);
}

/// Adds one to a counter.
fn count(asm: &mut Assembler, counter: i16) {
    // The operand is a register.
    asm.set(Register::First, 1);
    // Many processors count.
    asm.atomic_add(COUNTERS, counter, Register::First);
}
