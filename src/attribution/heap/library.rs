//! Functions that hold nothing of their own: the allocator, the language's runtime and its standard library.
//!
//! Where no rule names an owner, the first function of a stack that is none of these has it. What the compiler put in line is
//! a function too: `Vec::push` in line in `WorkQueue::add` is the library's, and `WorkQueue::add` is not.

use super::HeapFrame;

/// Why a function is not the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Library {
    /// It hands out memory: `malloc`, `operator new`, a wrapper around them that everybody knows.
    Allocator,
    /// It belongs to the language: its runtime, its containers, the C library.
    Standard,
}

/// Allocating functions by their whole name.
const ALLOCATING: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "free",
    "cfree",
    "mmap",
    "mmap64",
    "mremap",
    "strdup",
    "strndup",
    "__strdup",
    "__strndup",
    "asprintf",
    "vasprintf",
    // The first function of many a program, with a message when there is no memory.
    "xmalloc",
    "xcalloc",
    "xzalloc",
    "xrealloc",
    "xstrdup",
    "xstrndup",
    // PostgreSQL, OpenSSL, PHP.
    "palloc",
    "palloc0",
    "palloc_extended",
    "repalloc",
    "pstrdup",
    "CRYPTO_malloc",
    "CRYPTO_zalloc",
    "CRYPTO_realloc",
    "CRYPTO_strdup",
    "emalloc",
    "ecalloc",
    "erealloc",
    "estrdup",
    // nginx.
    "ngx_alloc",
    "ngx_calloc",
    "ngx_pnalloc",
    "ngx_pcalloc",
    "ngx_memalign",
    "ngx_create_pool",
    // CPython.
    "new_arena",
];

/// Allocating functions by how their name begins.
const ALLOCATING_FAMILIES: &[&str] = &[
    "__libc_",
    "_int_malloc",
    "_int_realloc",
    "_int_memalign",
    "__rust_alloc",
    "__rust_realloc",
    "__rustc::__r",
    "__rdl_",
    "__rg_",
    "_Znw",
    "_Zna",
    "operator new",
    "je_malloc",
    "je_calloc",
    "tc_malloc",
    "tc_new",
    "mi_malloc",
    // redis.
    "zmalloc",
    "zcalloc",
    "zrealloc",
    "ztrymalloc",
    "ztrycalloc",
    "ztryrealloc",
    // SQLite.
    "sqlite3Malloc",
    "sqlite3MemMalloc",
    "sqlite3MemRealloc",
    "sqlite3_malloc",
    "sqlite3_realloc",
    "sqlite3Realloc",
    "sqlite3DbMalloc",
    "sqlite3DbRealloc",
    "mallocWithAlarm",
    "dbMallocRaw",
    "pcache1Alloc",
    // glib, PostgreSQL, nginx, Apache, PHP, Lua.
    "g_malloc",
    "g_try_",
    "g_realloc",
    "MemoryContextAlloc",
    "AllocSet",
    "ngx_palloc",
    "apr_p",
    "_emalloc",
    "luaM_",
];

/// More of them that are not plain prefixes of allocation, but hand out memory for whoever calls.
const HANDING_OUT: &[&str] = &[
    "g_slice_",
    "g_strdup",
    "g_strndup",
    "g_memdup",
    "PyMem_",
    "_PyMem_",
    "PyObject_Malloc",
    "PyObject_Calloc",
    "PyObject_Realloc",
    "_PyObject_",
    "PyObject_GC_",
    "PyType_GenericAlloc",
];

/// Paths that begin so are the standard library's: Rust's. A C++ program may have a namespace of such a name.
const RUST: &[&str] = &["alloc::", "core::", "std::", "hashbrown::", "compiler_builtins::", "rustc_std_workspace"];
/// C++'s.
const CPP: &[&str] = &["std::", "__gnu_cxx::", "__cxxabiv1::", "__cxa_", "pymalloc_"];

/// Source files of the standard libraries.
const FILES: &[&str] = &[
    "/lib/rustlib/src/rust/library/",
    "/rust/deps/",
    "/include/c++/",
    "/libstdc++-v3/",
    "/libcxx/include/",
    "/libgcc/",
];

