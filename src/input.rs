//! Files that a user names, opened so that nothing hangs: what is no regular file is refused, and what is too large is not read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Whether pipes may be read, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipes {
    /// A pipe or FIFO is refused.
    Refused,
    /// A pipe or FIFO is opened; it does not block until it is read.
    Accepted,
}

/// Opens a file for reading without waiting for a writer or a device.
pub fn open(path: &Path, pipes: Pipes) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_fifo() && pipes == Pipes::Accepted {
        return Ok(file);
    }
    if kind.is_dir() {
        // As reading it would say.
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    let what = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    let instead = match pipes {
        Pipes::Refused => "name a regular file",
        Pipes::Accepted => "name a regular file or a pipe, or `-` for standard input",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}; {instead}")))
}

/// Reads a regular file of text that has `most` bytes at most.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    open(path, Pipes::Refused)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message = format!("it has more than {most} bytes, the most that such a file may have");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 text (byte {at})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a FIFO");
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        for (path, says) in
            [(fifo.as_path(), "a pipe"), (folder.path(), "a directory"), (Path::new("/dev/zero"), "a device")]
        {
            let error = open(path, Pipes::Refused).expect_err("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(open(&socket, Pipes::Accepted).is_err());
        assert!(open(&fifo, Pipes::Accepted).is_ok(), "opening does not wait for a writer");
    }

    #[test]
    fn what_is_too_large_or_no_text_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").expect("written");
        assert_eq!(read_text(&path, 5).expect("fits"), "12345");
        assert!(read_text(&path, 4).expect_err("too large").to_string().contains("more than 4 bytes"));
        std::fs::write(&path, b"ab\xff").expect("written");
        assert!(read_text(&path, 5).expect_err("no text").to_string().contains("byte 2"));
    }
}
