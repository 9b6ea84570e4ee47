//! Parsers for `stat` and `statm`, read at every tick: no allocation, and no trust in the command name.
//!
//! The procfs crate has a parser for `stat` too; it makes strings of each field and checks all 52, which is
//! more work than the system call, so the five fields that a tick needs are picked out here.

/// What a tick needs of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat<'a> {
    /// Command name, untrusted.
    pub(crate) command: &'a [u8],
    /// State letter: `Z` is a zombie.
    pub(crate) state: u8,
    /// Parent.
    pub(crate) parent: u32,
    /// Flags of the kernel: see [`Stat::exiting`].
    pub(crate) flags: u64,
    /// User and system time in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Threads.
    pub(crate) threads: u64,
    /// Start time in clock ticks since boot.
    pub(crate) start: u64,
}

/// Whether a process has ended and waits to be waited for, by its state letter and its number of threads. One whose first
/// thread alone has ended shows as a zombie too, and is alive. The one rule for all who ask.
pub(crate) fn is_over(state: u8, threads: u64) -> bool {
    matches!(state, b'Z' | b'X' | b'x') && threads <= 1
}

/// When a living process began, by its `stat` below `/proc`.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text).filter(|stat| !stat.ended()).map(|stat| stat.start)
}

/// The folder in which the kernel shows the memory and the files of a process: that of a living thread. When the first thread ends before
/// others, the folder of the process shows nothing any more.
pub(crate) fn folder_of(pid: u32) -> String {
    let first = format!("/proc/{pid}");
    let stat = |folder: &str| std::fs::read(format!("{folder}/stat")).unwrap_or_default();
    if !parse_stat(&stat(&first)).is_some_and(|stat| stat.headless()) {
        return first;
    }
    let threads = std::fs::read_dir(format!("{first}/task")).into_iter().flatten().flatten();
    let mut folders = threads.filter_map(|thread| Some(format!("/proc/{}", thread.file_name().to_str()?)));
    folders.find(|folder| parse_stat(&stat(folder)).is_some_and(|stat| stat.state != b'Z')).unwrap_or(first)
}

impl Stat<'_> {
    /// Whether the process has ended: see [`is_over`].
    pub(crate) fn ended(&self) -> bool {
        is_over(self.state, self.threads)
    }

    /// Whether a signal or a tracer has stopped it.
    pub(crate) fn stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    /// Whether it is on its way out: its memory may be gone already while it is no zombie yet.
    pub(crate) fn exiting(&self) -> bool {
        const PF_EXITING: u64 = 0x4;
        self.flags & PF_EXITING != 0
    }

    /// Whether the first thread has ended while others run: the kernel then shows no memory in its files.
    pub(crate) fn headless(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }
}

/// Parses `/proc/PID/stat`. The name may hold spaces and parentheses, so the fields begin after the last one.
pub(crate) fn parse_stat(text: &[u8]) -> Option<Stat<'_>> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let command = text.get(open + 1..close)?;
    let mut fields = Fields(text.get(close + 1..)?);
    let state = *fields.next()?.first()?;
    let parent = u32::try_from(number(fields.next()?)?).ok()?;
    // Fields are numbered from 1 in proc(5): 4 is the parent, 9 the flags, 14 and 15 are CPU time.
    let flags = number(fields.nth(9 - 5)?)?;
    let user = number(fields.nth(14 - 10)?)?;
    let system = number(fields.next()?)?;
    let threads = number(fields.nth(20 - 16)?)?;
    let start = number(fields.nth(22 - 21)?)?;
    Some(Stat { command, state, parent, flags, cpu_ticks: user.saturating_add(system), threads, start })
}

/// Resident and shared pages of `/proc/PID/statm`.
pub(crate) fn parse_statm(text: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields(text);
    let resident = number(fields.nth(1)?)?;
    let shared = number(fields.next()?)?;
    Some((resident, shared))
}

/// Words between spaces, as slices.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let begin = self.0.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = &self.0[begin..];
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        self.0 = &rest[end..];
        Some(&rest[..end])
    }
}

/// A plain decimal number that fits.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From kernels 4.19, 5.15 and 6.18; the second with a name made to confuse.
    const STATS: [(&str, Stat<'static>); 3] = [
        (
            "1 (systemd) S 0 1 1 0 -1 4194560 40541 1302334 89 2207 81 312 8213 2511 20 0 1 0 3 174063616 2219 \
             18446744073709551615 1 1 0 0 0 0 671173123 4096 1260 0 0 0 17 1 0 0 14 0 0 0 0 0 0 0 0 0 0\n",
            Stat {
                command: b"systemd",
                state: b'S',
                parent: 0,
                flags: 4_194_560,
                cpu_ticks: 393,
                threads: 1,
                start: 3,
            },
        ),
        (
            "4242 (a) R 1 (b) S 7 4242 4242 0 -1 1077936384 5 0 0 0 11 22 0 0 20 0 100 0 987654 1 2 3 4 5 6 0 0 0\n",
            Stat {
                command: b"a) R 1 (b",
                state: b'S',
                parent: 7,
                flags: 1_077_936_384,
                cpu_ticks: 33,
                threads: 100,
                start: 987_654,
            },
        ),
        (
            "77 (gone) Z 76 76 70 0 -1 4228108 116 0 0 0 0 0 0 0 20 0 1 0 123456 0 0 18446744073709551615 0 0 0\n",
            Stat {
                command: b"gone",
                state: b'Z',
                parent: 76,
                flags: 4_228_108,
                cpu_ticks: 0,
                threads: 1,
                start: 123_456,
            },
        ),
    ];

    #[test]
    fn stat_of_several_kernels() {
        for (text, stat) in STATS {
            assert_eq!(parse_stat(text.as_bytes()), Some(stat), "{text}");
        }
        assert!(STATS[2].1.ended() && !STATS[0].1.ended());
        assert!(STATS[2].1.exiting() && !STATS[0].1.exiting() && !STATS[1].1.exiting());
        assert!(Stat { threads: 3, ..STATS[2].1 }.headless());
        for (state, threads, over) in
            [(b'Z', 1, true), (b'Z', 0, true), (b'Z', 2, false), (b'X', 1, true), (b'X', 2, false), (b'S', 1, false)]
        {
            assert_eq!(is_over(state, threads), over, "{state} {threads}");
        }
        for (state, stopped) in [(b'T', true), (b't', true), (b'S', false), (b'R', false), (b'Z', false)] {
            assert_eq!(Stat { state, ..STATS[0].1 }.stopped(), stopped, "{state}");
        }
    }

    #[test]
    fn cut_texts_are_refused() {
        let (text, _) = STATS[0];
        let until_start = text.find(" 174063616").expect("the field after the start time");
        for end in 0..until_start - 1 {
            assert_eq!(parse_stat(&text.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(parse_statm(b"42496 2219 1523 312 0 6000 0\n"), Some((2219, 1523)));
        for bad in ["", "1", "1 2", "1 2 x", "1 99999999999999999999999 3"] {
            assert_eq!(parse_statm(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = (parse_stat(&text), parse_statm(&text));
        }

        #[test]
        fn any_name_is_kept_apart(name in "[^\\x00]{0,15}", start: u64) {
            let text = format!("9 ({name}) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {start} 1 2 3\n");
            let stat = parse_stat(text.as_bytes()).expect("a whole line parses");
            proptest::prop_assert_eq!((stat.command, stat.start), (name.as_bytes(), start));
        }
    }
}
