//! Parsers of untrusted bytes, for the fuzzer alone.

use super::gauges::{read_json, read_prometheus};
use super::heap;

/// Reads numbers out of text that a target exports.
pub fn metrics(bytes: &[u8]) {
    let names = ["queue_items", "queue_items{kind=\"ready\"}", "a.b.0.c", "x"].map(str::to_owned);
    read_prometheus(&String::from_utf8_lossy(bytes), &names);
    read_json(bytes, &names);
}

/// Reads an image as the injector does.
pub fn image(bytes: &[u8]) {
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    heap::read_image_for_fuzzing(bytes);
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
    let _ = bytes;
}

/// Reads a list of mappings.
pub fn maps(bytes: &[u8]) {
    heap::read_maps_for_fuzzing(bytes);
}
