//! A value of the environment is planted wherever a template may stand, everything that can fail does fail with it, and no
//! output holds it in any form.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Told, part_of_machine, tidewatch, told};

/// Needs encoding nearly everywhere.
const CANARY: &str = "s3cr3t/+ &\"ü-k4n4ri3";
/// Is a valid part of an address.
const PLAIN: &str = "pl41nk4n4ri3v0gel";

/// A server that answers everything with 500 and what it was sent.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut got = vec![0; 1 << 14];
                let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                let read = stream.read(&mut got).unwrap_or(0);
                let body = &got[..read];
                let head = format!("HTTP/1.1 500 Oops\r\ncontent-length: {read}\r\nconnection: close\r\n\r\n");
                // The other side may be gone.
                let _ = stream.write_all(&[head.as_bytes(), body].concat());
            });
        }
    });
    port
}

fn scenario(work: &str) -> String {
    format!(
        "[[scenario]]\nname = \"planted\"\n{work}\nwarmup = \"0s\"\nload = {{ for = \"200ms\" }}\nsettle = \"100ms\"\n\
         cycles = {{ min = 10, max = 10 }}\nsmallest = {{ memory = \"100MB\", count = 100 }}\n"
    )
}

fn flood(step: &str) -> String {
    scenario(&format!("shape = \"flood\"\nrate = \"50/s\"\nmax_errors = 0.01\nstep = {step}"))
}

const IDLE: &str = "[[scenario]]\nname = \"idle\"\nshape = \"idle\"\nwarmup = \"0s\"\nload = { for = \"200ms\" }\nsettle = \"100ms\"\n\
     cycles = { min = 10, max = 10 }\nsmallest = { memory = \"100MB/s\", count = \"100/s\" }\n";
const SLEEP: &str = "[target]\nlaunch = [\"sleep\", \"60\"]\n";

/// Files that plant the canary, by where it stands.
fn planted(port: u16) -> Vec<(&'static str, String)> {
    let of = |target: &str, scenarios: String| format!("[target]\n{target}\n{scenarios}");
    let step = |step: &str| format!("{SLEEP}{}", flood(step));
    let closed =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
    vec![
        (
            "launch",
            of(
                "launch = [\"sleep\", \"{{ env.CANARY }}\"]\nready = { stdout = 'up', within = \"200ms\" }",
                IDLE.into(),
            ),
        ),
        ("program", of("launch = [\"no-such-{{ env.CANARY }}\"]", IDLE.into())),
        ("encoded", of("launch = [\"no-such-{{ env.ENCODED }}-{{ env.CANARY }}\"]", IDLE.into())),
        (
            "build",
            of(
                "build = [\"sh\", \"-c\", \"echo $0 >&2; exit 3\", \"{{ env.CANARY }}\"]\nlaunch = [\"sleep\", \"60\"]",
                IDLE.into(),
            ),
        ),
        (
            "dies",
            of(
                "launch = [\"sh\", \"-c\", \"echo \\\"$T\\\" >&2; exit 7\"]\nenv = { T = \"{{ env.CANARY }}\" }\nready = { stdout = 'up', within = \"5s\" }",
                IDLE.into(),
            ),
        ),
        (
            "ready",
            of(
                &format!(
                    "launch = [\"sleep\", \"60\"]\nready = {{ http = \"http://127.0.0.1:{port}/{{{{ env.PLAIN }}}}?q={{{{ env.CANARY }}}}\", within = \"300ms\" }}"
                ),
                IDLE.into(),
            ),
        ),
        (
            "ready tcp",
            of(
                "launch = [\"sleep\", \"60\"]\nready = { tcp = \"unix:/nowhere/{{ env.CANARY }}\", within = \"300ms\" }",
                IDLE.into(),
            ),
        ),
        (
            "gauges",
            format!(
                "{SLEEP}[gauges]\nprometheus = \"http://127.0.0.1:{closed}/{{{{ env.PLAIN }}}}\"\nnames = [\"x\"]\n{IDLE}"
            ),
        ),
        (
            "bad gauges",
            format!(
                "{SLEEP}[gauges]\njson = \"http://127.0.0.1:{port}/{{{{ env.CANARY }}}}\"\nnames = [\"x\"]\n{IDLE}"
            ),
        ),
        (
            "echoed",
            step(&format!(
                "{{ http = {{ method = \"POST\", url = \"http://127.0.0.1:{port}/{{{{ env.PLAIN }}}}\", \
             headers = {{ authorization = \"Bearer {{{{ env.PLAIN }}}}\" }}, json = {{ t = \"{{{{ env.CANARY }}}}\" }} }} }}"
            )),
        ),
        (
            "refused",
            step(&format!(
                "{{ http = {{ url = \"http://user:{{{{ env.PLAIN }}}}@127.0.0.1:{closed}/{{{{ env.PLAIN }}}}\" }} }}"
            )),
        ),
        ("bad url", step(&format!("{{ http = {{ url = \"http://127.0.0.1:{port}/{{{{ env.CANARY }}}}\" }} }}"))),
        (
            "bad header",
            step(&format!(
                "{{ http = {{ url = \"http://127.0.0.1:{port}/\", headers = {{ x = \"\\n{{{{ env.CANARY }}}}\" }} }} }}"
            )),
        ),
        ("command", step("{ command = [\"sh\", \"-c\", \"echo $0; echo $0 >&2; exit 9\", \"{{ env.CANARY }}\"] }")),
        ("no command", step("{ command = [\"/nowhere/{{ env.CANARY }}\"] }")),
        ("template", step("{ command = [\"true\", \"{{ env.CANARY | int }}\"] }")),
        (
            "until",
            format!(
                "{SLEEP}{}",
                scenario(&format!(
                    "shape = \"churn\"\nworkers = 1\nopen = {{ tcp = {{ connect = \"127.0.0.1:{port}\" }} }}\n\
             use = [{{ send = \"{{{{ env.CANARY }}}}\", until = \"never {{{{ env.CANARY }}}}\", within = \"200ms\" }}]\nclose = \"close\""
                ))
            ),
        ),
        (
            "websocket",
            format!(
                "{SLEEP}{}",
                scenario(&format!(
                    "shape = \"churn\"\nworkers = 1\nopen = {{ websocket = {{ url = \"ws://127.0.0.1:{port}/{{{{ env.PLAIN }}}}\", headers = {{ x = \"{{{{ env.PLAIN }}}}\" }} }} }}\nclose = \"close\""
                ))
            ),
        ),
        (
            "before settle",
            format!(
                "{SLEEP}{}",
                scenario(
                    "shape = \"flood\"\nrate = \"50/s\"\nstep = { command = [\"true\"] }\n\
             before_settle = { command = [\"sh\", \"-c\", \"echo $0; exit 4\", \"{{ env.CANARY }}\"] }"
                )
            ),
        ),
    ]
}

