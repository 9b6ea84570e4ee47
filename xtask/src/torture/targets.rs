//! Real programs that are asked every millisecond whether they still answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::context::{Context, quiet};
use super::postgresql;
use super::processes::{Running, wait_for};
use crate::root;

const SOON: Duration = Duration::from_secs(60);

/// Asks once; what is answered is the same each time.
pub type Ask = Box<dyn FnMut() -> std::io::Result<Vec<u8>> + Send>;

/// A process to attach to.
pub struct Target {
    pub name: &'static str,
    pub pid: u32,
    /// It, or the server that it belongs to, and its load.
    running: Vec<Arc<Mutex<Running>>>,
    asked: Option<Arc<Asked>>,
}

/// What the thread that asks has seen.
#[derive(Default)]
struct Asked {
    is_over: AtomicBool,
    longest_us: AtomicU64,
    answers: AtomicU64,
    fault: Mutex<Option<String>>,
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            asked.is_over.store(true, Ordering::Relaxed);
        }
    }
}

impl Target {
    pub fn new(name: &'static str, pid: u32, running: Vec<Arc<Mutex<Running>>>, ask: Option<Ask>) -> Self {
        let asked = ask.map(|mut ask| {
            let asked = Arc::new(Asked::default());
            let seen = asked.clone();
            std::thread::spawn(move || seen.keep_asking(&mut ask));
            asked
        });
        Self { name, pid, running, asked }
    }

    /// The longest time between two answers since the last call.
    pub fn longest_gap(&self) -> Duration {
        let longest = self.asked.as_ref().map_or(0, |asked| asked.longest_us.swap(0, Ordering::Relaxed));
        Duration::from_micros(longest)
    }

    /// It lives, and its answers are those it gave first.
    pub fn answers_as_before(&self) -> Result<()> {
        for running in &self.running {
            let ended = running.lock().unwrap_or_else(PoisonError::into_inner).ended()?;
            ensure!(ended.is_none(), "the target or its load ended ({ended:?})");
        }
        let Some(asked) = &self.asked else { return Ok(()) };
        let before = asked.answers.load(Ordering::Relaxed);
        wait_for("another answer", Duration::from_secs(20), || {
            let is_faulty = asked.fault.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            (is_faulty || asked.answers.load(Ordering::Relaxed) > before).then_some(())
        })?;
        match asked.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(fault) => bail!("{fault}"),
            None => Ok(()),
        }
    }
}

