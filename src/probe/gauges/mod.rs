//! Numbers that the target itself exports: Prometheus or OpenMetrics text, or JSON, by HTTP or unix socket.
//!
//! Only the names asked for are returned. What the target answers is untrusted: bounded in size and time.

mod json;
mod prometheus;
mod scraper;
mod source;

pub use scraper::Scraper;
pub use source::{GaugeAddress, GaugeFormat, GaugeSource};
