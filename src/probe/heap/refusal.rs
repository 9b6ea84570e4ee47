//! Why a process cannot be sampled, seen from outside, before anything is done to it.
//!
//! The sampler stands before one allocator: the functions that a dynamically linked program calls through its loader's slots, on
//! Linux with glibc on x86_64. Whatever allocates elsewhere would be missed without a word, and whatever forbids a
//! tracer to work might be harmed. Each such case is one line: what was seen, why that matters, what to do instead. What
//! cannot be seen from here (a file that hides its contents, a right that only the kernel knows of) is left to the attempt.

use crate::sample::Process;

/// How the sampler is to come into a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With the program, at its start.
    Preload,
    /// Into the running process.
    Inject(Seccomp),
}

/// What to do with a process whose system calls are filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// Leave it alone: a filter may kill it for a call that loading the sampler takes.
    #[default]
    Refuse,
    /// The filter is known to allow `memfd_create`, `openat`, `read`, `pread64`, `fstat`, `mmap`, `mprotect`, `munmap`, `madvise`,
    /// `ftruncate`, `fallocate`, `getrlimit`, `ppoll`, `rt_sigreturn` and `close`.
    Allow,
}

/// Why a process cannot be sampled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This build carries no sampler.
    #[error("heap sampling works on Linux with glibc on x86_64 alone; watch this target without it")]
    Unsupported,
    /// It has ended.
    #[error("process {pid} has ended; start it again")]
    Gone {
        /// Which.
        pid: u32,
    },
    /// Its program is for another processor, or for 32 bits.
    #[error("the program is built for {machine}, and the heap sampler for x86_64; watch it without heap sampling")]
    OtherArchitecture {
        /// For what.
        machine: String,
    },
    /// It has no loader.
    #[error(
        "the program is linked statically, so there is no loader that could bring in the heap sampler; link it dynamically \
         against glibc, or watch it without heap sampling"
    )]
    Static,
    /// It is a Go program.
    #[error(
        "the program is written in Go, whose allocator is its own; expose net/http/pprof and read /debug/pprof/heap instead"
    )]
    Go,
    /// Its C library is musl.
    #[error(
        "the program uses musl ({loader}), and the heap sampler stands before glibc's allocator; run a build for glibc, \
         or watch it without heap sampling"
    )]
    Musl {
        /// Its loader.
        loader: String,
    },
    /// Its C library is another one.
    #[error(
        "the program is loaded by {loader}, and the heap sampler works with glibc; run a build for glibc, or watch it \
         without heap sampling"
    )]
    OtherLoader {
        /// Its loader.
        loader: String,
    },
    /// Its C library is too old.
    #[error(
        "the program's glibc is older than 2.34, and the heap sampler needs 2.34; run it on a newer system, or watch it without \
         heap sampling"
    )]
    OldGlibc,
    /// An allocator is part of the program.
    #[error(
        "the program has an allocator of its own linked in ({name}), which the heap sampler does not see; build it with the C \
         library's allocator, or use the heap profile of {name}"
    )]
    OwnAllocator {
        /// Which.
        name: String,
    },
    /// A loaded allocator serves C++ past `malloc`.
    #[error(
        "C++ objects come from {library} without a call of malloc, so the heap sampler would miss them; start the program without \
         {library}, or use its own heap profile"
    )]
    OwnNew {
        /// The library.
        library: String,
    },
    /// A sanitizer has taken over the allocator.
    #[error(
        "the program is built with {sanitizer}, which has an allocator of its own; run a build without it, or use its own leak report"
    )]
    Sanitizer {
        /// Which.
        sanitizer: String,
    },
    /// The kernel or the loader takes away what would be preloaded.
    #[error(
        "the program runs with rights of its own (set-user-id or file capabilities), so the loader ignores what is preloaded; start it as the \
         user that it becomes"
    )]
    SetUserId,
    /// It belongs to somebody else.
    #[error(
        "process {pid} belongs to user {owner}, and this is user {own}; run as user {owner}, or with CAP_SYS_PTRACE"
    )]
    OtherUser {
        /// Which process.
        pid: u32,
        /// Whose it is.
        owner: u64,
        /// Who we are.
        own: u64,
    },
    /// Yama allows descendants alone.
    #[error(
        "the kernel allows only a parent process to attach (kernel.yama.ptrace_scope is 1); run with CAP_SYS_PTRACE, or launch the target \
         with tidewatch run --heap, or set the value to 0"
    )]
    YamaParents,
    /// Yama allows those with the capability alone.
    #[error(
        "the kernel lets only CAP_SYS_PTRACE attach (kernel.yama.ptrace_scope is 2); run with that capability, or launch the target with \
         tidewatch run --heap"
    )]
    YamaAdmin,
    /// Yama allows nobody.
    #[error(
        "the kernel allows no process to attach until the machine restarts (kernel.yama.ptrace_scope is 3); launch the target with tidewatch run --heap"
    )]
    YamaNobody,
    /// The kernel says no, for a reason that cannot be seen.
    #[error(
        "the kernel does not let this user attach to process {pid} (it may have changed its user, hold more capabilities, or be \
         confined); run with CAP_SYS_PTRACE, or launch it with tidewatch run --heap"
    )]
    NotPermitted {
        /// Which process.
        pid: u32,
    },
    /// A debugger is at work.
    #[error("process {pid} is traced already, by process {tracer}; end that debugger or tracer first")]
    Traced {
        /// Which process.
        pid: u32,
        /// By whom.
        tracer: u64,
    },
    /// It is stopped.
    #[error("process {pid} is stopped; let it go on (kill -CONT {pid}) first")]
    Stopped {
        /// Which process.
        pid: u32,
    },
    /// Its system calls are filtered.
    #[error(
        "process {pid} filters its system calls (seccomp), and may be killed for one that loading the heap sampler takes; launch it with \
         tidewatch run --heap, so that the sampler is there before the filter"
    )]
    Seccomp {
        /// Which process.
        pid: u32,
    },
    /// Its returns are checked by the processor.
    #[error(
        "process {pid} runs with a shadow stack, on which no call can be made from outside; launch it with tidewatch run --heap"
    )]
    ShadowStack {
        /// Which process.
        pid: u32,
    },
    /// A sampler is there already.
    #[error("a heap sampler is in process {pid} already, {by}; end that watch first")]
    AlreadySampled {
        /// Which process.
        pid: u32,
        /// Since when, or by whom.
        by: String,
    },
    /// Its modules cannot be made out.
    #[error(
        "the C library of process {pid} cannot be found in its memory; launch it with tidewatch run --heap, or watch it without heap \
         sampling"
    )]
    Unreadable {
        /// Which process.
        pid: u32,
    },
    /// Code cannot be loaded from memory.
    #[error(
        "the kernel does not let process {pid} load code from memory (vm.memfd_noexec is 2, or a security policy); launch it with \
         tidewatch run --heap, or set the value to 1"
    )]
    NoexecMemory {
        /// Which process.
        pid: u32,
    },
    /// No thread came to a safe place.
    #[error(
        "no thread of process {pid} reached a safe point within {seconds} s ({tried} tries): {reason}; attach again, or \
         launch it with tidewatch run --heap"
    )]
    NoSafeThread {
        /// Which process.
        pid: u32,
        /// How long was tried.
        seconds: u64,
        /// How often.
        tried: u32,
        /// What was in the way most often.
        reason: String,
    },
    /// A thread did not come back from a call.
    #[error(
        "a thread of process {pid} has not returned from loading the heap sampler within {seconds} s; it goes on by itself \
         when it does; attach again later"
    )]
    CallLasts {
        /// Which process.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The loader did not take the library.
    #[error("the loader of process {pid} refused the heap sampler: {message}; launch it with tidewatch run --heap")]
    Loader {
        /// Which process.
        pid: u32,
        /// In its words.
        message: String,
    },
    /// The loader is held by another thread.
    #[error("the loader of process {pid} is held by another of its threads, which loads a library; attach again later")]
    LoaderBusy {
        /// Which process.
        pid: u32,
    },
}

/// Why a process cannot be sampled, if that can be seen from outside. Takes some milliseconds, and touches nothing.
pub fn refusal(process: Process, way: Way) -> Option<Refusal> {
    if !super::is_supported() {
        return Some(Refusal::Unsupported);
    }
    #[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
    return super::inject::check(process, way).err();
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
    {
        let _ = (process, way);
        Some(Refusal::Unsupported)
    }
}