/// Files that are the language's as a whole.
const MODULES: &[&str] = &[
    "libc.so",
    "libc-2",
    "ld-linux",
    "ld-2",
    "libpthread",
    "libstdc++.so",
    "libc++.so",
    "libc++abi.so",
    "libgcc_s.so",
    "libm.so",
    "libdl.so",
    "librt.so",
    "libjemalloc",
    "libtcmalloc",
    "libmimalloc",
];

/// Whether a program's own allocator, called through this, is what stands before it on a stack.
pub fn is_entry(frame: &HeapFrame) -> bool {
    let path = path(&frame.function);
    let name = path.rsplit("::").next().unwrap_or(&path);
    ["__rust_alloc", "__rust_realloc", "__rdl_", "__rg_"].iter().any(|begin| name.starts_with(begin))
        || frame.function.starts_with("operator new")
}

/// Whether a function is the allocator's or the language's; none where it is the program's own, or another library's.
pub fn library(frame: &HeapFrame) -> Option<Library> {
    let path = path(&frame.function);
    if is_allocating(&frame.function, &path) {
        return Some(Library::Allocator);
    }
    let standard = if is_rust(frame) { RUST } else { CPP };
    let by_name = standard.iter().any(|begin| path.starts_with(begin));
    let by_file = frame.file.as_deref().is_some_and(is_standard_file);
    let by_module =
        MODULES.iter().any(|begin| frame.module.starts_with(begin)) || frame.module.contains("tidewatch_heap");
    (by_name || by_file || by_module).then_some(Library::Standard)
}

fn is_allocating(function: &str, path: &str) -> bool {
    let implements =
        function.contains(" as core::alloc::global::GlobalAlloc>") || function.contains(" as core::alloc::Allocator>");
    // `calloc.part.0`, `malloc@@GLIBC_2.2.5`: what the compiler and the linker made of it.
    let plain = path.split(['.', '@']).next().unwrap_or(path);
    let begins = |begin: &&str| path.starts_with(begin) || function.starts_with(begin);
    implements
        || ALLOCATING.contains(&plain)
        || ALLOCATING_FAMILIES.iter().chain(HANDING_OUT).any(begins)
        || ["::__rust_alloc", "::__rust_realloc", "::__rdl_", "::__rg_"].iter().any(|part| path.contains(part))
}

/// C++ names carry their parameters; else the source file tells, and a name without either is taken for Rust's.
fn is_rust(frame: &HeapFrame) -> bool {
    match &frame.file {
        Some(file) => file.ends_with(".rs"),
        None => !frame.function.ends_with([')', ']']) && !frame.function.ends_with("const"),
    }
}

fn is_standard_file(file: &str) -> bool {
    // `/rustc/HASH/library/alloc/src/vec/mod.rs`
    (file.starts_with("/rustc/") && file.contains("/library/")) || FILES.iter().any(|part| file.contains(part))
}

/// The path of a function by which rules and tables know it: `<queue::Queue as Trait>::add` and `<queue::Queue>::add` are
/// `queue::Queue::add`, and `void ns::Queue::add<int>(int)` is `ns::Queue::add<int>`. Where the type is no path (`T`, `[u8]`), the
/// trait's stands for it.
pub fn path(function: &str) -> String {
    let function = function.trim();
    if let Some(inside) = function.strip_prefix('<')
        && let Some(end) = closing(inside)
    {
        let (head, rest) = (&inside[..end], &inside[end + 1..]);
        let (subject, implemented) = match top_level(head, " as ") {
            Some(at) => (&head[..at], Some(&head[at + 4..])),
            None => (head, None),
        };
        let subject = bare(subject);
        let owner = if subject.contains("::") { subject } else { implemented.unwrap_or(subject) };
        // Types lie in types: each step takes a part of what is left.
        return path(owner) + rest;
    }
    if function.contains(ANONYMOUS) {
        return path(&function.replace(ANONYMOUS, "{anonymous}"));
    }
    let function = without_operator(function);
    let end = top_level(function, "(").filter(|&at| at > 0).unwrap_or(function.len());
    let named = &function[..end];
    // What is before the last space is a return type.
    let begin = last_space(named).map_or(0, |at| at + 1);
    named[begin..].to_owned()
}

