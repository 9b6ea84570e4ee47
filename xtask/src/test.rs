//! Everything that has to be green.

use anyhow::Result;

use crate::cargo;
use crate::needs::{self, Set};
use crate::torture;

/// Installs what is needed, then runs format, lints, docs and tests. One profile builds them all.
pub fn run() -> Result<()> {
    needs::meet(Set::Tests)?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // Fixtures without tests of their own are built by nobody else.
    cargo(&["build", "--workspace", "--bins", "--examples"])?;
    cargo(&["test", "--workspace"])?;
    torture::run(&["--minutes", "2", "--seed", "1"])?;
    cargo(&["doc", "--workspace", "--no-deps", "--config", "build.rustdocflags=[\"-D\",\"warnings\"]"])
}
