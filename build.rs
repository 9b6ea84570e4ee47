//! Compiles the allocation sampler, `src/heap_hook`, which the program carries inside.
//!
//! The sampler is preloaded into other programs, so it is a library of its own without the standard library, and cannot be
//! an ordinary dependency. It needs nothing but this compiler. Where it does not work (another system, processor or C
//! library) the file is empty, and the program says so when it is asked for.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: &str = "src/heap_hook";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCES}");
    println!("cargo::rustc-check-cfg=cfg(tidewatch_hook)");
    let library = PathBuf::from(variable("OUT_DIR")?).join("libtidewatch_heap.so");
    if is_supported()? { compile(&library) } else { Ok(fs::write(&library, [])?) }
}

fn variable(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|error| format!("cargo did not set {name}: {error}").into())
}

fn is_supported() -> Result<bool, Box<dyn Error>> {
    let is_linux = variable("CARGO_CFG_TARGET_OS")? == "linux" && variable("CARGO_CFG_TARGET_ENV")? == "gnu";
    Ok(is_linux
        && variable("CARGO_CFG_TARGET_ARCH")? == "x86_64"
        && variable("CARGO_CFG_TARGET_POINTER_WIDTH")? == "64")
}

fn compile(library: &Path) -> Result<(), Box<dyn Error>> {
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .args(["--edition", "2024", "--crate-name", "tidewatch_heap", "--crate-type", "cdylib"])
        .args(["--target", &variable("TARGET")?, "--cfg", "tidewatch_hook", "--cap-lints", "warn"])
        .args(["-C", "opt-level=3", "-C", "panic=abort", "-C", "codegen-units=1", "-C", "strip=symbols"])
        // The C library alone; never unloaded, because the target's pointers lead into it; and its own functions are meant
        // where it names them, not those that it stands before.
        .args(["-C", "link-args=-nostartfiles -nodefaultlibs -lc -Wl,-z,nodelete -Wl,-z,now -Wl,-Bsymbolic-functions"])
        .arg("-o")
        .arg(library)
        .arg(Path::new(SOURCES).join("lib.rs"))
        // Flags for the program itself (sanitizers, coverage, a C runtime linked in) would break the sampler.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let output = rustc.output().map_err(|error| format!("could not start {rustc:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{rustc:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}
