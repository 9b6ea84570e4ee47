#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;

const CODE: u64 = 0x1000;
const STUB: u64 = 0x9999;

fn places(bytes: &[u8], length: u64) -> Places {
    Places { forbidden: vec![(CODE..CODE + length, bytes.to_vec())], restorer: Some(STUB), ..Places::default() }
}

#[test]
fn return_address_follows_a_call_of_any_form() {
    let cases: [(&[u8], bool); 9] = [
        (&[0xe8, 0, 0, 0, 0], true),
        (&[0xff, 0xd0], true),
        (&[0xff, 0x55, 0x08], true),
        (&[0xff, 0x54, 0x24, 0x08], true),
        (&[0xff, 0x15, 0, 0, 0, 0], true),
        (&[0xff, 0x94, 0x24, 0, 0, 0, 0], true),
        (&[0xff, 0xe0], false),
        (&[0xff, 0x75, 0x08], false),
        (&[0x90], false),
    ];
    for (form, expected) in cases {
        let mut bytes = vec![0x90; 8];
        bytes.extend(form);
        let after = CODE + bytes.len() as u64;
        bytes.extend([0x90; 8]);
        let places = places(&bytes, bytes.len() as u64);
        assert_eq!(places.is_return(after), expected, "{form:x?}");
        assert!(!places.is_return(after + 0x1000), "outside of the code");
    }
    assert!(places(&[], 16).is_return(CODE + 8), "code that could not be read may hold a call");
    assert!(!places(&[], 16).is_return(CODE + 16));
}

#[test]
fn only_calls_that_neither_the_loader_nor_the_allocator_makes_are_waited_in() {
    let places = Places { loader: 0x100..0x200, system_call: 0x300..0x340, ..Places::default() };
    let [read, write, futex, from, message] =
        [libc::SYS_read, libc::SYS_write, libc::SYS_futex, libc::SYS_recvfrom, libc::SYS_recvmsg]
            .map(|number| number as u64);
    for (call, values, pc, expected) in [
        (read, [0; 4], 0x50, true),
        (read, [0; 4], 0x100, false),
        (read, [0; 4], 0x200, true),
        (write, [0; 4], 0x50, false),
        // FUTEX_WAIT_BITSET, private and by the real-time clock, and FUTEX_WAIT, which a lock of the C library is.
        (futex, [0, 9, 0, 0], 0x50, true),
        (futex, [0, 0x80 | 9, 0, 0], 0x50, true),
        (futex, [0, 0x180 | 9, 0, 0], 0x50, true),
        (futex, [0, 0, 0, 0], 0x50, false),
        (futex, [0, 0x80, 0, 0], 0x50, false),
        (futex, [0, 0x80, 0, 0], 0x300, true),
        (futex, [0, 0x80, 0, 0], 0x340, false),
        // MSG_WAITALL may have taken a part already.
        (from, [0, 0, 0, 0x40], 0x50, true),
        (from, [0, 0, 0, 0x100], 0x50, false),
        (from, [0, 0, 0x100, 0], 0x50, true),
        (message, [0, 0, 0x100, 0], 0x50, false),
        (message, [0, 0, 0x40, 0x100], 0x50, true),
    ] {
        assert_eq!(places.is_waiting(call, values, pc), expected, "{call} {values:x?} at {pc:x}");
    }
}

/// A thread that is stopped in memory of this process: its stack, its code, and where both are said to lie.
struct Stopped {
    stack: Vec<u64>,
    code: Vec<u8>,
    places: Places,
}

impl Stopped {
    /// Code of the program that ends with a system call, and a stack of zeros.
    fn new() -> Self {
        let code = [vec![0x90; 62], SYSTEM_CALL.to_vec()].concat();
        let at = code.as_ptr() as u64;
        let mut places = places(&[0xe8, 0, 0, 0, 0, 0x90, 0x90, 0x90], 8);
        places.code.push(at..at + 64);
        Self { stack: vec![0; 64], code, places }
    }

    fn safe(&self, change: impl FnOnce(&mut Registers)) -> Result<(), Obstacle> {
        let pid = std::process::id();
        let start = crate::probe::heap::inject::start_of(pid).unwrap();
        let target = Target::open(crate::sample::Process { pid, start }).unwrap();
        let begin = self.stack.as_ptr() as u64;
        let mapping = Mapping {
            begin,
            end: begin + self.stack.len() as u64 * 8,
            rights: *b"rw-p",
            offset: 0,
            inode: 0,
            path: String::new(),
        };
        // SAFETY: registers are numbers, for which zero is a value.
        let mut at: Registers = unsafe { std::mem::zeroed() };
        (at.rsp, at.rip, at.cs, at.orig_rax) = (begin, self.code.as_ptr() as u64 + 8, USER_CODE, u64::MAX);
        change(&mut at);
        self.places.safe(&target, &[mapping], &at)
    }
}

