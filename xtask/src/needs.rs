//! Programs that the tests start: real servers and runtimes, from Debian's packages where that may be.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// A program that tests start, and the Debian package that holds it.
struct Need {
    programs: &'static [&'static str],
    package: &'static str,
}

const NEEDS: [Need; 7] = [
    Need { programs: &["redis-server"], package: "redis-server" },
    Need { programs: &["redis-benchmark"], package: "redis-tools" },
    Need { programs: &["/usr/lib/postgresql/*/bin/postgres", "postgres"], package: "postgresql" },
    Need { programs: &["python3"], package: "python3" },
    Need { programs: &["wrk"], package: "wrk" },
    Need { programs: &["gcc"], package: "gcc" },
    Need { programs: &["sqlite3"], package: "sqlite3" },
];

/// Installs what is missing where that may be (root on Debian), else names it and fails.
pub fn meet() -> Result<()> {
    let missing: Vec<&str> = NEEDS.iter().filter(|need| !need.is_met()).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", missing.join(" "));
    if !may_install() {
        bail!("the tests need programs that are not here; as root: {by_hand}");
    }
    println!("+ {by_hand}");
    // Package lists may be missing altogether on a new machine; an update that fails shows in the install.
    let _ = apt(&["update"]);
    if !apt(&[&["install", "--yes", "--no-install-recommends"], missing.as_slice()].concat()) {
        bail!("could not install what the tests need; try by hand: {by_hand}");
    }
    let still: Vec<&str> = NEEDS.iter().filter(|need| !need.is_met()).map(|need| need.package).collect();
    if !still.is_empty() {
        bail!("installed, but still not found: {}", still.join(" "));
    }
    Ok(())
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
