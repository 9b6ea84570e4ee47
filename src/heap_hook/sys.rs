//! The kernel and the C library, as far as the sampler needs them.
//!
//! System calls are made directly: the library's wrappers may be interposed, are cancellation points, and set `errno`.

use core::arch::asm;
use core::ffi::{c_char, c_int, c_void};

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    /// Finds a symbol of the program.
    pub fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn clock_gettime(clock: c_int, time: *mut Time) -> c_int;
    /// The environment of the program; null before the C library is set up.
    pub static environ: *const *const c_char;
}

#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

/// The handle of `dlsym` for what a preloaded library stands before.
pub const RTLD_NEXT: *mut c_void = -1_isize as *mut c_void;
/// The handle of `dlsym` for what the program itself would find.
pub const RTLD_DEFAULT: *mut c_void = core::ptr::null_mut();

/// `PROT_WRITE`.
pub const PROT_WRITE: usize = 2;
/// `PROT_READ`.
pub const PROT_READ: usize = 1;
/// `PROT_READ | PROT_WRITE`.
pub const PROT_READ_WRITE: usize = 3;
const MAP_SHARED: usize = 1;
const MAP_FIXED: usize = 0x10;
/// `MAP_PRIVATE | MAP_ANONYMOUS`.
pub const MAP_PRIVATE_ANONYMOUS: usize = 0x22;

const SYS_OPEN: usize = 2;
const SYS_CLOSE: usize = 3;
const SYS_MMAP: usize = 9;
const SYS_MPROTECT: usize = 10;
const SYS_MUNMAP: usize = 11;
const SYS_RT_SIGPROCMASK: usize = 14;
const SYS_MREMAP: usize = 25;
const SYS_MADVISE: usize = 28;
const SYS_GETPID: usize = 39;
const SYS_FTRUNCATE: usize = 77;
const SYS_PWRITE: usize = 18;
const SYS_RENAME: usize = 82;
const SYS_UNLINK: usize = 87;
const SYS_GETRLIMIT: usize = 97;
const SYS_FALLOCATE: usize = 285;

const O_RDWR_NOFOLLOW_CLOEXEC: usize = 0o2 | 0o400_000 | 0o2_000_000;
const O_CREAT_TRUNC: usize = 0o100 | 0o1000;
const MADV_WIPEONFORK: usize = 18;
const RLIMIT_FSIZE: usize = 1;
const EFAULT: isize = -14;
const EOPNOTSUPP: isize = -95;

static ZEROS: [u8; 4096] = [0; 4096];

/// A system call; the result is negative for an error.
///
/// # Safety
///
/// As the call itself.
unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the convention of Linux on x86_64; the caller answers for the call itself.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// The same as the C library does it: -1 for an error, which goes into `errno`.
///
/// # Safety
///
/// As the call itself.
unsafe fn call_as_c(number: usize, values: [usize; 6]) -> isize {
    // SAFETY: promised by the caller.
    match unsafe { call(number, values) } {
        error @ -4095..0 => {
            set_errno(-error as c_int);
            -1
        }
        result => result,
    }
}

/// `mmap`, for the moment in which the real one is being looked for.
///
/// # Safety
///
/// As the C function.
pub unsafe fn mmap(at: usize, size: usize, prot: c_int, flags: c_int, file: c_int, offset: i64) -> usize {
    // SAFETY: promised by the caller.
    unsafe { call_as_c(SYS_MMAP, [at, size, prot as usize, flags as usize, file as usize, offset as usize]) as usize }
}

/// `munmap`, as [`mmap`].
///
/// # Safety
///
/// As the C function.
pub unsafe fn munmap(at: usize, size: usize) -> c_int {
    // SAFETY: promised by the caller.
    unsafe { call_as_c(SYS_MUNMAP, [at, size, 0, 0, 0, 0]) as c_int }
}

/// `mremap`, as [`mmap`].
///
/// # Safety
///
/// As the C function.
pub unsafe fn mremap(at: usize, old: usize, new: usize, flags: c_int, to: usize) -> usize {
    // SAFETY: promised by the caller.
    unsafe { call_as_c(SYS_MREMAP, [at, old, new, flags as usize, to, 0]) as usize }
}

/// What `errno` is now.
pub fn errno() -> c_int {
    // SAFETY: the C library gives the place of this thread's errno.
    unsafe { *__errno_location() }
}

/// Puts `errno` back.
pub fn set_errno(value: c_int) {
    // SAFETY: as above.
    unsafe { *__errno_location() = value }
}

/// Nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let mut time = Time { seconds: 0, nanoseconds: 0 };
    // SAFETY: `time` is writable; CLOCK_MONOTONIC is 1.
    unsafe { clock_gettime(1, &raw mut time) };
    (time.seconds as u64).wrapping_mul(1_000_000_000).wrapping_add(time.nanoseconds as u64)
}

/// The process.
pub fn pid() -> u64 {
    // SAFETY: takes and gives numbers alone.
    unsafe { call(SYS_GETPID, [0; 6]) as u64 }
}

/// Whether the eight bytes at this address can be read. The kernel is asked to read them as the signal mask of a call
/// that it then refuses, so nothing else happens.
pub fn is_readable(address: usize) -> bool {
    // SAFETY: `how` is no valid value: the kernel copies the mask in, and changes nothing.
    unsafe { call(SYS_RT_SIGPROCMASK, [usize::MAX, address, 0, 8, 0, 0]) != EFAULT }
}

/// Makes a private page that a forked child sees as zeros.
pub fn page_wiped_on_fork() -> Option<usize> {
    // SAFETY: new memory at an address of the kernel's choice.
    unsafe {
        let page = call(SYS_MMAP, [0, 4096, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, usize::MAX, 0]);
        let page = usize::try_from(page).ok()?;
        if call(SYS_MADVISE, [page, 4096, MADV_WIPEONFORK, 0, 0, 0]) < 0 {
            call(SYS_MUNMAP, [page, 4096, 0, 0, 0, 0]);
            return None;
        }
        Some(page)
    }
}

/// Makes a file, for this user alone.
pub fn create(path: &core::ffi::CStr) -> Option<c_int> {
    open(path, O_RDWR_NOFOLLOW_CLOEXEC | O_CREAT_TRUNC)
}

/// Opens a file that is there.
pub fn reopen(path: &core::ffi::CStr) -> Option<c_int> {
    open(path, O_RDWR_NOFOLLOW_CLOEXEC)
}

fn open(path: &core::ffi::CStr, how: usize) -> Option<c_int> {
    // SAFETY: the path ends with a zero.
    let file = unsafe { call(SYS_OPEN, [path.as_ptr() as usize, how, 0o600, 0, 0, 0]) };
    c_int::try_from(file).ok().filter(|file| !file.is_negative())
}

/// Takes room on its disk for a file that has `from` bytes and is to have `bytes`. A page that found none later would be the
/// end of the program.
pub fn take_room(file: c_int, from: usize, bytes: usize) -> bool {
    let mut limit = [0_u64; 2];
    // SAFETY: the file is ours; the zeros are static; a limit is two words.
    unsafe {
        // Past its limit a process is not refused, but ended by a signal.
        call(SYS_GETRLIMIT, [RLIMIT_FSIZE, limit.as_mut_ptr() as usize, 0, 0, 0, 0]);
        if limit[0] < bytes as u64 {
            return false;
        }
        if call(SYS_FTRUNCATE, [file as usize, bytes, 0, 0, 0, 0]) < 0 {
            return false;
        }
        match call(SYS_FALLOCATE, [file as usize, 0, 0, bytes, 0, 0]) {
            EOPNOTSUPP => write_zeros(file, from, bytes),
            taken => taken >= 0,
        }
    }
}

/// Takes the room by writing, where the file system cannot do it otherwise.
fn write_zeros(file: c_int, from: usize, bytes: usize) -> bool {
    (from..bytes).step_by(ZEROS.len()).all(|at| {
        let length = ZEROS.len().min(bytes - at);
        // SAFETY: the file is ours; the zeros are static, and at least this long.
        unsafe { call(SYS_PWRITE, [file as usize, ZEROS.as_ptr() as usize, length, at, 0, 0]) == length as isize }
    })
}

/// Maps so many bytes of a file. It may be shorter, as long as nobody reads or writes behind its end.
pub fn map(file: c_int, bytes: usize) -> Option<usize> {
    // SAFETY: new memory at an address of the kernel's choice.
    let place = unsafe { call(SYS_MMAP, [0, bytes, PROT_READ_WRITE, MAP_SHARED, file as usize, 0]) };
    usize::try_from(place).ok()
}

/// The same at the place of another such mapping, which goes away.
///
/// # Safety
///
/// So many bytes are mapped there, and are ours.
pub unsafe fn map_over(place: usize, file: c_int, bytes: usize) -> Option<usize> {
    // SAFETY: promised by the caller.
    let placed = unsafe { call(SYS_MMAP, [place, bytes, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, file as usize, 0]) };
    usize::try_from(placed).ok()
}

/// Changes what may be done with pages.
pub fn protect(begin: usize, bytes: usize, how: usize) -> bool {
    // SAFETY: the caller names pages of a module's data, and puts them back.
    unsafe { call(SYS_MPROTECT, [begin, bytes, how, 0, 0, 0]) >= 0 }
}

