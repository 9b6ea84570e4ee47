//! What each exit code means. Every way out of the program maps to one of these.

/// The exit codes of `tidewatch`, as documented in the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Every threshold held.
    Held = 0,
    /// Growth crossed a threshold.
    Crossed = 1,
    /// The command line or the scenario file is wrong; nothing was started.
    Usage = 2,
    /// The target could not be started, reached or kept alive, or the machine refused what is needed.
    Target = 3,
    /// The run could not decide.
    Inconclusive = 4,
    /// Interrupted; the recording so far is kept and readable.
    Interrupted = 130,
}

impl ExitCode {
    /// The number handed to the operating system.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The one that wins when several apply, in the order 130, 2, 3, 1, 4, 0.
    pub fn or(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Interrupted => 5,
            Self::Usage => 4,
            Self::Target => 3,
            Self::Crossed => 2,
            Self::Inconclusive => 1,
            Self::Held => 0,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::*;

    #[test]
    fn precedence_is_the_documented_one() {
        let order = [Interrupted, Usage, Target, Crossed, Inconclusive, Held];
        for (i, high) in order.iter().enumerate() {
            for low in &order[i..] {
                assert_eq!(high.or(*low), *high);
                assert_eq!(low.or(*high), *high);
            }
        }
    }
}