#[test]
fn a_thread_that_computes_is_safe_in_code_of_the_program_alone() {
    let mut stopped = Stopped::new();
    assert_eq!(stopped.safe(|_| ()), Ok(()));
    assert_eq!(stopped.safe(|at| at.cs = 0x23), Err(Obstacle::Code));
    assert_eq!(stopped.safe(|at| at.rip += 0x1000), Err(Obstacle::Code), "no code is known there");
    assert_eq!(stopped.safe(|at| at.rsp -= 8), Err(Obstacle::Stack));
    stopped.stack[40] = CODE + 5;
    assert_eq!(stopped.safe(|_| ()), Err(Obstacle::Inside), "a return address into the allocator");
    assert_eq!(stopped.safe(|at| at.rsp += 41 * 8), Ok(()), "it was left behind by a call that is over");
    stopped.stack[40] = CODE + 4;
    assert_eq!(stopped.safe(|_| ()), Ok(()), "no call stands before it");
    let begin = stopped.code.as_ptr() as u64;
    stopped.places.libraries.push(begin..begin + 16);
    assert_eq!(stopped.safe(|_| ()), Err(Obstacle::Inside));
    assert_eq!(stopped.safe(|at| at.rip += 16), Ok(()));
}

#[test]
fn a_thread_that_waits_is_safe_at_its_call_alone() {
    let mut stopped = Stopped::new();
    let end = stopped.code.as_ptr() as u64 + 64;
    let waits = |call: libc::c_long, rip: u64| move |at: &mut Registers| (at.orig_rax, at.rip) = (call as u64, rip);
    assert_eq!(stopped.safe(waits(libc::SYS_read, end)), Ok(()));
    let write = libc::SYS_write;
    assert_eq!(stopped.safe(waits(write, end)), Err(Obstacle::Call(write as u64)));
    let read = libc::SYS_read;
    assert_eq!(stopped.safe(waits(read, end - 1)), Err(Obstacle::Call(read as u64)), "a handler is about to begin");
    let futex = |at: &mut Registers| {
        (at.orig_rax, at.rip, at.rsi) = (libc::SYS_futex as u64, end, 9);
    };
    assert_eq!(stopped.safe(futex), Ok(()));
    // What lies on the stack of a thread that waits was left behind, but for the frame of a signal.
    stopped.stack[40] = CODE + 5;
    assert_eq!(stopped.safe(waits(read, end)), Ok(()));
    (stopped.stack[8], stopped.stack[9], stopped.stack[8 + 24]) = (STUB, 7, USER_CODE);
    assert_eq!(stopped.safe(waits(read, end)), Err(Obstacle::Handler));
    stopped.stack[40] = 0;
    assert_eq!(stopped.safe(waits(read, end)), Ok(()), "the signal came elsewhere");
}

#[test]
fn frame_of_a_signal_is_found_by_all_of_its_fields() {
    let frame = |flags: u64, link: u64, interrupted: u64, segment: u64, beyond: u64| {
        let mut words = vec![0_u64; 64];
        (words[4], words[5], words[6]) = (STUB, flags, link);
        (words[4 + 22], words[4 + 24], words[60]) = (interrupted, segment, beyond);
        words.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>()
    };
    let code = [0xe8, 0, 0, 0, 0, 0x90, 0x90, 0x90];
    let places = places(&code, 8);
    for (stack, expected) in [
        (frame(7, 0, CODE + 1, USER_CODE, 0), true),
        (frame(7, 0, 0x5000, USER_CODE, CODE + 5), true),
        (frame(7, 0, 0x5000, USER_CODE, 0), false),
        (frame(16, 0, CODE + 1, USER_CODE, 0), false),
        (frame(7, 1, CODE + 1, USER_CODE, 0), false),
        (frame(7, 0, CODE + 1, 0x23, 0), false),
    ] {
        assert_eq!(places.is_inside_signal(&stack), expected);
    }
    let unknown = Places { restorer: None, ..places };
    assert!(!unknown.is_inside_signal(&frame(7, 0, CODE + 1, USER_CODE, 0)));
}
