//! Files that code of the target is mapped from.

use std::fs::File;
use std::path::PathBuf;

/// A module that is held open, so that it stays readable when its path is replaced or the target ends.
#[derive(Debug)]
pub struct OpenModule {
    /// Its path as the target sees it: untrusted text.
    pub path: PathBuf,
    /// The root folder of the target, such as `/proc/PID/root`. It may be gone.
    pub root: PathBuf,
    /// The file.
    pub file: File,
    /// Its build-id in hexadecimal, where it has one.
    pub build_id: Option<String>,
}