/// What C++ calls a namespace without a name.
const ANONYMOUS: &str = "(anonymous namespace)";

/// A C++ name up to the word `operator`: the signs behind it are no brackets.
fn without_operator(function: &str) -> &str {
    const WORD: &str = "operator";
    let is_sign = |at: usize| {
        let before = function[..at].chars().next_back();
        let after = function[at + WORD.len()..].chars().next();
        before.is_none_or(|c| c == ':' || c == ' ') && after.is_some_and(|c| !c.is_alphanumeric() && !"_:".contains(c))
    };
    function.match_indices(WORD).map(|(at, _)| at).find(|&at| is_sign(at)).map_or(function, |at| &function[..at])
}

/// A type without what stands before it: `&mut [queue::Item]` is `queue::Item]`, of which only the beginning counts.
fn bare(subject: &str) -> &str {
    const BEFORE: &[&str] = &["mut ", "dyn ", "impl ", "*const ", "*mut ", "&", "["];
    let mut subject = subject.trim();
    while let Some(rest) = BEFORE.iter().find_map(|before| subject.strip_prefix(before)) {
        subject = rest.trim_start();
    }
    subject.trim_start_matches('(')
}

/// Where the bracket that was opened before this text is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut before = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            // `->` closes nothing.
            b'>' if before == b'-' => {}
            b'>' if depth == 0 => return Some(at),
            b'>' => depth -= 1,
            _ => {}
        }
        before = byte;
    }
    None
}

/// Where a word stands outside of all brackets.
fn top_level(text: &str, word: &str) -> Option<usize> {
    outside(text).find(|&at| text[at..].starts_with(word))
}

fn last_space(text: &str) -> Option<usize> {
    outside(text).filter(|&at| text[at..].starts_with(' ')).last()
}

