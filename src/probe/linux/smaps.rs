//! Memory by kind of mapping, from `smaps`.
//!
//! Anonymous kinds (heap, stacks, the rest) count their proportional resident memory without what the kernel
//! may take back (Pss - LazyFree): a page shared by a forked tree is then counted once over the tree, and
//! the three add up to the resident part of `private`. Private mappings of files count `Private_Clean` and
//! `Private_Dirty`; shared mappings count Pss. Swap is in none of them.

use std::io::{BufRead, BufReader};

use rustix::io::Errno;

use super::files::Files;
use super::memory::Fields;
use crate::sample::Mappings;

/// What a mapping is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heap,
    Stack,
    Anonymous,
    File,
    Shared,
    /// The kernel's own pages (vdso, vvar, vsyscall): no memory of the process.
    Kernel,
}

/// Reads the mappings of one process, line by line: the file of a large process has megabytes.
pub(crate) fn read(files: &Files, line: &mut Vec<u8>) -> Result<Mappings, Errno> {
    let file = BufReader::with_capacity(64 * 1024, files.reader(c"smaps")?);
    let mappings = fold(file, line).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    // A living process has mappings; without any it is a kernel thread or ending.
    if mappings.count == 0 { Err(Errno::SRCH) } else { Ok(mappings) }
}

/// The sum of two.
pub(crate) fn add(sum: Mappings, one: Mappings) -> Mappings {
    Mappings {
        heap: sum.heap.saturating_add(one.heap),
        stack: sum.stack.saturating_add(one.stack),
        anonymous: sum.anonymous.saturating_add(one.anonymous),
        file: sum.file.saturating_add(one.file),
        shared: sum.shared.saturating_add(one.shared),
        count: sum.count.saturating_add(one.count),
    }
}

fn fold(mut text: impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Mappings> {
    let mut mappings = Mappings::default();
    let mut current = (Kind::Kernel, Fields::default());
    loop {
        line.clear();
        if text.read_until(b'\n', line)? == 0 {
            break;
        }
        if let Some(kind) = header(line) {
            settle(&mut mappings, current);
            current = (kind, Fields::default());
            mappings.count += 1;
        } else {
            current.1.take(line);
        }
    }
    settle(&mut mappings, current);
    Ok(mappings)
}

fn settle(mappings: &mut Mappings, (kind, fields): (Kind, Fields)) {
    let resident = fields.pss.saturating_sub(fields.lazy_free);
    let (place, bytes) = match kind {
        Kind::Heap => (&mut mappings.heap, resident),
        Kind::Stack => (&mut mappings.stack, resident),
        Kind::Anonymous => (&mut mappings.anonymous, resident),
        Kind::File => (&mut mappings.file, fields.private),
        Kind::Shared => (&mut mappings.shared, fields.pss),
        Kind::Kernel => return,
    };
    *place = place.saturating_add(bytes);
}

/// The kind of mapping that a line begins, if it begins one: `7f..-7f.. rw-p 00000000 00:00 0   [heap]`.
fn header(line: &[u8]) -> Option<Kind> {
    // The names of fields begin with a capital letter, addresses never do.
    if !line.first()?.is_ascii_hexdigit() || line.first()?.is_ascii_uppercase() {
        return None;
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let permissions = words.nth(1)?;
    let path = words.nth(3).unwrap_or_default();
    // `[anon: glibc: pthread stack: 42]` has spaces: the rest of the line is looked at.
    let named = path.starts_with(b"[anon");
    Some(match path {
        _ if permissions.get(3) == Some(&b's') => Kind::Shared,
        b"" => Kind::Anonymous,
        b"[heap]" => Kind::Heap,
        b"[stack]" => Kind::Stack,
        _ if path.starts_with(b"[stack:") => Kind::Stack,
        _ if named && line.windows(5).any(|window| window == b"stack") => Kind::Stack,
        _ if named => Kind::Anonymous,
        _ if path.starts_with(b"[") => Kind::Kernel,
        _ => Kind::File,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "55d0c0a00000-55d0c0a21000 r-xp 00002000 fd:01 1234   /usr/bin/a b\nSize: 132 kB\nRss: 100 kB\n\
        Pss: 50 kB\nPrivate_Clean: 3 kB\nPrivate_Dirty: 4 kB\nAnonymous: 4 kB\nVmFlags: rd ex mr mw me\n\
        55d0c2000000-55d0c2021000 rw-p 00000000 00:00 0   [heap]\nRss: 64 kB\nPss: 64 kB\nPrivate_Dirty: 64 kB\n\
        Anonymous: 64 kB\nLazyFree: 8 kB\nSwap: 100 kB\n\
        7f0000000000-7f0000100000 rw-p 00000000 00:00 0 \nRss: 30 kB\nPss: 15 kB\nAnonymous: 30 kB\n\
        7f0000200000-7f0000300000 rw-p 00000000 00:00 0   [anon: glibc: pthread stack: 42]\nRss: 9 kB\nPss: 9 kB\n\
        7f0000300000-7f0000400000 rw-p 00000000 00:00 0   [stack:77]\nRss: 1 kB\nPss: 1 kB\n\
        7f0000400000-7f0000500000 rw-p 00000000 00:00 0   [anon:arena]\nRss: 2 kB\nPss: 2 kB\n\
        7f0000600000-7f0000700000 rw-s 00000000 00:01 9   /memfd:x (deleted)\nRss: 40 kB\nPss: 20 kB\n\
        7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0   [stack]\nRss: 12 kB\nPss: 12 kB\n\
        7ffd00100000-7ffd00102000 r-xp 00000000 00:00 0   [vdso]\nRss: 8 kB\nPss: 1 kB\n";

    #[test]
    fn mappings_are_folded_by_kind() {
        let kb = |n: u64| n * 1024;
        let mappings = fold(SMAPS.as_bytes(), &mut Vec::new()).expect("text in memory");
        let expected =
            Mappings { heap: kb(56), stack: kb(22), anonymous: kb(17), file: kb(7), shared: kb(20), count: 9 };
        assert_eq!(mappings, expected);
        assert_eq!(add(mappings, mappings).heap, kb(112));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(proptest::num::u8::ANY, 0..500)) {
            let _ = fold(&text[..], &mut Vec::new());
        }

        #[test]
        fn lines_that_look_right_never_panic(text in "([0-9a-f]{1,9}(-[0-9a-f]*)?( [rwxsp-]{0,4})?.{0,40}\n|[A-Z][a-z]+: +[0-9]{0,22} kB\n){0,20}") {
            let _ = fold(text.as_bytes(), &mut Vec::new());
        }
    }
}
