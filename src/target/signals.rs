//! Signals by name.

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal by its Linux number; real-time signals count from SIGRTMIN (34 for programs).
pub fn signal_name(number: i32) -> String {
    let plain =
        usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).and_then(|index| NAMES.get(index));
    match (plain, number) {
        (Some(name), _) => (*name).to_owned(),
        (None, 34..=64) => format!("SIGRTMIN+{}", number - 34),
        (None, _) => format!("signal {number}"),
    }
}

/// What a signal usually means, where that helps.
pub(crate) fn meaning(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "its terminal was closed, or somebody asked it to reload",
        2 => "an interrupt, as Ctrl-C sends it",
        4 => "the processor met an illegal instruction",
        6 => "the program gave up by itself (abort: a failed assertion, a corrupt heap, a panic set to abort)",
        7 => "a bad memory access (a mapped file cut short, or failing memory)",
        8 => "an arithmetic fault",
        9 => "it cannot be handled; the kernel's OOM killer sends it, and so does `kill -9`",
        11 => "a memory fault in the program",
        13 => "it wrote to a pipe or socket that nobody read",
        15 => "a polite request to end, as `kill`, systemd and container runtimes send it on stop",
        24 => "its limit of processor time was reached",
        25 => "its limit of file size was reached",
        31 => "a system call that its sandbox forbids",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        for (number, name) in
            [(1, "SIGHUP"), (9, "SIGKILL"), (15, "SIGTERM"), (31, "SIGSYS"), (34, "SIGRTMIN+0"), (64, "SIGRTMIN+30")]
        {
            assert_eq!(signal_name(number), name);
        }
        assert_eq!(signal_name(0), "signal 0");
        assert_eq!(signal_name(-1), "signal -1");
        assert_eq!(signal_name(i32::MIN), format!("signal {}", i32::MIN));
    }
}
