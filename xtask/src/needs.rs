//! Programs that the tests and the long matrices start: real servers and runtimes, from Debian's packages where that
//! may be.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// What is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The tests.
    Tests,
    /// The long matrices: they need what the tests need, and more.
    Soak,
}

/// A program that is started, the Debian package that holds it, and by whom it is started first.
struct Need {
    programs: &'static [&'static str],
    package: &'static str,
    set: Set,
}

const NEEDS: [Need; 14] = [
    Need { programs: &["redis-server"], package: "redis-server", set: Set::Tests },
    Need { programs: &["redis-benchmark"], package: "redis-tools", set: Set::Tests },
    Need { programs: &["/usr/lib/postgresql/*/bin/postgres", "postgres"], package: "postgresql", set: Set::Tests },
    Need { programs: &["python3"], package: "python3", set: Set::Tests },
    Need { programs: &["wrk"], package: "wrk", set: Set::Tests },
    Need { programs: &["nginx", "/usr/sbin/nginx"], package: "nginx", set: Set::Tests },
    Need { programs: &["gcc"], package: "gcc", set: Set::Tests },
    Need { programs: &["g++"], package: "g++", set: Set::Tests },
    Need { programs: &["dwz"], package: "dwz", set: Set::Tests },
    Need { programs: &["xz"], package: "xz-utils", set: Set::Tests },
    Need { programs: &["sqlite3"], package: "sqlite3", set: Set::Tests },
    Need { programs: &["memcached"], package: "memcached", set: Set::Soak },
    Need { programs: &["javac"], package: "default-jdk-headless", set: Set::Soak },
    Need { programs: &["node"], package: "nodejs", set: Set::Soak },
];

/// Installs what is missing where that may be (root on Debian), else names it and fails.
pub fn meet(set: Set) -> Result<()> {
    let missing = missing(set);
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", missing.join(" "));
    if !may_install() {
        bail!("programs are needed that are not here; as root: {by_hand}");
    }
    println!("+ {by_hand}");
    // Package lists may be missing altogether on a new machine; an update that fails shows in the install.
    let _ = apt(&["update"]);
    if !apt(&[&["install", "--yes", "--no-install-recommends"], missing.as_slice()].concat()) {
        bail!("could not install what is needed; try by hand: {by_hand}");
    }
    let still = self::missing(set);
    if !still.is_empty() {
        bail!("installed, but still not found: {}", still.join(" "));
    }
    Ok(())
}

/// The packages of programs that are not here.
fn missing(set: Set) -> Vec<&'static str> {
    let wanted = NEEDS.iter().filter(|need| set == Set::Soak || need.set == Set::Tests);
    wanted.filter(|need| !need.is_met()).map(|need| need.package).collect()
}

impl Need {
    fn is_met(&self) -> bool {
        self.programs.iter().any(|program| is_here(program))
    }
}

fn is_here(program: &str) -> bool {
    match program.split_once('*') {
        Some((before, after)) => std::fs::read_dir(before).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.path().join(after.trim_start_matches('/')).exists()))
        }),
        None => std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists())),
    }
}

fn may_install() -> bool {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    is_root && Path::new("/usr/bin/apt-get").exists()
}

fn apt(arguments: &[&str]) -> bool {
    Command::new("apt-get")
        .arg("--quiet=2")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .is_ok_and(|status| status.success())
}
