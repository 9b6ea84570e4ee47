//! System calls that a stop interrupted, made again as if it had not been.

use libc::user_regs_struct as Registers;

use super::target::Target;

const EINTR: u64 = (-4_i64).cast_unsigned();

/// Registers that make a system call again that ended with `EINTR` when the thread was stopped.
pub(super) fn made_again(saved: &Registers) -> Option<Registers> {
    let is_broken_off = saved.orig_rax.cast_signed() >= 0 && saved.rax == EINTR;
    is_broken_off.then(|| Registers { rip: saved.rip - 2, rax: saved.orig_rax, orig_rax: u64::MAX, ..*saved })
}

/// What the kernel says to itself of a system call that it makes again: `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND`.
const AGAIN: [i64; 3] = [-512, -513, -514];
/// `ERESTART_RESTARTBLOCK`: it goes on with a wait by another call, which an `rt_sigreturn` ends.
const GO_ON: i64 = -516;

/// Registers that make an interrupted system call again: what the kernel makes of `saved` when a stop ends, but that a wait begins anew.
pub(super) fn again(saved: &Registers, restarted: impl FnOnce(u64) -> Option<u64>) -> Registers {
    let mut registers = *saved;
    if saved.orig_rax.cast_signed() < 0 {
        return registers;
    }
    let result = saved.rax.cast_signed();
    if AGAIN.contains(&result) || result == GO_ON || saved.rax == EINTR {
        let number = match saved.orig_rax {
            number if number == libc::SYS_restart_syscall as u64 => restarted(saved.rip),
            number => Some(number),
        };
        match number {
            Some(number) => {
                registers.rax = number;
                registers.rip -= 2;
            }
            // Nothing is known of the wait but that it was interrupted.
            None => registers.rax = EINTR,
        }
    }
    registers.orig_rax = u64::MAX;
    registers
}

/// The system call that is going on as `restart_syscall`: the code before it says which, `mov $number, %eax; syscall`.
pub(super) fn restarted(target: &Target, after: u64) -> Option<u64> {
    const MOVE: u8 = 0xb8;
    let code = target.bytes(after.checked_sub(7)?, 7).ok()?;
    match code.as_slice() {
        [MOVE, a, b, c, d, 0x0f, 0x05] => Some(u32::from_le_bytes([*a, *b, *c, *d]).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(call: i64, result: i64) -> Registers {
        // SAFETY: registers are numbers, for which zero is a value.
        let zero: Registers = unsafe { std::mem::zeroed() };
        Registers { rip: 0x1002, rax: result.cast_unsigned(), orig_rax: call.cast_unsigned(), ..zero }
    }

    fn shown(registers: &Registers) -> (u64, i64, i64) {
        (registers.rip, registers.rax.cast_signed(), registers.orig_rax.cast_signed())
    }

    #[test]
    fn only_a_call_that_ended_with_eintr_is_made_again() {
        assert_eq!(made_again(&stopped(7, -4)).as_ref().map(shown), Some((0x1000, 7, -1)));
        assert_eq!(made_again(&stopped(0, -4)).as_ref().map(shown), Some((0x1000, 0, -1)));
        for (call, result) in [(-1, -4), (7, -512), (7, 0), (7, 4)] {
            assert!(made_again(&stopped(call, result)).is_none(), "{call} {result}");
        }
    }

    #[test]
    fn interrupted_calls_are_repeated_as_the_kernel_does() {
        let unused = |_| -> Option<u64> { None };
        for result in [-4, -512, -513, -514, -516] {
            assert_eq!(shown(&again(&stopped(7, result), unused)), (0x1000, 7, -1), "{result}");
        }
        for result in [0, 5, -11, -515] {
            assert_eq!(shown(&again(&stopped(7, result), unused)), (0x1002, result, -1), "{result}");
        }
        assert_eq!(shown(&again(&stopped(0, -512), unused)), (0x1000, 0, -1), "`read` has the number 0");
        assert_eq!(shown(&again(&stopped(-1, -512), unused)), (0x1002, -512, -1), "it computes");
        let restart = libc::SYS_restart_syscall;
        assert_eq!(shown(&again(&stopped(restart, -516), |at| (at == 0x1002).then_some(202))), (0x1000, 202, -1));
        assert_eq!(shown(&again(&stopped(restart, -516), |_| None)), (0x1002, -4, -1));
    }

    #[test]
    fn a_wait_that_goes_on_is_named_by_the_code_before_it() {
        let pid = std::process::id();
        let start = super::super::start_of(pid).expect("this process");
        let target = Target::open(crate::sample::Process { pid, start }).expect("its memory");
        let read = |code: &[u8]| restarted(&target, code.as_ptr() as u64 + code.len() as u64);
        assert_eq!(read(&[0x90, 0xb8, 230, 0, 0, 0, 0x0f, 0x05]), Some(230));
        assert_eq!(read(&[0xb8, 1, 2, 3, 4, 0x0f, 0x05]), Some(0x0403_0201));
        for wrong in
            [[0x90, 230, 0, 0, 0, 0x0f, 0x05], [0xb8, 230, 0, 0, 0, 0x0f, 0x06], [0xb8, 230, 0, 0, 0, 0x0e, 0x05]]
        {
            assert_eq!(read(&wrong), None);
        }
        assert_eq!(restarted(&target, 6), None);
    }
}
