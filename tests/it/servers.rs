//! Attaching to real servers under load: the counts are those of /proc, and no harm is done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Running, free_port, records, tidewatch, told, wait_for, wait_for_port, whole_machine};

/// Watches a pid for a while and hands out the records.
fn attach(pid: u32, out: &Path, length: &str) -> Vec<Value> {
    let told = told(
        tidewatch().args(["attach", &pid.to_string(), "--for", length, "--inconclusive", "pass", "--out"]).arg(out),
    );
    assert!(matches!(told.code, Some(0 | 1)), "{told}");
    assert!(told.stdout.contains("watch"), "{told}");
    records(out)
}

/// The last record of a kind that holds a member.
fn last<'a>(records: &'a [Value], kind: &str, member: &str) -> &'a Value {
    records
        .iter()
        .rev()
        .find(|one| one["kind"] == kind && !one[member].is_null())
        .unwrap_or_else(|| panic!("no {kind} with {member}"))
}

/// Descriptors by what they point at, straight from /proc.
fn descriptors(pid: u32) -> BTreeMap<&'static str, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").flatten() {
        let Ok(link) = fs::read_link(entry.path()) else { continue };
        let link = link.to_string_lossy().into_owned();
        let kind = match link.as_str() {
            l if l.starts_with("socket:") => "socket",
            l if l.starts_with("pipe:") => "pipe",
            "anon_inode:[eventpoll]" => "epoll",
            l if l.starts_with("anon_inode:") => "anonymous",
            _ => "file",
        };
        *found.entry(kind).or_default() += 1;
    }
    found
}

/// The same grouping of what tidewatch recorded.
fn recorded(detail: &Value) -> BTreeMap<&'static str, u64> {
    let mut found = BTreeMap::new();
    for (kind, count) in detail["descriptors"]["by_kind"].as_object().expect("descriptors by kind") {
        let kind = match kind.as_str() {
            "tcp" | "udp" | "unix" | "socket" => "socket",
            "pipe" => "pipe",
            "epoll" => "epoll",
            "file" | "memfd" => "file",
            _ => "anonymous",
        };
        let count = count.as_u64().expect("a count");
        if count > 0 {
            *found.entry(kind).or_default() += count;
        }
    }
    found
}

fn threads(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/task")).expect("tasks").count() as u64
}

#[test]
fn redis_under_its_benchmark() {
    let _machine = whole_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port().to_string();
    let mut server = Running::quiet(
        Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path()),
    );
    wait_for_port(port.parse().expect("a port"));
    let mut load = Running::quiet(Command::new("redis-benchmark").args([
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-c",
        "20",
        "-n",
        "100000000",
        "-t",
        "set,get",
        "-r",
        "10000",
    ]));
    let clients = || info(&port, "connected_clients").is_some_and(|count| count >= 20.0);
    wait_for("the load to be connected", Duration::from_secs(20), || clients().then_some(()));
    let before = commands(&port);
    let records = attach(server.pid(), &folder.path().join("run"), "4s");
    let (detail, sample) = (last(&records, "detail", "descriptors"), last(&records, "sample", "fds"));
    assert_eq!(recorded(detail), descriptors(server.pid()));
    assert_eq!(sample["fds"].as_u64(), Some(descriptors(server.pid()).values().sum()));
    assert_eq!(sample["threads"].as_u64(), Some(threads(server.pid())));
    let private = last(&records, "sample", "memory")["memory"]["private"].as_f64().expect("private memory");
    let now = private_bytes(server.pid());
    assert!((private - now).abs() < 0.2 * now, "recorded {private}, /proc says {now}");
    assert!(load.runs() && server.runs(), "no harm is done");
    assert!(commands(&port) > before, "it went on answering");
}

fn commands(port: &str) -> f64 {
    info(port, "total_commands_processed").expect("redis answers")
}

/// One number of redis' own account.
pub fn info(port: &str, name: &str) -> Option<f64> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port.parse().ok()?)).ok()?;
    stream.write_all(b"INFO\r\nQUIT\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// Anonymous memory and swap of one process, straight from smaps_rollup.
fn private_bytes(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let field = |name: &str| -> f64 {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse::<f64>().ok()
            })
            .unwrap_or(0.0)
    };
    (field("Anonymous") + field("Swap") - field("LazyFree")) * 1024.0
}

