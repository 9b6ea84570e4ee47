//! Numbers in, numbers out: the statistics that the judge stands on.
//!
//! Everything here is a pure function over slices. Nothing knows what a floor, a cycle or a verdict is, nothing
//! keeps state, and nothing panics: a question that the data cannot answer (too few values, no spread) is `None`.
//! Slices of `x` and `y` go in pairs and are cut to the shorter one. Sources are named where a method is;
//! `docs/statistics.md` lists them with the constants chosen.

pub mod mann_kendall;
pub mod models;
pub mod newey_west;
pub mod quantile;
pub mod sen;
pub mod series;
