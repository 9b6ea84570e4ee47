//! One file that a user names, written outside of a run directory.

use std::io;
use std::path::Path;

use super::directory::{Directory, Existing};
use super::{ForeignReports, RunDirError};

/// Puts a file where nothing is, in one step: it is whole or not there. What stands there is replaced only if that was asked for and it is
/// a plain file; nothing is written through a symbolic link.
///
/// # Errors
///
/// Something stands there, or the file cannot be written.
pub fn write_file(path: &Path, bytes: &[u8], foreign: ForeignReports) -> Result<(), RunDirError> {
    let fail = |source| RunDirError::Write { path: path.to_owned(), source };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is not the name of a file")));
    };
    check_free(path, foreign)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The directory is where the user says, through whatever links; the file itself is none.
    let directory = Directory::open_followed(parent).map_err(fail)?;
    let existing = match foreign {
        ForeignReports::Replace => Existing::Replaced,
        ForeignReports::Keep => Existing::Stays,
    };
    let placed = directory.place(name, bytes, existing).map(drop);
    placed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => RunDirError::Exists { path: path.to_owned() },
        _ => fail(error),
    })
}

/// Whether [`write_file`] may write there, as far as can be seen before.
///
/// # Errors
///
/// Something stands there that stays.
pub fn check_free(path: &Path, foreign: ForeignReports) -> Result<(), RunDirError> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(RunDirError::NoFile { path: path.to_owned() }),
        Ok(_) if foreign == ForeignReports::Keep => Err(RunDirError::Exists { path: path.to_owned() }),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_new_or_replaced_on_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.svg");
        write_file(&path, b"one", ForeignReports::Keep).expect("new");
        assert!(matches!(check_free(&path, ForeignReports::Keep), Err(RunDirError::Exists { .. })));
        check_free(&path, ForeignReports::Replace).expect("asked for");
        let refused = write_file(&path, b"two", ForeignReports::Keep).expect_err("there");
        assert!(refused.is_usage() && refused.to_string().contains("--force"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        write_file(&path, b"two", ForeignReports::Replace).expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn links_and_directories_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "mine").expect("written");
        let link = folder.path().join("link.svg");
        std::os::unix::fs::symlink(&victim, &link).expect("a link");
        for foreign in [ForeignReports::Keep, ForeignReports::Replace] {
            assert!(matches!(write_file(&link, b"x", foreign), Err(RunDirError::NoFile { .. })));
            assert!(matches!(write_file(folder.path(), b"x", foreign), Err(RunDirError::NoFile { .. })));
        }
        assert_eq!(std::fs::read(&victim).expect("read"), b"mine");
        let missing = folder.path().join("none").join("a.svg");
        assert!(!write_file(&missing, b"x", ForeignReports::Keep).expect_err("no directory").is_usage());
    }
}
