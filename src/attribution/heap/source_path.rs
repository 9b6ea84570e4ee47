//! The path of a Rust function by where its source lies.
//!
//! Debug information made of line tables alone (`debug = "line-tables-only"`) gives a function in line its last name and no more: `push`,
//! `{closure#0}`. Its source file tells the module, by the layout that Cargo and rustc prescribe: `app/src/queue.rs` is
//! `app::queue`. Without it two functions of the same name would be one owner, and no rule could tell them apart.

/// `app::queue::push` for `push` in `app/src/queue.rs`; none where the name has a path, or the file none.
pub fn with_path(function: &str, file: &str) -> Option<String> {
    if has_path(function) {
        return None;
    }
    module_of(file).map(|module| format!("{module}::{function}"))
}

/// Whether there is a path before the first bracket.
fn has_path(function: &str) -> bool {
    let head = function.split(['<', '(']).next().unwrap_or_default();
    function.starts_with('<') || head.contains("::")
}

/// The module of a Rust source file.
fn module_of(file: &str) -> Option<String> {
    let inside = file.strip_suffix(".rs")?;
    let parts: Vec<&str> = inside.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let src = parts.iter().rposition(|part| *part == "src").filter(|at| *at > 0)?;
    let mut path = vec![crate_name(parts[src - 1])];
    let modules = &parts[src + 1..];
    let root = ["lib", "main", "mod"];
    let last = modules.len().saturating_sub(1);
    let named = modules.iter().enumerate().filter(|(at, name)| *at < last || !root.contains(name));
    path.extend(named.map(|(_, name)| (*name).to_owned()));
    Some(path.join("::"))
}

/// A crate by its folder: `hyper-util-0.1.21` is `hyper_util`.
fn crate_name(folder: &str) -> String {
    let version = folder.match_indices('-').find(|(at, _)| folder[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    folder[..version.map_or(folder.len(), |(at, _)| at)].replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::with_path;

    #[test]
    fn a_function_in_line_has_the_path_of_its_file() {
        for (function, file, path) in [
            ("from_new", "/x/orchestrator/src/systems/work_queue.rs", "orchestrator::systems::work_queue::from_new"),
            ("{closure#0}", "orchestrator/src/main.rs", "orchestrator::{closure#0}"),
            (
                "poll<a::B>",
                "/r/hyper-util-0.1.21/src/server/conn/auto/mod.rs",
                "hyper_util::server::conn::auto::poll<a::B>",
            ),
            ("push<u8>", "/rustc/59/library/alloc/src/vec/mod.rs", "alloc::vec::push<u8>"),
            ("run", "/x/app/src/main/lib/start.rs", "app::main::lib::start::run"),
            ("run", "./app//src/./queue.rs", "app::queue::run"),
            ("run", "/x/sub-3d-tools-x/src/lib.rs", "sub::run"),
        ] {
            assert_eq!(with_path(function, file).as_deref(), Some(path));
        }
        for (function, file) in [
            ("app::queue::push", "/x/app/src/queue.rs"),
            ("<app::Q as T>::push", "/x/app/src/queue.rs"),
            ("push", "/x/app/queue.c"),
            ("push", "src/queue.rs"),
            ("push", "queue.rs"),
        ] {
            assert_eq!(with_path(function, file), None, "{function} {file}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read(function in "\\PC{0,20}", file in "[a-z/.-]{0,20}src/[\\PC/]{0,12}\\.rs") {
            let _ = with_path(&function, &file);
        }
    }
}
