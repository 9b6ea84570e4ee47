//! The file that `tidewatch init` writes: commented, and right as it stands.

use std::fmt::Write;

/// What could be learned of a process that is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Its name.
    pub name: Option<String>,
    /// The TCP ports on which it listens.
    pub ports: Vec<u16>,
    /// Its command line.
    pub argv: Vec<String>,
}

/// The text of a starter file: a scenario of each shape, those that need more knowledge commented out.
pub fn starter(what: &Listening) -> String {
    let mut text = String::from(HEAD);
    target(&mut text, what);
    text.push_str(REST);
    text
}

const HEAD: &str = "\
# What tidewatch starts, how it loads it, and what must hold. Paths are relative to this file.
# `tidewatch check --dry-run` reads it and says what would be done; `tidewatch check` does it.

";

fn target(text: &mut String, what: &Listening) {
    let argv = if what.argv.is_empty() {
        vec!["./target/release/my-service".to_owned(), "--port".to_owned(), "8080".to_owned()]
    } else {
        what.argv.clone()
    };
    let quoted: Vec<String> = argv.iter().map(|word| literal(word)).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "[target]");
    if let Some(name) = &what.name {
        let _ = writeln!(text, "# Taken from the running process {}.", one_line(name));
    }
    let _ = writeln!(text, "launch = [{}]", quoted.join(", "));
    let port = what.ports.first().copied().unwrap_or(8080);
    let _ = writeln!(
        text,
        "port = {port}                           # {{{{ port }}}} and paths like \"/items\" mean this one"
    );
    if what.ports.len() > 1 {
        let others: Vec<String> = what.ports[1..].iter().map(u16::to_string).collect();
        let _ = writeln!(text, "# It also listens on {}.", others.join(", "));
    }
    let _ = writeln!(text, "ready = {{ tcp = \"127.0.0.1:{{{{ port }}}}\", within = \"30s\" }}");
}

/// A TOML string that is no template, whatever it holds.
fn literal(word: &str) -> String {
    let word = word.replace("{{", "{{ '{{' }}").replace("{%", "{{ '{%' }}").replace("{#", "{{ '{#' }}");
    toml::Value::String(word).to_string()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

const REST: &str = r##"# A target that prints its port needs no fixed one, and two runs never collide:
# launch = ["./my-service", "--port", "0"]
# ready = { stdout = 'listening on port (?<port>\d+)' }
# A target that runs already: attach = { name = "my-service" } or { pid = 4242 } instead of launch.
# build = ["cargo", "build", "--release"]       # before the launch
# memory_limit = "512MiB"                       # to say when it is reached; nothing is enforced

# Numbers that the target exports, if it does. They help to name what grew.
# [gauges]
# prometheus = "http://127.0.0.1:{{ port }}/metrics"
# names = ["queue_items"]

# Parts of the target that findings are put down to.
[[subsystem]]
name = "Requests"
priority = "P1"
# source = "src/requests.rs"
# owns = { frames = ["my_service::requests::*"], gauges = ["queue_items"], fds = ["file:/data/*"], tasks = ["worker-*"] }

# No load at all: what grows by itself.
[[scenario]]
name = "startup"
shape = "idle"

# One request, over and over.
[[scenario]]
name = "requests"
shape = "flood"
subsystem = "Requests"
rate = "1000/s"                         # or workers = 8, for as fast as it goes
smallest = { memory = "100B", count = 1e-3 }    # the smallest growth per operation that matters
step = { http = { method = "GET", url = "/" } }
# step = { http = { method = "POST", url = "/items", json = { id = "{{ uuid }}", text = "{{ text(120) }}" }, expect = [201, 429], counts = [201] } }
# production = { moderate = "100/h", worst = "10000/h" }
# thresholds = ["private.per_op < 64B", "fds.growth <= 2"]

# Sessions that are opened and left. leave: close, reset, half-open or stall.
# [[scenario]]
# name = "abandoned"
# shape = "abandon"
# open = { sse = { url = "/events?session={{ session }}" } }
# leave = "reset"

# One session, many edits.
# [[scenario]]
# name = "edits"
# shape = "long-session"
# open = { websocket = { url = "/socket" } }
# edit = { send = "{{ text(20) }}", until = "ok" }

# Connections that are opened, used and closed.
# [[scenario]]
# name = "connections"
# shape = "churn"
# open = { tcp = { connect = "127.0.0.1:{{ port }}" } }
# use = [{ send = "PING\n", until = "PONG" }]

# What must hold, for every scenario. Without it: nothing may grow without bound.
# [thresholds]
# all = ["private != unbounded", "fds != unbounded"]
"##;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::template::Values;
    use crate::scenario::{Origin, Script, script};

    fn load(text: &str) -> Script {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(script::FILE_NAME), text).expect("written");
        script::load(folder.path(), &BTreeMap::new(), &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_starter_file_is_right_whatever_it_was_made_from() {
        let argv = ["a \"b\"\\\n{{ x }}{% y {# z", "", "--é"].map(str::to_owned);
        let odd = Listening { name: Some("x\ny".into()), ports: vec![1, 65_535], argv: argv.to_vec() };
        assert_eq!(load(&starter(&Listening::default())).scenarios.len(), 2);
        let script = load(&starter(&odd));
        let Origin::Launch(launch) = &script.target.origin else { panic!("{:?}", script.target.origin) };
        let values = Values { fixed: &script.fixed, key: 1, session: 1, seed: 1, captured: &BTreeMap::new() };
        let back: Vec<_> = launch.iter().map(|word| word.render(&values).expect("renders").into_owned()).collect();
        assert_eq!(back, argv);
        assert_eq!(script.fixed.captures["port"], "1");
    }

    #[test]
    fn what_it_comments_out_is_right_too() {
        let text = starter(&Listening::default());
        let uncommented: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                // Alternatives to lines that stand there already stay comments; so does prose.
                Some(rest) if !["launch", "ready", "step", "build"].iter().any(|key| rest.starts_with(key)) => {
                    let is_toml =
                        rest.starts_with('[') || rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
                    if is_toml { rest } else { line }
                }
                _ => line,
            })
            .collect();
        assert_eq!(load(&uncommented.join("\n")).scenarios.len(), 5);
    }
}
