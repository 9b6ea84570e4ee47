//! The limit on the size of files (`ulimit -f`).

/// Lets a write past the limit on file sizes fail, as on a full disk, where the kernel would end this program by SIGXFSZ.
///
/// A handler that does nothing, not the disposition "ignore": that one would be inherited by what is launched.
pub fn fail_writes_past_the_size_limit() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing, which is safe at any moment.
    unsafe { libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t) };
}