/// Closes a file of ours.
pub fn close(file: c_int) {
    // SAFETY: the file is ours.
    unsafe { call(SYS_CLOSE, [file as usize, 0, 0, 0, 0, 0]) };
}

/// Gives a file its name.
pub fn rename(from: &core::ffi::CStr, to: &core::ffi::CStr) -> bool {
    // SAFETY: both paths end with a zero.
    unsafe { call(SYS_RENAME, [from.as_ptr() as usize, to.as_ptr() as usize, 0, 0, 0, 0]) >= 0 }
}

/// Removes a file of ours.
pub fn unlink(path: &core::ffi::CStr) {
    // SAFETY: the path ends with a zero.
    unsafe { call(SYS_UNLINK, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) };
}

#[cfg(test)]
mod tests {
    use core::ffi::{CStr, c_long, c_uint};

    use super::*;

    unsafe extern "C" {
        fn memfd_create(name: *const c_char, flags: c_uint) -> c_int;
        fn fcntl(file: c_int, command: c_int, ...) -> c_int;
        fn lseek(file: c_int, to: c_long, whence: c_int) -> c_long;
        fn setrlimit(which: c_int, limit: *const [u64; 2]) -> c_int;
        fn fork() -> c_int;
        fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(status: c_int) -> !;
    }

    const MAY_BE_SEALED: c_uint = 2;

    fn file() -> c_int {
        let name: &CStr = c"room";
        // SAFETY: the name ends with a zero.
        unsafe { memfd_create(name.as_ptr(), 1 | MAY_BE_SEALED) }
    }

    fn length(file: c_int) -> i64 {
        const END: c_int = 2;
        // SAFETY: asks for a number.
        unsafe { lseek(file, 0, END) }
    }

    /// Whether something holds in a child of this process, which may change what belongs to a process.
    fn in_child(holds: impl Fn() -> bool) -> bool {
        // SAFETY: the child makes system calls alone, and ends.
        unsafe {
            let child = fork();
            if child == 0 {
                _exit(c_int::from(!holds()));
            }
            let mut status = -1;
            waitpid(child, &raw mut status, 0) == child && status == 0
        }
    }

    #[test]
    fn errors_are_told_as_the_c_library_does() {
        set_errno(0);
        // SAFETY: the kernel refuses all of them.
        let results =
            unsafe { (munmap(1, 1), mremap(1, 4096, 4096, 0, 0) as isize, mmap(0, 0, 3, 0x22, -1, 0) as isize) };
        assert_eq!((results, errno()), ((-1, -1, -1), 22));
    }

    #[test]
    fn room_is_written_where_it_cannot_be_taken() {
        let file = file();
        assert!(write_zeros(file, 0, 5000));
        assert_eq!(length(file), 5000);
        assert!(write_zeros(file, 4096, 12_288));
        assert_eq!(length(file), 12_288);
        close(file);
        assert!(!write_zeros(file, 0, 10));
    }

    #[test]
    fn room_is_refused_where_the_length_cannot_be_set() {
        const ADD_SEALS: c_int = 1033;
        const NO_SHORTER: c_int = 2;
        let file = file();
        assert!(take_room(file, 0, 8192));
        // SAFETY: a file of our own.
        assert_eq!(unsafe { fcntl(file, ADD_SEALS, NO_SHORTER) }, 0);
        assert!(!take_room(file, 0, 4096) && take_room(file, 0, 12_288));
        assert_eq!(length(file), 12_288);
        close(file);
    }

    #[test]
    fn room_is_taken_up_to_the_limit_of_the_process() {
        let file = file();
        let within = |limit: u64| {
            // SAFETY: a limit of the child alone.
            let is_set = unsafe { setrlimit(RLIMIT_FSIZE as c_int, &[limit; 2]) } == 0;
            is_set && take_room(file, 0, 8192)
        };
        assert!(in_child(|| within(8192)));
        assert!(in_child(|| !within(8191)));
        close(file);
    }

    #[test]
    fn memory_that_there_is_not_is_none() {
        const ADDRESS_SPACE: c_int = 9;
        let file = file();
        assert!(take_room(file, 0, 4096));
        assert!(in_child(|| page_wiped_on_fork().is_some() && map(file, 4096).is_some()));
        assert!(in_child(|| {
            // SAFETY: a limit of the child alone.
            unsafe { setrlimit(ADDRESS_SPACE, &[4096; 2]) };
            page_wiped_on_fork().is_none() && map(file, 4096).is_none()
        }));
        close(file);
    }
}
