//! The built-in target that `tidewatch demo` watches, and the scenario file that drives it.
//!
//! The target is a process of its own. It keeps four things it should let go of: work items, session
//! counters, heartbeat threads and sockets; its fixed twin lets them go. The watching side learns nothing
//! of this but what [`SCENARIO_FILE`] says: no other module holds a name from here.

mod service;

pub use service::{Form, serve};

/// The scenario file of the demo.
pub const SCENARIO_FILE: &str = include_str!("tidewatch.toml");
