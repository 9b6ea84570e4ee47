//! A made-up curve as text, in the columns that `tidewatch::growth::read_curve` reads.

use std::fmt::Write as _;

use tidewatch::growth::Curve;
use tidewatch::sample::Phase;

/// The curve with the columns `t_s,ops,phase,cycle,value`.
pub fn to_csv(curve: &Curve) -> String {
    let mut text = String::from("t_s,ops,phase,cycle,value\n");
    for point in &curve.points {
        let phase = match point.phase {
            None => "",
            Some(Phase::Warmup) => "warmup",
            Some(Phase::Load) => "load",
            Some(Phase::Settle) => "settle",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{},{},{phase},{},{}", point.t, point.x, point.cycle, point.value);
    }
    text
}
