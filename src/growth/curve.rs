//! One metric over time, with the operations done at each point.

use serde::{Deserialize, Serialize};

use crate::sample::{Metric, Phase};

/// What growth is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Operations completed.
    Operations,
    /// Seconds: nothing is driven.
    Seconds,
}

/// One value of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Seconds since the recording began.
    pub t: f64,
    /// Operations completed, or seconds since the scenario began.
    pub x: f64,
    /// The value in the metric's unit.
    pub value: f64,
    /// The cycle, from 1; 0 during warm-up.
    pub cycle: u32,
    /// The phase; `None` before the warm-up.
    pub phase: Option<Phase>,
}

/// One metric over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Which metric.
    pub metric: Metric,
    /// What its growth is counted against.
    pub axis: Axis,
    /// Its values in the order of time.
    pub points: Vec<Point>,
}
