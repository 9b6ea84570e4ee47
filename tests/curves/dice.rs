//! Numbers that look random and are the same every time and on every machine (splitmix64, Steele and others 2014).

/// A source of numbers. One class and one seed give one sequence.
pub struct Dice(u64);

impl Dice {
    /// The dice of one curve: its class keeps the sequences of two classes with the same seed apart.
    pub fn of(class: &str, seed: u64) -> Self {
        // FNV-1a of the name. The seed goes through the mixer first, so that neighbouring seeds share nothing.
        let name = class.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self(name ^ mixed(seed.wrapping_add(1)))
    }

    /// Even on [0, 1).
    pub fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mixed(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Even between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.even()
    }

    /// Between two positive numbers, each factor as likely as any other.
    pub fn scale(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high / low).ln() * self.even()).exp()
    }

    /// A whole number from `low` to `high`, both possible.
    pub fn whole(&mut self, low: u32, high: u32) -> f64 {
        self.between(f64::from(low), f64::from(high) + 1.0).floor()
    }

    /// Whether something of this chance happens.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.even() < chance
    }

    /// Normal, with mean 0 and standard deviation 1 (Box and Muller 1958).
    pub fn bell(&mut self) -> f64 {
        (-2.0 * (1.0 - self.even()).ln()).sqrt() * (std::f64::consts::TAU * self.even()).cos()
    }

    /// The distance to the next of events that come at random, this far apart on average.
    pub fn gap(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.even()).ln()
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.even() * choices.len() as f64) as usize]
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
