//! Curves from elsewhere: CSV with the columns `t_s,ops,phase,cycle,value`.
//!
//! `phase` is `warmup`, `load` or `settle`, or empty before the warm-up. A line that does not fit is an error with its
//! number; nothing is skipped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::{Axis, Budget, Collector, Curve, Growth, Point, Question, judge};
use crate::sample::{Metric, Phase, Smallest};
use crate::units::Unit;

const HEADER: &str = "t_s,ops,phase,cycle,value";

/// A file that is not a curve.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A line does not fit.
    #[error("line {line}: {what}; the columns are {HEADER}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// There is no value in it.
    #[error("no values: the file has no line after its header {HEADER}")]
    Empty,
}

/// Judges the curve of a file, as the end of a run that looked for the smallest growth of the defaults.
pub fn judge_csv(path: &Path, unit: Unit) -> Result<Growth, CsvError> {
    let read = |error| CsvError::Read { path: path.to_owned(), error };
    let curve = read_curve(BufReader::new(File::open(path).map_err(read)?), unit)?;
    let smallest = match curve.axis {
        Axis::Operations => Smallest::PER_OPERATION,
        Axis::Seconds => Smallest::PER_SECOND,
    };
    let question = Question {
        smallest: smallest.of(unit),
        time_driven: None,
        expect_cap: None,
        budget: Budget::Spent,
        collector: Collector::None,
    };
    Ok(judge(&curve, &question))
}

/// Reads a curve: private memory for bytes, descriptors for counts. Without any operation the axis is seconds.
pub fn read_curve(text: impl BufRead, unit: Unit) -> Result<Curve, CsvError> {
    let mut points: Vec<Point> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |what: String| CsvError::Line { line: index + 1, what };
        let line = line.map_err(|error| at(format!("cannot be read ({error})")))?;
        let line = line.trim_end_matches('\r');
        if index == 0 {
            if line != HEADER {
                return Err(at("is not the header".into()));
            }
            continue;
        }
        let point = read_point(line).map_err(at)?;
        if points.last().is_some_and(|before| before.t > point.t || before.x > point.x) {
            return Err(at("goes back in time or in operations".into()));
        }
        points.push(point);
    }
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else {
        return Err(CsvError::Empty);
    };
    let axis = if last.x > 0.0 { Axis::Operations } else { Axis::Seconds };
    if axis == Axis::Seconds {
        points.iter_mut().for_each(|point| point.x = point.t - first.t);
    }
    let metric = match unit {
        Unit::Bytes => Metric::Private,
        Unit::Count => Metric::Fds,
    };
    Ok(Curve { metric, axis, points })
}

fn read_point(line: &str) -> Result<Point, String> {
    let fields: Vec<&str> = line.split(',').collect();
    let &[t, operations, phase, cycle, value] = fields.as_slice() else {
        return Err(format!("has {} fields, not 5", fields.len()));
    };
    let number = |name: &str, text: &str| {
        let number: Option<f64> = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| format!("{name} `{text}` is not a number"))
    };
    let phase = match phase {
        "" => None,
        "warmup" => Some(Phase::Warmup),
        "load" => Some(Phase::Load),
        "settle" => Some(Phase::Settle),
        other => return Err(format!("phase `{other}` is not warmup, load or settle")),
    };
    Ok(Point {
        t: number("t_s", t)?,
        x: number("ops", operations)?,
        value: number("value", value)?,
        cycle: cycle.parse().map_err(|_| format!("cycle `{cycle}` is not a whole number"))?,
        phase,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_reads_as_written() {
        let text = "t_s,ops,phase,cycle,value\n0.0,0,,0,7\n0.5,10,warmup,0,8\r\n1,20,load,1,9.5\n1.5,20,settle,1,9\n";
        let curve = read_curve(text.as_bytes(), Unit::Count).expect("reads");
        assert_eq!((curve.metric, curve.axis, curve.points.len()), (Metric::Fds, Axis::Operations, 4));
        assert_eq!(curve.points[2], Point { t: 1.0, x: 20.0, value: 9.5, cycle: 1, phase: Some(Phase::Load) });
    }

    #[test]
    fn without_operations_seconds_are_the_axis() {
        let curve = read_curve("t_s,ops,phase,cycle,value\n5,0,load,1,7\n6,0,load,1,8\n".as_bytes(), Unit::Bytes);
        let curve = curve.expect("reads");
        assert_eq!((curve.axis, curve.points[1].x), (Axis::Seconds, 1.0));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_line() {
        for (text, message) in [
            ("", "no values"),
            ("t,v\n", "line 1: is not the header"),
            ("t_s,ops,phase,cycle,value\n", "no values"),
            ("t_s,ops,phase,cycle,value\n1,2,3\n", "line 2: has 3 fields, not 5"),
            ("t_s,ops,phase,cycle,value\n1,0,lod,1,7\n", "line 2: phase `lod`"),
            ("t_s,ops,phase,cycle,value\n1,0,load,1,7\n1,0,load,1,NaN\n", "line 3: value `NaN`"),
            ("t_s,ops,phase,cycle,value\n1,0,load,-1,7\n", "line 2: cycle `-1`"),
            ("t_s,ops,phase,cycle,value\n2,0,load,1,7\n1,0,load,1,7\n", "line 3: goes back"),
        ] {
            let error = read_curve(text.as_bytes(), Unit::Bytes).expect_err(message).to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let missing = judge_csv(Path::new("/no/such/file.csv"), Unit::Bytes).expect_err("missing").to_string();
        assert!(missing.starts_with("cannot read /no/such/file.csv"), "{missing}");
    }
}
