//! The way back of a borrowed thread, prepared in its own memory before anything is called.
//!
//! A function that is called on a borrowed thread returns to the C library's `rt_sigreturn` stub, over a frame like the one that the
//! kernel makes for a signal handler (`struct rt_sigframe` of arch/x86). It holds the registers, the signal mask and the extended
//! state with which the thread was stopped. So the thread goes on as if nothing had been, whoever traces it or does not any
//! more. In front of that frame may stand others that make one system call each, for cleaning up.

use libc::user_regs_struct as Registers;

use super::image::number;

/// Where code of the target's C library lies that the way back takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stubs {
    /// `syscall; ret`.
    pub(super) system_call: u64,
    /// `mov $15, %rax; syscall`: `rt_sigreturn`.
    pub(super) restorer: u64,
}

/// Bytes of one frame: a return address and a `struct ucontext`, rounded up so that frames can follow each other.
pub(super) const FRAME_BYTES: u64 = 320;
/// What the ABI lets a function use below its stack pointer without saying so.
const RED_ZONE: u64 = 128;
/// All signals blocked.
const ALL: u64 = u64::MAX;

// struct ucontext behind the return address, and struct sigcontext_64 in it: arch/x86/include/uapi/asm/sigcontext.h.
const UC_FLAGS: usize = 8;
const UC_STACK_FLAGS: usize = 8 + 24;
const CONTEXT: usize = 8 + 40;
const SEGMENTS: usize = CONTEXT + 18 * 8;
const STATE_AT: usize = CONTEXT + 23 * 8;
const SIGMASK: usize = 8 + 296;

/// `UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`.
const FLAGS: u64 = 1 | 2 | 4;
/// No mode of a signal stack: the kernel refuses it, says nothing of that, and leaves the thread's signal stack as it is.
const NO_STACK_MODE: u32 = 7;

// struct _fpx_sw_bytes, in the part of the state that the processor leaves to software.
const SOFTWARE: usize = 464;
const MAGIC_1: u32 = 0x4650_5853;
const MAGIC_2: u32 = 0x4650_5845;
/// The bits of the features that are in use, behind the old state of 512 bytes.
const IN_USE: usize = 512;
/// The old state and the header: the shortest that the kernel takes.
const SHORTEST: usize = 576;
/// x87 and SSE.
const OLD_FEATURES: u64 = 3;
/// Protection keys of memory.
const PKRU: u64 = 1 << 9;
/// What each thread has of them unless it asks for keys.
const PKRU_DEFAULT: u32 = 0x5555_5554;

/// What a thread is to go on with.
#[derive(Clone, Debug)]
pub(super) struct Original<'a> {
    pub(super) registers: Registers,
    pub(super) mask: u64,
    /// As `PTRACE_GETREGSET` gives it (`NT_X86_XSTATE`).
    pub(super) extended: &'a [u8],
}

/// A system call on the way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) number: i64,
    pub(super) values: [u64; 2],
}

/// Bytes to be written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WayBack {
    /// Where the bytes begin, and the first frame: a stack pointer that points here returns along the way.
    pub(super) at: u64,
    pub(super) bytes: Vec<u8>,
}

/// Bytes behind the way back for a name that is handed to the kernel.
pub(super) const SCRATCH_BYTES: u64 = 64;

impl WayBack {
    /// Below a stack pointer, and below what may be used there without saying so.
    pub(super) fn below(sp: u64, original: &Original<'_>, stubs: Stubs, step: Option<Step>) -> Option<Self> {
        let state = State::of(original.extended).bytes.len() as u64;
        let length = FRAME_BYTES * 2 + state.next_multiple_of(8) + SCRATCH_BYTES;
        let at = sp.checked_sub(RED_ZONE + length)? & !63;
        Some(Self::new(at, original, stubs, step))
    }

