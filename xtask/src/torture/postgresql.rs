//! PostgreSQL, asked over its own protocol: the postmaster and the backend that answers.

use std::fs;
use std::io::{Error, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::context::{Context, quiet};
use super::processes::Running;
use super::targets::{Ask, Target, free_port, shared, wait_for_port};

const NOBODY: u32 = 65534;
/// Its answer takes the backend some hundred allocations, and is the same each time.
const QUERY: &str = "select string_agg(n::text, ',' order by n) from generate_series(1, 300) as n";
/// Version 3.0 of the protocol.
const PROTOCOL: u32 = 3 << 16;

/// Starts a cluster of its own on a free port.
pub fn start(context: &Context) -> Result<Vec<Target>> {
    let programs = programs()?;
    let folder = context.path("postgresql");
    fs::create_dir_all(&folder)?;
    // Another user reaches it.
    for path in [context.path(""), folder.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY))?;
    }
    let data = folder.join("data");
    let made = as_user(&programs.join("initdb"))
        .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
        .arg(&data)
        .status()
        .context("cannot start initdb")?;
    ensure!(made.success(), "initdb failed ({made})");
    let port = free_port()?;
    let mut server = as_user(&programs.join("postgres"));
    server.args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    let server = Running::start(server.args(["-p", &port.to_string(), "-D"]).arg(&data))?;
    wait_for_port(port)?;
    let (mut asks, backend) = connect(port)?;
    let (mut again, _) = connect(port)?;
    let (pid, server) = (server.pid(), shared(server));
    let ask_backend: Ask = Box::new(move || query(&mut asks));
    let ask_other: Ask = Box::new(move || query(&mut again));
    Ok(vec![
        Target::new("postmaster", pid, vec![server.clone()], Some(ask_other)),
        Target::new("PostgreSQL backend", backend, vec![server], Some(ask_backend)),
    ])
}

fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut found = versions.flatten().map(|entry| entry.path().join("bin"));
    found.find(|bin| bin.join("postgres").exists()).context("there is no postgres program")
}

/// It refuses to be root.
fn as_user(program: &Path) -> Command {
    let mut command = quiet(program);
    command.current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A connection, and the pid of the backend that serves it.
fn connect(port: u16) -> Result<(TcpStream, u32)> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match try_connect(port) {
            // It refuses while it starts.
            Err(error) if std::time::Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            Ok(connected) => return Ok(connected),
        }
    }
}

fn try_connect(port: u16) -> Result<(TcpStream, u32)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    let words = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + words.len())?;
    stream.write_all(&[&length.to_be_bytes()[..], &PROTOCOL.to_be_bytes(), words].concat())?;
    let mut pid = None;
    loop {
        let (kind, body) = message(&mut stream)?;
        match (kind, body.first_chunk::<4>()) {
            // BackendKeyData.
            (b'K', Some(number)) => pid = Some(u32::from_be_bytes(*number)),
            (b'E', _) => anyhow::bail!("the server refuses: {}", String::from_utf8_lossy(&body)),
            (b'Z', _) => return Ok((stream, pid.context("the server gives no pid")?)),
            _ => {}
        }
    }
}

/// One message: its kind and its body.
fn message(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = (u32::from_be_bytes(length) as usize).checked_sub(4).ok_or_else(|| Error::other("a short message"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

/// The bytes of the answer, up to the next ReadyForQuery.
fn query(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = u32::try_from(4 + QUERY.len() + 1).map_err(Error::other)?;
    stream.write_all(&[b"Q", &length.to_be_bytes()[..], QUERY.as_bytes(), b"\0"].concat())?;
    let mut answer = Vec::new();
    loop {
        let (kind, body) = message(stream)?;
        match kind {
            b'Z' => return Ok(answer),
            b'E' => return Err(Error::other(String::from_utf8_lossy(&body).into_owned())),
            _ => answer.extend(body),
        }
    }
}
