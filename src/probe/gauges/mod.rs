//! Numbers that the target itself exports: Prometheus or OpenMetrics text, or JSON, by HTTP or unix socket.
//!
//! Only the names asked for are returned. What the target answers is untrusted: bounded in size and time.

mod json;
mod prometheus;
mod scraper;
mod source;

pub use scraper::Scraper;
pub use source::{GaugeAddress, GaugeFormat, GaugeSource};

/// Reads everything out of Prometheus text, for the fuzzer.
pub(super) fn read_prometheus(body: &str, names: &[String]) {
    let _ = (prometheus::select(body, names), prometheus::names(body));
}

/// Reads numbers out of JSON, for the fuzzer.
pub(super) fn read_json(body: &[u8], names: &[String]) {
    let _ = json::select(body, names);
}