    /// At an address that is a multiple of 64.
    pub(super) fn new(at: u64, original: &Original<'_>, stubs: Stubs, step: Option<Step>) -> Self {
        let last = at + FRAME_BYTES;
        let state = State::of(original.extended);
        let state_at = last + FRAME_BYTES;
        let mut bytes = match step {
            Some(step) => clean_up(step, last, stubs),
            None => Frame::new(&original.registers, original.mask, stubs).over(state_at),
        };
        bytes.extend(Frame::new(&original.registers, original.mask, stubs).over(state_at));
        bytes.extend(state.bytes);
        bytes.resize(bytes.len().next_multiple_of(8) + SCRATCH_BYTES as usize, 0);
        Self { at, bytes }
    }

    /// Where a name may be put.
    pub(super) fn scratch(&self) -> u64 {
        self.at + self.bytes.len() as u64 - SCRATCH_BYTES
    }

    /// Where the way begins that makes no system call.
    pub(super) fn direct(&self) -> u64 {
        self.at + FRAME_BYTES
    }
}

/// A frame that makes a system call, and goes on to the frame at `next`.
fn clean_up(step: Step, next: u64, stubs: Stubs) -> Vec<u8> {
    // SAFETY: registers are numbers, for which zero is a value.
    let mut registers: Registers = unsafe { std::mem::zeroed() };
    registers.rax = step.number.cast_unsigned();
    [registers.rdi, registers.rsi] = step.values;
    (registers.rip, registers.rsp) = (stubs.system_call, next);
    (registers.cs, registers.ss, registers.eflags) = (0x33, 0x2b, 0x202);
    Frame::new(&registers, ALL, stubs).over(0)
}

struct Frame(Vec<u8>);

impl Frame {
    fn new(registers: &Registers, mask: u64, stubs: Stubs) -> Self {
        let mut frame = Self(vec![0; FRAME_BYTES as usize]);
        frame.put(0, &stubs.restorer.to_le_bytes());
        frame.put(UC_FLAGS, &FLAGS.to_le_bytes());
        frame.put(UC_STACK_FLAGS, &NO_STACK_MODE.to_le_bytes());
        let in_order = [
            registers.r8,
            registers.r9,
            registers.r10,
            registers.r11,
            registers.r12,
            registers.r13,
            registers.r14,
            registers.r15,
            registers.rdi,
            registers.rsi,
            registers.rbp,
            registers.rbx,
            registers.rdx,
            registers.rax,
            registers.rcx,
            registers.rsp,
            registers.rip,
            registers.eflags,
        ];
        for (index, value) in in_order.into_iter().enumerate() {
            frame.put(CONTEXT + index * 8, &value.to_le_bytes());
        }
        for (index, segment) in [registers.cs, registers.gs, registers.fs, registers.ss].into_iter().enumerate() {
            frame.put(SEGMENTS + index * 2, &(segment as u16).to_le_bytes());
        }
        frame.put(SIGMASK, &mask.to_le_bytes());
        frame
    }

    fn over(mut self, state_at: u64) -> Vec<u8> {
        self.put(STATE_AT, &state_at.to_le_bytes());
        self.0
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.0, at, bytes);
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = *from);
}

/// The extended state in the form of a signal's frame: as short as the features in use allow.
struct State {
    bytes: Vec<u8>,
}

impl State {
    fn of(extended: &[u8]) -> Self {
        Self::laid_out(extended, part)
    }

    /// `part` says where the state of a feature lies, and how long it is.
    fn laid_out(extended: &[u8], part: impl Fn(u32) -> Option<(usize, usize)>) -> Self {
        let mut features = number::<8>(extended, IN_USE) | OLD_FEATURES;
        if has_default_keys(extended, &part) {
            // The keys of a thread that has asked for none come far behind everything else.
            features &= !PKRU;
        }
        let end = |feature: u32| part(feature).map_or(0, |(offset, length)| offset + length);
        let used = (2..63).filter(|feature| features >> feature & 1 == 1).map(end).max().unwrap_or(0);
        let length = used.max(SHORTEST);
        let mut bytes = extended.to_vec();
        bytes.resize(length, 0);
        put(&mut bytes, IN_USE, &features.to_le_bytes());
        let software = [u64::from(MAGIC_1) | (length as u64 + 4) << 32, features, length as u64];
        for (index, word) in software.into_iter().enumerate() {
            put(&mut bytes, SOFTWARE + index * 8, &word.to_le_bytes());
        }
        bytes.extend(MAGIC_2.to_le_bytes());
        Self { bytes }
    }
}

