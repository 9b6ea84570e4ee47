//! The import table and the docs hold what they promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{root, tidewatch, told};

/// Who may use whom inside the crate. `cli` may use everything; nothing uses `cli`.
const IMPORTS: [(&str, &[&str]); 18] = [
    ("units", &[]),
    ("exit", &[]),
    ("statistics", &[]),
    ("redact", &[]),
    ("input", &[]),
    ("run_dir", &[]),
    ("sample", &["units"]),
    ("procfs", &[]),
    ("target", &["procfs", "run_dir", "sample", "units"]),
    ("probe", &["procfs", "run_dir", "sample", "units"]),
    ("recording", &["input", "redact", "run_dir", "sample", "units"]),
    ("scenario", &["input", "redact", "sample", "target", "units"]),
    ("session", &["run_dir", "target", "probe", "scenario", "recording", "redact", "growth", "sample", "units"]),
    ("growth", &["sample", "statistics", "units"]),
    ("attribution", &["sample", "recording", "growth", "statistics", "units"]),
    ("gate", &["growth", "attribution", "sample", "exit", "units"]),
    ("report", &["run_dir", "gate", "attribution", "growth", "recording", "sample", "exit", "units"]),
    ("demo", &[]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The modules that a source names after `crate::`, tests aside.
fn used(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let words = match rest.strip_prefix('{') {
            Some(list) => listed(list),
            None => vec![rest.to_owned()],
        };
        for word in words {
            let name: String = word.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            used.insert(name);
        }
    }
    used
}

/// The entries of a list up to its closing brace, nested lists left out.
fn listed(list: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut depth = 0;
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => entries.push(String::new()),
            _ if depth == 0 => entries.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    entries
}

#[test]
fn the_import_table_holds() {
    let table: BTreeMap<&str, &[&str]> = IMPORTS.into_iter().collect();
    let src = root().join("src");
    let mut broken = Vec::new();
    for path in sources(&src) {
        let relative = path.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        // A crate of its own; only its `wire.rs` is shared, by path.
        if module == "heap_hook" {
            continue;
        }
        let is_test = relative.components().any(|part| {
            let name = part.as_os_str().to_string_lossy();
            ["tests", "tests.rs", "live.rs", "live_child.rs"].contains(&name.as_ref())
        });
        let Some(allowed) = table.get(module.as_str()).filter(|_| !is_test) else {
            assert!(["cli", "main", "lib"].contains(&module.as_str()) || is_test, "{module} is not in the table");
            continue;
        };
        for name in used(&fs::read_to_string(&path).unwrap()) {
            if name != module && !allowed.contains(&name.as_str()) {
                broken.push(format!("{} uses {name}", relative.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_reader_of_imports_reads_them() {
    let text = "use crate::{units::{self, Unit}, sample::Metric};\nuse crate::growth::judge;\nfn f() { crate::gate::apply() }\n\
                #[cfg(test)]\nmod tests { use crate::cli; }";
    let names: BTreeSet<String> = ["units", "sample", "growth", "gate"].map(str::to_owned).into();
    assert_eq!(used(text), names);
}

#[test]
fn only_the_demo_knows_its_target() {
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        if inside.starts_with("demo") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for name in ["SessionCounters", "add_item", "count_session", "start_heartbeat", "open_socket"] {
            assert!(!text.contains(name), "{} holds {name}", inside.display());
        }
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let reasons = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains('=') {
            let name = line.split([' ', '=']).next().unwrap();
            assert!(reasons.contains(&format!("| {name} |")), "docs/architecture.md gives no reason for {name}");
        }
    }
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_readme_tells_every_exit_code_and_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let help = told(tidewatch().arg("--help")).stdout;
    for code in ["0", "1", "2", "3", "4", "130"] {
        assert!(readme.contains(&format!("| {code} |")), "the README does not tell exit code {code}");
        assert!(help.contains(&format!("\n  {code} ")), "the help does not tell exit code {code}: {help}");
    }
    for command in ["attach", "run", "check", "report", "judge", "demo", "init"] {
        assert!(readme.contains(&format!("tidewatch {command}")), "the README does not show {command}");
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}

#[test]
fn no_path_of_a_machine_is_in_the_tree() {
    let prefixes = ["/work", "/farm", "/root"].map(|path| format!("{path}/"));
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("tests")));
    files.extend(sources(&root().join("xtask")));
    files.extend(
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()),
    );
    files.extend(["README.md", "CHANGELOG.md", "Cargo.toml", ".ci/run"].map(|name| root().join(name)));
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for prefix in &prefixes {
            assert!(!text.contains(prefix.as_str()), "{} holds {prefix}", path.display());
        }
    }
}

#[test]
fn every_promise_of_the_security_page_has_its_test() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let mut promises = 0;
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        // `file::test` or `file::*`, in backticks.
        for name in row.split('`').skip(1).step_by(2) {
            let Some((file, test)) = name.split_once("::") else { continue };
            let path = root().join("tests/it").join(format!("{file}.rs"));
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                test == "*" || source.contains(&format!("fn {test}()")),
                "docs/security.md names {name}, which is not there"
            );
            promises += 1;
        }
    }
    assert!(promises > 20, "{promises} promises were found");
}
