//! The sampler on its way into a launched target.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::HeapError;
use super::wire::mix;
use crate::run_dir::Directory;

/// The library, as build.rs made it. Empty where it does not work.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libtidewatch_heap.so"));

/// Whether this build carries a sampler.
pub fn is_supported() -> bool {
    !LIBRARY.is_empty()
}

/// The bytes of the sampler's shared library; empty where it does not work.
pub fn library() -> &'static [u8] {
    LIBRARY
}

/// Writes the sampler into a directory, and gives the environment that makes a target load it and keep its tables there.
/// What is preloaded already stays so. `interval_bytes` is the mean number of bytes between two samples.
///
/// Every descendant of the target that inherits the environment has a table of its own, `heap.PID`.
///
/// # Errors
///
/// The sampler does not work here, cannot be written, or the loader cannot be told of this directory.
pub fn preload(folder: &Path, interval_bytes: u64) -> Result<Vec<(OsString, OsString)>, HeapError> {
    let unwritable = |source| HeapError::Write { path: folder.to_owned(), source };
    let folder = folder.canonicalize().map_err(unwritable)?;
    let directory = Directory::open(&folder).map_err(|error| unwritable(io::Error::other(error)))?;
    preload_before(env::var_os("LD_PRELOAD"), &directory, &folder, interval_bytes)
}

/// [`preload`] for a target that is to preload `others` too, whatever our own environment says, with the library and the
/// tables in two directories whose paths are absolute.
///
/// # Errors
///
/// As [`preload`].
pub fn preload_before(
    others: Option<OsString>,
    library: &Directory,
    tables: &Path,
    interval_bytes: u64,
) -> Result<Vec<(OsString, OsString)>, HeapError> {
    if !is_supported() {
        return Err(HeapError::Unsupported);
    }
    for folder in [library.path(), tables] {
        if folder.as_os_str().as_bytes().iter().any(|byte| byte.is_ascii_whitespace() || *byte == b':') {
            return Err(HeapError::Folder { folder: folder.to_owned() });
        }
    }
    let name = format!("libtidewatch_heap-{:016x}.so", hash(LIBRARY));
    let path = library.path().join(&name);
    library.install(&name, LIBRARY).map_err(|source| HeapError::Write { path: path.clone(), source })?;
    let mut preload = path.into_os_string();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        preload.push(":");
        preload.push(others);
    }
    let mut wish = tables.as_os_str().to_owned();
    wish.push(format!(":{}", interval_bytes.max(1)));
    Ok(vec![("LD_PRELOAD".into(), preload), ("TIDEWATCH_HEAP".into(), wish)])
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        mix(hash ^ u64::from_le_bytes(word))
    })
}