fn has_default_keys(extended: &[u8], part: impl Fn(u32) -> Option<(usize, usize)>) -> bool {
    part(PKRU.trailing_zeros()).is_some_and(|(offset, _)| number::<4>(extended, offset) as u32 == PKRU_DEFAULT)
}

/// Where the state of a feature lies in the standard form, and how long it is: leaf 0xD of CPUID. Both processes run on this machine.
fn part(feature: u32) -> Option<(usize, usize)> {
    let leaf = std::arch::x86_64::__cpuid_count(0xd, feature);
    (leaf.eax != 0).then_some((leaf.ebx as usize, leaf.eax as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUBS: Stubs = Stubs { system_call: 0x1111, restorer: 0x2222 };

    fn registers() -> Registers {
        // SAFETY: registers are numbers, for which zero is a value.
        let mut registers: Registers = unsafe { std::mem::zeroed() };
        (registers.rip, registers.rsp, registers.rax, registers.cs, registers.ss) = (0x4000, 0x7000, 77, 0x33, 0x2b);
        registers
    }

    /// A state with these features in use.
    fn state(features: u64) -> Vec<u8> {
        let mut bytes = vec![0xab; 4096];
        put(&mut bytes, IN_USE, &features.to_le_bytes());
        put(&mut bytes, IN_USE + 8, &[0; 56]);
        bytes
    }

    #[test]
    fn way_back_ends_with_the_original_registers_and_mask() {
        let extended = state(3);
        let original = Original { registers: registers(), mask: 0xf0, extended: &extended };
        let way = WayBack::new(0x10_000, &original, STUBS, Some(Step { number: 11, values: [5, 6] }));
        let word = |at: usize| number::<8>(&way.bytes, at);
        let last = FRAME_BYTES as usize;
        assert_eq!((word(0), word(last)), (0x2222, 0x2222), "each frame begins with the stub that reads it");
        let rip = |frame: usize| word(frame + CONTEXT + 16 * 8);
        let rsp = |frame: usize| word(frame + CONTEXT + 15 * 8);
        assert_eq!((rip(0), rsp(0)), (0x1111, way.direct()), "the system call returns into the next frame");
        assert_eq!((rip(last), rsp(last), word(last + CONTEXT + 13 * 8)), (0x4000, 0x7000, 77));
        assert_eq!((word(SIGMASK), word(last + SIGMASK)), (u64::MAX, 0xf0));
        let state_at = word(last + STATE_AT);
        assert!(state_at.is_multiple_of(64), "the processor reads it from such an address alone");
        let state = &way.bytes[(state_at - way.at) as usize..];
        assert_eq!(number::<4>(state, SOFTWARE), u64::from(MAGIC_1));
        let length = number::<4>(state, SOFTWARE + 16) as usize;
        assert_eq!(number::<4>(state, SOFTWARE + 4) as usize, length + 4);
        assert_eq!(number::<4>(state, length), u64::from(MAGIC_2));
        assert!(
            state.len() as u64 >= length as u64 + 4 + SCRATCH_BYTES && way.scratch() >= state_at + length as u64 + 4
        );
    }

    #[test]
    fn registers_stand_in_the_order_of_the_kernel() {
        let mut all = registers();
        (all.r8, all.r9, all.r10, all.r11, all.r12, all.r13, all.r14, all.r15) = (1, 2, 3, 4, 5, 6, 7, 8);
        (all.rdi, all.rsi, all.rbp, all.rbx, all.rdx, all.rax, all.rcx) = (9, 10, 11, 12, 13, 14, 15);
        (all.rsp, all.rip, all.eflags) = (16, 17, 18);
        (all.cs, all.gs, all.fs, all.ss) = (19, 20, 21, 22);
        let frame = Frame::new(&all, 0xf0, STUBS).over(0x4440);
        let words: Vec<u64> = (0..18).map(|index| number::<8>(&frame, CONTEXT + index * 8)).collect();
        assert_eq!(words, (1..=18).collect::<Vec<u64>>());
        let segments: Vec<u64> = (0..4).map(|index| number::<2>(&frame, SEGMENTS + index * 2)).collect();
        assert_eq!(segments, [19, 20, 21, 22]);
        assert_eq!((number::<8>(&frame, UC_FLAGS), number::<4>(&frame, UC_STACK_FLAGS)), (7, 7));
        assert_eq!((number::<8>(&frame, STATE_AT), number::<8>(&frame, SIGMASK)), (0x4440, 0xf0));
    }

    /// Where the parts of a processor lie that has AVX, and keys of memory far behind.
    fn made_up(feature: u32) -> Option<(usize, usize)> {
        match feature {
            2 => Some((576, 256)),
            9 => Some((2688, 8)),
            _ => None,
        }
    }

    #[test]
    fn state_is_as_long_as_its_features() {
        const AVX: u64 = 4;
        let keys = |value: u32| {
            let mut bytes = state(3 | PKRU);
            put(&mut bytes, 2688, &value.to_le_bytes());
            bytes
        };
        for (extended, features, length) in [
            (state(0), 3, SHORTEST),
            (state(1), 3, SHORTEST),
            (state(3), 3, SHORTEST),
            (state(3 | AVX), 3 | AVX, 832),
            // Of a feature that nobody knows nothing is kept.
            (state(3 | 1 << 5), 3 | 1 << 5, SHORTEST),
            (keys(PKRU_DEFAULT), 3, SHORTEST),
            (keys(PKRU_DEFAULT + 1), 3 | PKRU, 2696),
            (Vec::new(), 3, SHORTEST),
        ] {
            let bytes = State::laid_out(&extended, made_up).bytes;
            assert_eq!(bytes.len(), length + 4);
            let software = |at: usize| number::<8>(&bytes, SOFTWARE + at);
            assert_eq!(software(0), u64::from(MAGIC_1) + ((length as u64 + 4) << 32));
            assert_eq!([number::<8>(&bytes, IN_USE), software(8), software(16)], [features, features, length as u64]);
            assert_eq!(number::<4>(&bytes, length), u64::from(MAGIC_2));
            let kept = extended.iter().zip(&bytes).take(SOFTWARE).all(|(before, after)| before == after);
            assert!(kept && extended.get(600..length).is_none_or(|old| old == &bytes[600..length]));
        }
    }

    #[test]
    fn parts_are_those_of_this_processor() {
        let has_avx = std::arch::is_x86_feature_detected!("avx");
        assert_eq!(part(2), has_avx.then_some((576, 256)), "AVX lies at the same place everywhere");
        assert_eq!(part(62), None);
    }

    #[test]
    fn way_back_lies_below_the_red_zone() {
        let extended = state(3);
        let original = Original { registers: registers(), mask: 0, extended: &extended };
        for sp in [0x7f00_0000_1238, 0x7f00_0000_1240, 0x7f00_0000_1000] {
            let way = WayBack::below(sp, &original, STUBS, None).expect("room");
            let end = way.at + way.bytes.len() as u64;
            assert!(end <= sp - RED_ZONE && way.at.is_multiple_of(64));
            assert!(sp - RED_ZONE - end < 64, "and no further below than that");
            assert_eq!(way.scratch() + SCRATCH_BYTES, end);
        }
        assert_eq!(WayBack::below(100, &original, STUBS, None), None);
    }
}
