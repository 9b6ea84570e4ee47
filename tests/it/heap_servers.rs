//! Servers under the allocation sampler: they answer as they do without it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidewatch::probe::heap::{self, HeapTable};

use crate::support::{free_port, part_of_machine, signal_pid, wait_for, wait_for_port};

/// A server that ends in order, its own children with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        signal_pid(self.0.id(), rustix::process::Signal::QUIT);
        let _ = self.0.wait();
    }
}

fn samples(folder: &Path) -> u64 {
    let tables = HeapTable::all(folder).expect("the folder");
    tables.iter().map(|(_, path)| HeapTable::open(path).expect("a table").snapshot().expect("its data").samples).sum()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().filter(|line| !line.starts_with("Date: ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn nginx_serves_the_same_pages() {
    let _machine = part_of_machine();
    let folder = tempfile::tempdir().expect("a folder");
    let pages: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    fs::write(folder.path().join("page.txt"), pages).expect("written");
    let serve = |env: Vec<(std::ffi::OsString, std::ffi::OsString)>| {
        let port = free_port();
        let root = folder.path().display();
        let file = folder.path().join("nginx.conf");
        let text = format!(
            "worker_processes 2; daemon off; pid {root}/nginx.pid; error_log stderr crit; user root;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; gzip on; gzip_min_length 1; gzip_types text/plain; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
             server {{ listen 127.0.0.1:{port}; root {root}; etag off; }} }}\n"
        );
        fs::write(&file, text).expect("written");
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.expect("nginx"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).envs(env);
        let server = Server(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx starts"));
        wait_for_port(port);
        let answers: Vec<String> =
            (0..50).map(|n| get(port, if n % 5 == 0 { "/missing" } else { "/page.txt" })).collect();
        drop(server);
        answers
    };
    let plain = serve(Vec::new());
    assert!(plain[0].starts_with("HTTP/1.1 404") && plain[1].ends_with("line 4999"), "{}", plain[0]);
    let sampled = serve(heap::preload(folder.path(), 4096).expect("a sampler"));
    assert_eq!(plain, sampled);
    assert!(samples(folder.path()) > 0);
}

const SQL: &str = "create table t as select i, md5(i::text) as m from generate_series(1, 20000) i;
select count(*), min(m), max(m), sum(length(m)) from t where m like '%7%';
select substr(m, 1, 2) as k, count(*), string_agg(i::text, ',' order by i) from t where i < 2000 group by k order by 2 desc, 1 limit 5;
";

/// A database by itself: one process, and the programs by which it is made, which start many.
#[test]
fn postgresql_answers_the_same() {
    let _machine = part_of_machine();
    let folder = tempfile::Builder::new().prefix("pg").tempdir().expect("a folder");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    let bin = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL").flatten().map(|entry| entry.path().join("bin"));
    let bin: PathBuf = bin.into_iter().find(|bin| bin.join("postgres").exists()).expect("the postgres program");
    let answer = |cluster: &str, env: &[(std::ffi::OsString, std::ffi::OsString)]| {
        let data = folder.path().join(cluster);
        let as_user = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.current_dir("/").envs(env.iter().cloned());
            // It refuses to be root.
            if rustix::process::geteuid().is_root() {
                std::os::unix::process::CommandExt::uid(&mut command, 65534);
                std::os::unix::process::CommandExt::gid(&mut command, 65534);
            }
            command
        };
        let made = as_user("initdb").args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"]).arg(&data).output();
        let made = made.expect("initdb starts");
        assert!(made.status.success(), "{made:?}");
        let mut single = as_user("postgres")
            .args(["--single", "-j", "-c", "fsync=off", "-D"])
            .arg(&data)
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres starts");
        // Statements end with an empty line there.
        let mut stdin = single.stdin.take().expect("a pipe");
        stdin.write_all(SQL.replace(";\n", ";\n\n").as_bytes()).expect("sent");
        drop(stdin);
        let output = wait_for("PostgreSQL", Duration::from_secs(60), || {
            single.try_wait().expect("our child").map(|status| {
                let mut text = String::new();
                let mut stdout = single.stdout.take().expect("a pipe");
                stdout.read_to_string(&mut text).expect("text");
                (status, text)
            })
        });
        assert!(output.0.success(), "{output:?}");
        output.1
    };
    let plain = answer("plain", &[]);
    assert!(plain.contains("count = ") && plain.contains("k = "), "{plain}");
    let tables = folder.path().join("tables");
    fs::create_dir(&tables).expect("a folder");
    fs::set_permissions(&tables, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
    assert_eq!(plain, answer("sampled", &heap::preload(&tables, 4096).expect("a sampler")));
    assert!(samples(&tables) > 100);
}