/// The canaries as somebody might write them.
fn forms() -> Vec<String> {
    let percent = |keep: &str| -> String {
        let encoded = |byte: u8| match char::from(byte) {
            c if c.is_ascii_alphanumeric() || keep.contains(c) => c.to_string(),
            _ => format!("%{byte:02X}"),
        };
        CANARY.bytes().map(encoded).collect()
    };
    let json = serde_json::to_string(CANARY).expect("a text").trim_matches('"').to_owned();
    let base64 = ["czNjcjN0LysgJiLDvC1rNG40cmkz", "NlY3IzdC8rICYiw7wtazRuNHJp", "zM2NyM3QvKyAmIsO8LWs0bjRyaT"];
    let parts = [CANARY, PLAIN, "s3cr3t", "k4n4ri3", "0gel"];
    let mut forms: Vec<String> = parts.into_iter().chain(base64).map(str::to_owned).collect();
    forms.extend([percent("-"), percent("-/"), percent("-").to_lowercase(), percent("-").replace("%20", "+"), json]);
    forms
}

/// Everything that tidewatch wrote: what the target and the build printed themselves is not altered.
fn outputs(folder: &Path, told: &Told) -> Vec<(String, String)> {
    let mut found = vec![("stdout".to_owned(), told.stdout.clone()), ("stderr".to_owned(), told.stderr.clone())];
    let Ok(entries) = std::fs::read_dir(folder.join("run")) else { return found };
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".log") && path.is_file() {
            found.push((name, String::from_utf8_lossy(&std::fs::read(&path).expect("it can be read")).into_owned()));
        }
    }
    found
}

fn tidewatch_with_canary() -> Command {
    let mut command = tidewatch();
    command.env("CANARY", CANARY).env("PLAIN", PLAIN).env("ENCODED", "czNjcjN0LysgJiLDvC1rNG40cmkz");
    command
}

/// How many outputs named the variable in place of its value.
fn check_all(cases: &[(&'static str, String)]) -> usize {
    let forms = forms();
    let mut mentioned = 0;
    for (name, text) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tidewatch.toml");
        std::fs::write(&file, text).expect("the file is written");
        let plan = told(tidewatch_with_canary().arg("check").arg(&file).arg("--dry-run"));
        assert_eq!(plan.code, Some(0), "{name}: {plan}");
        let run = told(tidewatch_with_canary().arg("check").arg(&file).arg("--out").arg(folder.path().join("run")));
        let again = told(tidewatch().arg("report").arg("--json").arg(folder.path().join("run")));
        for told in [&plan, &run, &again] {
            for (output, text) in outputs(folder.path(), told) {
                mentioned += usize::from(text.contains("(env."));
                for form in &forms {
                    assert!(!text.contains(form.as_str()), "{name}: {output} holds {form}:\n{text}");
                }
            }
        }
    }
    mentioned
}

#[test]
fn no_output_holds_a_value_of_the_environment() {
    let _machine = part_of_machine();
    let cases = planted(echo());
    let mentioned: usize = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(4));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || check_all(part))).collect();
        running.into_iter().map(|part| part.join().expect("no value leaks")).sum()
    });
    // A test that never meets the value would show nothing.
    assert!(mentioned >= cases.len(), "the value came up in {mentioned} outputs of {} cases", cases.len());
}
