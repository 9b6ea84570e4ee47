//! A count of operations that only goes up, made of whatever a target counts.

/// A counter of the target's as a count of operations since the watch began.
///
/// What the counter had at its first reading is not ours. Where it goes back, its process was started again, or it is
/// no counter: the fall counts nothing, and counting goes on from the new value. So operations never go down, and what
/// was done between a restart and the reading after it is missed rather than made up.
#[derive(Debug, Default)]
pub struct Counter {
    last: Option<f64>,
    done: f64,
    falls: u64,
}

impl Counter {
    /// Takes a reading; operations so far.
    pub fn see(&mut self, value: f64) -> u64 {
        if !value.is_finite() {
            return self.operations();
        }
        match self.last {
            Some(last) if value < last => self.falls += 1,
            Some(last) => self.done += value - last,
            None => {}
        }
        self.last = Some(value);
        self.operations()
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        // A float past the range of u64 becomes its largest value.
        self.done.round() as u64
    }

    /// How often it went back.
    pub fn falls(&self) -> u64 {
        self.falls
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_counted_before_and_what_falls_is_not_ours() {
        let mut counter = Counter::default();
        let seen: Vec<u64> = [1000.0, 1010.0, 1010.0, f64::NAN, 3.0, 8.5].map(|value| counter.see(value)).to_vec();
        assert_eq!(seen, [0, 10, 10, 10, 10, 16]);
        assert_eq!(counter.falls(), 1);
    }

    proptest! {
        #[test]
        fn operations_never_go_down(values in prop::collection::vec(prop::num::f64::ANY, 0..100)) {
            let mut counter = Counter::default();
            let mut before = 0;
            for value in values {
                let now = counter.see(value);
                prop_assert!(now >= before);
                before = now;
            }
        }
    }
}
