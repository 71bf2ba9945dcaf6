//! A small assembler for the kernel's virtual machine: what the one program here needs, and nothing
//! that it does not.

use std::os::fd::BorrowedFd;

use super::call;

/// One instruction, or half of a wide one, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    code: u8,
    /// The destination in the low half, the source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Register {
    /// What a helper answers, and what the program does.
    Answer = 0,
    /// The first argument; each call destroys all arguments.
    First = 1,
    /// The second.
    Second = 2,
    /// The third.
    Third = 3,
    /// The fourth.
    Fourth = 4,
    /// Survives calls.
    KeptA = 6,
    /// Survives calls.
    KeptB = 7,
    /// Survives calls.
    KeptC = 8,
    /// Survives calls.
    KeptD = 9,
    /// Just above the stack; read-only.
    Frame = 10,
}

/// What the kernel offers to programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Helper {
    /// `bpf_map_lookup_elem(map, &key)`: where the value is, or zero.
    MapLookup = 1,
    /// `bpf_sk_select_reuseport(context, map, &key, flags)`: zero, or a negative error.
    SelectReuseport = 82,
}

/// How much is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Width {
    /// 32 bits.
    Word = 0x00,
    /// 8 bits.
    Byte = 0x10,
    /// 64 bits.
    Double = 0x18,
}

/// A place in the program to jump to. Only forwards: so the kernel sees that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// The instructions so far.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    /// Jumps, and the labels that they lead to.
    jumps: Vec<(usize, Label)>,
    /// Where labels are, as far as they have been reached.
    labels: Vec<Option<usize>>,
}

// Classes and sources of instructions, as `linux/bpf.h` has them.
const LOAD_WIDE: u8 = 0x18;
const LOAD: u8 = 0x61;
const STORE_IMMEDIATE: u8 = 0x62;
const STORE: u8 = 0x63;
const ATOMIC: u8 = 0xc3;
const ALU64_IMMEDIATE: u8 = 0x07;
const ALU64_REGISTER: u8 = 0x0f;
const JUMP_IMMEDIATE: u8 = 0x05;
const JUMP_REGISTER: u8 = 0x0d;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

// Operations.
const ADD: u8 = 0x00;
const AND: u8 = 0x50;
const SHIFT_LEFT: u8 = 0x60;
const MODULO: u8 = 0x90;
const MOVE: u8 = 0xb0;
const ALWAYS: u8 = 0x00;
const IF_EQUAL: u8 = 0x10;
const IF_GREATER: u8 = 0x20;
const IF_AT_MOST: u8 = 0xb0;

/// An atomic operation that gives back what was there before.
const FETCH: i32 = 0x01;

/// The immediate of a wide load is the descriptor of a map.
const IS_MAP: u8 = 1;

