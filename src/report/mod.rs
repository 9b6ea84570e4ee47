//! What a person or a machine is given at the end: charts, tables and texts, all from the recording alone.
//!
//! Nothing here decides: verdicts come from `growth`, owners from `attribution`, outcomes from `gate`. Whatever
//! comes from a target is untrusted text and passes [`escape`] on its way out.

pub mod chart;
pub mod escape;
pub mod picture;
pub mod projection;
pub mod sparkline;
pub mod table;

pub use table::ColorMode;