impl Asked {
    fn keep_asking(&self, ask: &mut Ask) {
        let (mut first, mut last) = (None, Instant::now());
        while !self.is_over.load(Ordering::Relaxed) {
            let fault = match ask() {
                Err(error) => Some(format!("the target does not answer: {error}")),
                Ok(answer) if answer.is_empty() => Some("the target answers nothing".to_owned()),
                Ok(answer) if *first.get_or_insert_with(|| answer.clone()) != answer => {
                    Some("the target answers something else than before".to_owned())
                }
                Ok(_) => None,
            };
            if fault.is_some() {
                *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
            }
            let gap = u64::try_from(last.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.longest_us.fetch_max(gap, Ordering::Relaxed);
            last = Instant::now();
            self.answers.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A page over HTTP, without the header's date.
fn page(port: u16, path: &'static str) -> Ask {
    Box::new(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        Ok(answer.split_off(body))
    })
}

pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub fn wait_for_port(port: u16) -> Result<()> {
    wait_for(&format!("port {port} to accept"), SOON, || TcpStream::connect(("127.0.0.1", port)).ok()).map(drop)
}

pub fn shared(running: Running) -> Arc<Mutex<Running>> {
    Arc::new(Mutex::new(running))
}

/// All programs.
pub fn start(context: &Context) -> Result<Vec<Target>> {
    let running = Running::start(quiet(&context.path("running")).arg("churn"))?;
    let mut targets = vec![Target::new("churn", running.pid(), vec![shared(running)], None)];
    for (name, start) in [
        ("python3", python as fn(&Context) -> Result<Vec<Target>>),
        ("node", node),
        ("java", java),
        ("redis", redis),
        ("nginx", nginx),
        ("PostgreSQL", postgresql::start),
    ] {
        targets.extend(start(context).with_context(|| format!("cannot start {name}"))?);
    }
    Ok(targets)
}

/// A server that prints the port it listens on.
fn printing(
    context: &Context,
    name: &'static str,
    program: &str,
    words: &[&str],
    path: &'static str,
) -> Result<Vec<Target>> {
    let said = context.path(&format!("{name}.out"));
    let mut command = quiet(Path::new(program));
    let server = Running::start(command.args(words).stdout(Stdio::from(fs::File::create(&said)?)))?;
    let port = wait_for("the port", SOON, || {
        let text = fs::read_to_string(&said).ok()?;
        text.lines().find_map(|line| line.rsplit_once("listening on port ")?.1.trim().parse::<u16>().ok())
    })?;
    Ok(vec![Target::new(name, server.pid(), vec![shared(server)], Some(page(port, path)))])
}

const PYTHON: &str = "
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ''.join(str(n) * 20 for n in range(200)).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)
print('listening on port', server.server_port, flush=True)
server.serve_forever()
";

fn python(context: &Context) -> Result<Vec<Target>> {
    printing(context, "python3", "/usr/bin/python3", &["-c", PYTHON], "/")
}

fn node(context: &Context) -> Result<Vec<Target>> {
    let script = root().join("fixtures/servers/node/server.js");
    printing(context, "node", "node", &[&script.to_string_lossy()], "/page")
}

fn java(context: &Context) -> Result<Vec<Target>> {
    let classes = context.path("classes");
    let source = root().join("fixtures/servers/jvm/Server.java");
    let compiled =
        quiet(Path::new("javac")).arg("-d").arg(&classes).arg(source).status().context("cannot start javac")?;
    ensure!(compiled.success(), "javac failed ({compiled})");
    printing(context, "java", "java", &["-cp", &classes.to_string_lossy(), "Server", "--no-leak"], "/page")
}

/// A load that leaves the processor to those who are measured.
fn load(program: &str) -> Command {
    let mut command = quiet(Path::new("nice"));
    command.args(["-n", "19", program]);
    command
}

fn redis(context: &Context) -> Result<Vec<Target>> {
    let port = free_port()?;
    let text = port.to_string();
    let mut command = quiet(Path::new("redis-server"));
    command.args(["--port", &text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
    let server = Running::start(command.arg(context.path("")))?;
    wait_for_port(port)?;
    let mut load = load("redis-benchmark");
    load.args(["-p", &text, "-c", "10", "-n", "1000000000", "-t", "set,get", "-r", "10000"]);
    let load = Running::start(&mut load)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let ask: Ask = Box::new(move || {
        stream.write_all(b"PING\r\n")?;
        let mut answer = vec![0; 7];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    });
    Ok(vec![Target::new("redis", server.pid(), vec![shared(load), shared(server)], Some(ask))])
}

fn nginx(context: &Context) -> Result<Vec<Target>> {
    let port = free_port()?;
    let folder = context.path("nginx");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("page.txt"), "line\n".repeat(500))?;
    let file = folder.join("nginx.conf");
    let at = folder.display();
    let text = format!(
        "worker_processes 1; daemon off; pid {at}/nginx.pid; error_log stderr crit; user root;\n\
         events {{ worker_connections 64; }}\nhttp {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
         fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
         server {{ listen 127.0.0.1:{port}; root {at}; gzip on; }} }}\n"
    );
    fs::write(&file, text)?;
    let mut command = quiet(Path::new("/usr/sbin/nginx"));
    let master = Running::start(command.arg("-p").arg(&folder).arg("-c").arg(&file))?;
    wait_for_port(port)?;
    // The master listens before it has a worker.
    let worker = wait_for("a worker of nginx", SOON, || {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", master.pid())).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })?;
    let url = format!("http://127.0.0.1:{port}/page.txt");
    let load = Running::start(load("wrk").args(["-t1", "-c4", "-d100000s", &url]))?;
    let (pid, master, load) = (master.pid(), shared(master), shared(load));
    Ok(vec![
        Target::new("nginx master", pid, vec![master.clone()], Some(page(port, "/page.txt"))),
        Target::new("nginx worker", worker, vec![load, master], Some(page(port, "/page.txt"))),
    ])
}