impl Assembler {
    /// A label that is yet to be [placed](Assembler::place).
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label is here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.emit(ALU64_REGISTER | MOVE, (to, from), 0, 0);
    }

    /// `to = value`
    pub(super) fn set(&mut self, to: Register, value: i32) {
        self.emit(ALU64_IMMEDIATE | MOVE, (to, Register::Answer), 0, value);
    }

    /// `to = value`, all 64 bits of it.
    pub(super) fn set_wide(&mut self, to: Register, value: u64) {
        let half = |bits: u64| {
            let bytes = bits.to_le_bytes();
            i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        self.emit(LOAD_WIDE, (to, Register::Answer), 0, half(value));
        let upper = half(value >> 32);
        self.emit(0, (Register::Answer, Register::Answer), 0, upper);
    }

    /// `to += value`
    pub(super) fn add(&mut self, to: Register, value: i32) {
        self.emit(ALU64_IMMEDIATE | ADD, (to, Register::Answer), 0, value);
    }

    /// `to += from`
    pub(super) fn add_register(&mut self, to: Register, from: Register) {
        self.emit(ALU64_REGISTER | ADD, (to, from), 0, 0);
    }

    /// `to %= by`, unsigned; unchanged if that is zero.
    pub(super) fn modulo(&mut self, to: Register, by: Register) {
        self.emit(ALU64_REGISTER | MODULO, (to, by), 0, 0);
    }

    /// `to &= mask`
    pub(super) fn and(&mut self, to: Register, mask: i32) {
        self.emit(ALU64_IMMEDIATE | AND, (to, Register::Answer), 0, mask);
    }

    /// `to <<= bits`
    pub(super) fn shift_left(&mut self, to: Register, bits: i32) {
        self.emit(
            ALU64_IMMEDIATE | SHIFT_LEFT,
            (to, Register::Answer),
            0,
            bits,
        );
    }

    /// `to = *(at + offset)`
    pub(super) fn load(&mut self, width: Width, to: Register, at: Register, offset: i16) {
        self.emit(LOAD | width as u8, (to, at), offset, 0);
    }

    /// `*(at + offset) = from`
    pub(super) fn store(&mut self, width: Width, at: Register, offset: i16, from: Register) {
        self.emit(STORE | width as u8, (at, from), offset, 0);
    }

    /// `*(at + offset) = value`
    pub(super) fn store_value(&mut self, width: Width, at: Register, offset: i16, value: i32) {
        let code = STORE_IMMEDIATE | width as u8;
        self.emit(code, (at, Register::Answer), offset, value);
    }

    /// `*(at + offset) += by`, 64 bits, atomically.
    pub(super) fn atomic_add(&mut self, at: Register, offset: i16, by: Register) {
        self.emit(ATOMIC | Width::Double as u8, (at, by), offset, ADD.into());
    }

    /// As [`atomic_add`](Assembler::atomic_add); `by` becomes what was there before.
    pub(super) fn atomic_fetch_add(&mut self, at: Register, offset: i16, by: Register) {
        let operation = i32::from(ADD) | FETCH;
        self.emit(ATOMIC | Width::Double as u8, (at, by), offset, operation);
    }

    /// `to` = the map.
    pub(super) fn load_map(&mut self, to: Register, map: BorrowedFd<'_>) {
        let number = i32::try_from(call::number(map)).expect("a descriptor is an int");
        self.instructions.push(Instruction {
            code: LOAD_WIDE,
            registers: to as u8 | (IS_MAP << 4),
            offset: 0,
            immediate: number,
        });
        // The upper half of the 64 bits.
        self.emit(0, (Register::Answer, Register::Answer), 0, 0);
    }

    /// Calls the kernel: `Answer` is what it says, and all arguments are destroyed.
    pub(super) fn call(&mut self, helper: Helper) {
        self.emit(CALL, (Register::Answer, Register::Answer), 0, helper as i32);
    }

    /// Goes on at the label.
    pub(super) fn jump(&mut self, to: Label) {
        self.jump_on(ALWAYS, Register::Answer, 0, to);
    }

    /// Goes on at the label if the register has this value.
    pub(super) fn jump_if_equal(&mut self, register: Register, value: i32, to: Label) {
        self.jump_on(IF_EQUAL, register, value, to);
    }

    /// Goes on at the label if the registers have the same value.
    pub(super) fn jump_if_same(&mut self, one: Register, other: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.emit(JUMP_REGISTER | IF_EQUAL, (one, other), 0, 0);
    }

    /// Goes on at the label if the one register, unsigned, is not greater than the other.
    pub(super) fn jump_if_at_most(&mut self, one: Register, other: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.emit(JUMP_REGISTER | IF_AT_MOST, (one, other), 0, 0);
    }

    /// Goes on at the label if the one register, unsigned, is greater than the other.
    pub(super) fn jump_if_beyond(&mut self, one: Register, other: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.emit(JUMP_REGISTER | IF_GREATER, (one, other), 0, 0);
    }

    /// Goes on at the label if the register, unsigned, is greater.
    pub(super) fn jump_if_greater(&mut self, register: Register, value: i32, to: Label) {
        self.jump_on(IF_GREATER, register, value, to);
    }

    /// The end: `Answer` is what the program does.
    pub(super) fn exit(&mut self) {
        self.emit(EXIT, (Register::Answer, Register::Answer), 0, 0);
    }

    /// The whole program.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (jump, label) in self.jumps {
            let place = self.labels[label.0].expect("each label is placed by who made it");
            // Counted from the instruction behind the jump.
            let distance = place.checked_sub(jump + 1).expect("jumps lead forwards");
            self.instructions[jump].offset =
                i16::try_from(distance).expect("a program of some hundred instructions");
        }
        self.instructions
    }

    fn jump_on(&mut self, condition: u8, register: Register, value: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        let code = JUMP_IMMEDIATE | condition;
        self.emit(code, (register, Register::Answer), 0, value);
    }

    fn emit(&mut self, code: u8, (to, from): (Register, Register), offset: i16, immediate: i32) {
        self.instructions.push(Instruction {
            code,
            registers: to as u8 | ((from as u8) << 4),
            offset,
            immediate,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(instruction: Instruction) -> (u8, u8, i16, i32) {
        let Instruction {
            code,
            registers,
            offset,
            immediate,
        } = instruction;
        (code, registers, offset, immediate)
    }

    #[test]
    fn instructions_are_what_the_kernel_documents() {
        let mut asm = Assembler::default();
        asm.copy(Register::KeptA, Register::First);
        asm.store_value(Width::Word, Register::Frame, -4, 0);
        asm.load(Width::Double, Register::First, Register::KeptA, 48);
        asm.atomic_fetch_add(Register::KeptB, 8, Register::First);
        asm.modulo(Register::First, Register::KeptD);
        asm.call(Helper::SelectReuseport);
        asm.exit();
        let found: Vec<_> = asm.finish().into_iter().map(bytes).collect();
        let expected = [
            (0xbf, 0x16, 0, 0),
            (0x62, 0x0a, -4, 0),
            (0x79, 0x61, 48, 0),
            (0xdb, 0x17, 8, 1),
            (0x9f, 0x91, 0, 0),
            (0x85, 0x00, 0, 82),
            (0x95, 0x00, 0, 0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_jump_is_counted_from_the_next_instruction() {
        let mut asm = Assembler::default();
        let (end, here) = (asm.label(), asm.label());
        asm.jump_if_equal(Register::Answer, 7, end);
        asm.jump(here);
        asm.place(here);
        asm.set(Register::Answer, 1);
        asm.place(end);
        asm.exit();
        let found = asm.finish();
        assert_eq!(bytes(found[0]), (0x15, 0x00, 2, 7));
        assert_eq!(bytes(found[1]), (0x05, 0x00, 0, 0));
    }
}
