//! A server's scenario file at another pace, with what tunes the judge left to the defaults.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Keys of a scenario that tune the judge. `warmup`, `most_at_once` and `before_settle` belong to the server and stay.
const TUNING: [&str; 4] = ["smallest", "cycles", "expect_cap", "min_operations"];

/// The name of a scenario file in its folder.
const FILE: &str = "tidewatch.toml";

/// Copies a server's folder, with its scenario file at the pace; gives the names of the scenarios.
pub fn copy_at_pace(from: &Path, to: &Path, per_second: u32) -> Result<Vec<String>> {
    fs::create_dir_all(to).with_context(|| format!("could not create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("could not list {}", from.display()))? {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            fs::copy(&path, to.join(name)).with_context(|| format!("could not copy {}", path.display()))?;
        }
    }
    let file = file_in(to);
    let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let text = at_pace(&text, per_second);
    let names = scenarios(&text);
    ensure!(!names.is_empty(), "{} has no scenario", file.display());
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))?;
    Ok(names)
}

/// The scenario file of a folder.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The text with every rate replaced, and without the lines that tune the judge. Each key stands on one line.
fn at_pace(text: &str, per_second: u32) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match key(line) {
            Some(key) if TUNING.contains(&key) => continue,
            Some("rate") => out += &format!("rate = \"{per_second}/s\""),
            _ => out += line,
        }
        out.push('\n');
    }
    out
}

/// The values of `name` of the scenarios.
fn scenarios(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_scenario = false;
    for line in text.lines() {
        if line.starts_with('[') {
            in_scenario = line.trim_end() == "[[scenario]]";
        } else if in_scenario && key(line) == Some("name") {
            names.extend(line.split('"').nth(1).map(str::to_owned));
        }
    }
    names
}

/// The key of a line `key = value`.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::super::list::SERVERS;
    use super::*;

    #[test]
    fn the_pace_is_replaced_and_tuning_is_left_out() {
        let text = "[[subsystem]]\nname = \"Part\"\n\n[[scenario]]\nname = \"one\"\nrate = \"40/s\"\nwarmup = \"10s\"\nsmallest = { memory = \"8KiB\", count = 1e-2 }\n\
                    cycles = { min = 10, max = 75 }\nexpect_cap = 7000\nmin_operations = 9\nmost_at_once = 4\n\
                    step = { http = { url = \"/?rate=1\" } }\n\n[[scenario]]\nname = \"two\"\nrate = \"10/s\"\n";
        let made = at_pace(text, 200);
        assert_eq!(
            made,
            "[[subsystem]]\nname = \"Part\"\n\n[[scenario]]\nname = \"one\"\nrate = \"200/s\"\nwarmup = \"10s\"\nmost_at_once = 4\n\
             step = { http = { url = \"/?rate=1\" } }\n\n[[scenario]]\nname = \"two\"\nrate = \"200/s\"\n"
        );
        assert_eq!(scenarios(&made), ["one", "two"]);
    }

    #[test]
    fn a_line_has_a_key_only_where_it_begins_with_one() {
        for (line, expected) in [
            ("rate = \"1/s\"", Some("rate")),
            ("  cycles={ max = 9 }", Some("cycles")),
            ("# rate = 1", None),
            ("    { send = \"x\" },", None),
            ("{ rate = 1 }", None),
            ("]", None),
        ] {
            assert_eq!(key(line), expected, "{line}");
        }
    }

    #[test]
    fn every_server_can_be_driven_at_a_pace() {
        let folder = tempfile::tempdir().expect("a folder");
        for server in &SERVERS {
            let to = folder.path().join(server.folder);
            let names = copy_at_pace(&server.path(), &to, 123).expect("a copy");
            let text = fs::read_to_string(file_in(&to)).expect("a scenario file");
            assert_eq!(text.matches("\nrate = \"123/s\"\n").count(), names.len(), "{}", server.folder);
            assert!(text.lines().all(|line| key(line).is_none_or(|key| !TUNING.contains(&key))), "{text}");
        }
    }
}