/// The places outside of angle brackets.
fn outside(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut depth = 0_i32;
    let mut before = ' ';
    text.char_indices().filter_map(move |(at, c)| {
        let shown = depth == 0;
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = (depth - 1).max(0),
            _ => {}
        }
        before = c;
        shown.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::heap::Call;
    use crate::sample::CodeAddress;

    fn frame(function: &str, file: Option<&str>, module: &str) -> HeapFrame {
        let address = CodeAddress { module: Some(0), offset: 1 };
        let file = file.map(str::to_owned);
        HeapFrame { function: function.into(), file, line: None, module: module.into(), address, call: Call::Real }
    }

    #[test]
    fn a_function_is_known_by_its_path() {
        for (function, known) in [
            ("orchestrator::work_queue::WorkQueue::add", "orchestrator::work_queue::WorkQueue::add"),
            ("<orchestrator::work_queue::WorkQueue>::add", "orchestrator::work_queue::WorkQueue::add"),
            ("<orchestrator::work_queue::WorkQueue as other::Store>::add", "orchestrator::work_queue::WorkQueue::add"),
            ("<&mut orchestrator::q::Q<T> as core::iter::Iterator>::next", "orchestrator::q::Q<T>::next"),
            ("<T as alloc::string::ToString>::to_string", "alloc::string::ToString::to_string"),
            ("<[u8] as alloc::borrow::ToOwned>::to_owned", "alloc::borrow::ToOwned::to_owned"),
            (
                "<<q::New as serde::Deserialize>::deserialize::V as serde::Visitor>::visit",
                "q::New::deserialize::V::visit",
            ),
            ("<fn(u8) -> q::T as core::ops::FnOnce<()>>::call_once", "fn::call_once"),
            ("alloc::vec::Vec<q::Item>::push", "alloc::vec::Vec<q::Item>::push"),
            (
                "void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>(int&&)",
                "std::vector<int, std::allocator<int> >::_M_realloc_insert<int>",
            ),
            ("std::string ns::Queue::name(std::string const&) const", "ns::Queue::name"),
            ("(anonymous namespace)::grow(unsigned long)", "{anonymous}::grow"),
            ("app::operator::run", "app::operator::run"),
            ("app::operators<int>(int)", "app::operators<int>"),
            ("app::my_operator<int>(int)", "app::my_operator<int>"),
            ("bool operator<(ns::A const&)", ""),
            ("(main)", "(main)"),
            ("app::poll<fn(u8) -> q::T>::next", "app::poll<fn(u8) -> q::T>::next"),
            ("bool app::operator>(int)", "app::"),
            ("app::a> b::c(int)", "b::c"),
            ("bool ns::operator<(ns::A const&, ns::A const&)", "ns::"),
            ("zmalloc", "zmalloc"),
            ("", ""),
            ("<", "<"),
        ] {
            let found = path(function);
            assert_eq!(found, known, "{function}");
        }
    }

    #[test]
    fn the_language_owns_nothing() {
        use Library::{Allocator, Standard};
        for (function, file, module, known) in [
            ("malloc", None, "libc.so.6", Some(Allocator)),
            ("calloc.part.0", None, "server", Some(Allocator)),
            ("operator new(unsigned long)", None, "libstdc++.so.6", Some(Allocator)),
            ("_Znwm", None, "server", Some(Allocator)),
            ("__rust_alloc", None, "server", Some(Allocator)),
            ("__rustc[5224e6b81cd82a8f]::__rust_alloc", None, "server", Some(Allocator)),
            (
                "<orchestrator::memory::Counting as core::alloc::global::GlobalAlloc>::alloc",
                None,
                "server",
                Some(Allocator),
            ),
            ("g_malloc0", None, "libglib-2.0.so.0", Some(Allocator)),
            ("_PyObject_GC_NewVar", None, "python3.12", Some(Allocator)),
            ("PyMem_RawMalloc", None, "python3.12", Some(Allocator)),
            ("ztrymalloc_usable_internal", None, "redis-server", Some(Allocator)),
            ("alloc::raw_vec::RawVec<T,A>::grow_one", None, "server", Some(Standard)),
            ("<alloc::vec::Vec<q::Item> as core::clone::Clone>::clone", None, "server", Some(Standard)),
            ("hashbrown::raw::RawTable<T,A>::reserve_rehash", None, "server", Some(Standard)),
            (
                "push<u8, alloc::alloc::Global>",
                Some("/rustc/abc/library/alloc/src/vec/mod.rs"),
                "server",
                Some(Standard),
            ),
            ("reserve", Some("/rust/deps/hashbrown-0.15.2/src/raw.rs"), "server", Some(Standard)),
            ("void std::vector<int>::push_back(int const&)", None, "server", Some(Standard)),
            ("libc.so.6+0x9a2b", None, "libc.so.6", Some(Standard)),
            ("fopen", None, "libc.so.6", Some(Standard)),
            ("orchestrator::work_queue::WorkQueue::add", Some("src/work_queue.rs"), "server", None),
            ("<orchestrator::q::Q as core::convert::From<T>>::from", None, "server", None),
            ("std::string ns::Queue::name(std::string const&)", Some("queue.cc"), "server", None),
            ("core::Engine::run(int)", Some("engine.cpp"), "server", None),
            ("core::Engine::run(int)", None, "server", None),
            ("alloc::Arena::size() const", None, "server", None),
            ("alloc::arena_of[abi:cxx11]", None, "server", None),
            ("app::shelve", Some("/home/me/library/src/shelf.rs"), "server", None),
            ("rustc_span::intern", Some("/rustc/abc/compiler/rustc_span/src/lib.rs"), "server", None),
            ("server+0x1234", None, "server", None),
            ("allocate_session", None, "server", None),
            ("mallocator_of_mine", None, "server", None),
            ("tokio::runtime::task::raw::poll", None, "server", None),
        ] {
            assert_eq!(library(&frame(function, file, module)), known, "{function}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_a_path(name in "\\PC{0,80}", brackets in "[<>() :&a*\\[-]{0,60}") {
            for text in [&name, &brackets] {
                let _ = path(text);
                let _ = library(&frame(text, Some(text), text));
            }
        }
    }
}