#[test]
fn a_python_server_under_load() {
    let _machine = whole_machine();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("page.html"), "x".repeat(2000)).expect("a page");
    let port = free_port().to_string();
    let mut server = Running::quiet(
        Command::new("python3")
            .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(folder.path())
            .arg(&port),
    );
    wait_for_port(port.parse().expect("a port"));
    let mut load = Running::quiet(Command::new("wrk").args([
        "-t1",
        "-c4",
        "-d60s",
        &format!("http://127.0.0.1:{port}/page.html"),
    ]));
    let records = attach(server.pid(), &folder.path().join("run"), "4s");
    // What stays open while requests come and go: the same on both sides.
    let still = |counts: BTreeMap<&'static str, u64>| (counts.get("pipe").copied(), counts.get("epoll").copied());
    assert_eq!(still(recorded(last(&records, "detail", "descriptors"))), still(descriptors(server.pid())));
    let listening = last(&records, "detail", "descriptors")["descriptors"]["by_target"].to_string();
    assert!(listening.contains(&format!("LISTEN 127.0.0.1:{port}")), "{listening}");
    let private = last(&records, "sample", "memory")["memory"]["private"].as_f64().expect("private memory");
    let now = private_bytes(server.pid());
    assert!((private - now).abs() < 0.2 * now, "recorded {private}, /proc says {now}");
    assert!(load.runs() && server.runs(), "no harm is done");
}

/// A PostgreSQL cluster of the test's own.
struct Postgres {
    server: Child,
    bin: PathBuf,
    port: u16,
    _data: tempfile::TempDir,
}

impl Postgres {
    fn start() -> Self {
        let bin = fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL's programs")
            .flatten()
            .map(|entry| entry.path().join("bin"))
            .find(|bin| bin.join("postgres").exists())
            .expect("the postgres program");
        let data = tempfile::Builder::new().prefix("pg").tempdir().expect("a folder");
        let cluster = data.path().join("cluster");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(data.path(), open).expect("a folder that the server's user may enter");
        let made = Self::as_user(&bin.join("initdb"))
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&cluster)
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb");
        let port = free_port();
        let server = Self::as_user(&bin.join("postgres"))
            .arg("-D")
            .arg(&cluster)
            .args([
                "-p",
                &port.to_string(),
                "-h",
                "127.0.0.1",
                "-c",
                "fsync=off",
                "-c",
                "autovacuum=off",
                "-c",
                "unix_socket_directories=",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres starts");
        let started = Self { server, bin, port, _data: data };
        wait_for("PostgreSQL to answer", Duration::from_secs(60), || started.query("select 1").then_some(()));
        started
    }

    /// A program of the server: never as root, which it refuses.
    fn as_user(program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir("/");
        if rustix::process::geteuid().is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, 65534);
            std::os::unix::process::CommandExt::gid(&mut command, 65534);
        }
        command
    }

    fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-qAtc", sql])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn query(&self, sql: &str) -> bool {
        self.psql(sql).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT is PostgreSQL's immediate shutdown: its backends end with it.
        crate::support::signal_pid(self.server.id(), rustix::process::Signal::QUIT);
        let _ = self.server.wait();
    }
}

#[test]
fn postgresql_with_its_backends() {
    let _machine = whole_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let mut postgres = Postgres::start();
    let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
    let children = |pid: u32| of(pid).split_whitespace().count() as u64;
    let sleeping = |pid: u32| {
        let title = |child: &str| fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        of(pid).split_whitespace().filter(|child| title(child).contains("SELECT")).count()
    };
    let backends: Vec<Running> = (0..5).map(|_| Running::quiet(&mut postgres.psql("select pg_sleep(120)"))).collect();
    wait_for("five backends", Duration::from_secs(20), || (sleeping(postgres.server.id()) == 5).then_some(()));
    let records = attach(postgres.server.id(), &folder.path().join("run"), "3s");
    let tree = last(&records, "sample", "tree");
    assert_eq!(tree["tree"]["children"].as_u64(), Some(children(postgres.server.id())), "{tree}");
    assert_eq!(tree["processes"].as_u64(), Some(children(postgres.server.id()) + 1));
    let commands = last(&records, "detail", "children")["children"].to_string();
    assert!(commands.contains("postgres"), "{commands}");
    let detail = last(&records, "detail", "per_process");
    assert!(detail["per_process"].as_array().is_some_and(|list| list.len() > 5), "{detail}");
    drop(backends);
    assert!(postgres.query("select 1"), "no harm is done");
    assert!(postgres.server.try_wait().expect("our own child").is_none());
}
