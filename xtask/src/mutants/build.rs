//! The copy of a crate with its mutants in it, built with its unit tests.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::find::{self, Change, Found};
use super::splice::{Mutant, Numbering, splice};
use crate::root;

const SWITCH: &str = include_str!("runtime.txt");
const QUIET: &str = "#![allow(warnings, arithmetic_overflow, unconditional_panic, overflowing_literals)]\n";

/// A crate whose unit tests run against mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crate {
    Library,
    /// `src/heap_hook`, which is a crate of its own.
    Hook,
}

pub struct Source {
    /// From the root of the project.
    pub file: String,
    text: String,
    found: Found,
}

/// A built crate.
pub struct Built {
    pub program: PathBuf,
    pub tree: PathBuf,
    pub mutants: Vec<Mutant>,
    /// Mutants that the compiler refuses.
    pub refused: Vec<Mutant>,
}

impl Source {
    pub fn read(file: String) -> Result<Self> {
        let text = fs::read_to_string(root().join(&file)).with_context(|| format!("cannot read {file}"))?;
        let found = find::changes(&text).with_context(|| file.clone())?;
        Ok(Self { file, text, found })
    }
}

impl Crate {
    pub fn tree(self) -> PathBuf {
        root().join("target/mutants").join(if self == Self::Hook { "hook" } else { "library" })
    }

    /// Where a source file stands in the copy.
    fn place(self, file: &str) -> String {
        match self {
            Self::Library => file.to_owned(),
            Self::Hook => file.replacen("src/heap_hook", "src", 1),
        }
    }

    /// Copies everything that the build reads. What is the same is left as it is: cargo looks at times.
    fn copy(self, sources: &[Source]) -> Result<()> {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(root())
            .output()
            .context("cannot start git")?;
        let list = String::from_utf8_lossy(&listed.stdout).into_owned();
        let crate_root = if self == Self::Hook { "src/heap_hook/lib.rs" } else { "src/lib.rs" };
        let is_changed: HashSet<&str> = sources.iter().map(|source| source.file.as_str()).collect();
        for file in list.split('\0').filter(|file| !file.is_empty() && !is_changed.contains(file)) {
            let is_needed = self == Self::Library || file.starts_with("src/heap_hook/") || file == "Cargo.lock";
            // A listed file that was removed stays away.
            let (true, Ok(mut bytes)) = (is_needed, fs::read(root().join(file))) else { continue };
            if file == crate_root {
                bytes = [QUIET.as_bytes(), &bytes, SWITCH.as_bytes()].concat();
            }
            write(&self.tree().join(self.place(file)), &bytes)?;
        }
        if self == Self::Hook {
            write(&self.tree().join("Cargo.toml"), hook_manifest()?.as_bytes())?;
        }
        Ok(())
    }

    /// Puts all wanted mutants in, and takes those out that do not compile, until the rest does.
    pub fn build(self, sources: &[Source], is_wanted: &dyn Fn(&str, &Change) -> bool) -> Result<Built> {
        self.copy(sources)?;
        let (mut refused, mut constants) = (HashSet::new(), BTreeSet::new());
        loop {
            let mutants = self.put_in(sources, is_wanted, &refused, &constants)?;
            let errors = self.errors()?;
            if errors.is_empty() {
                let nothing = (HashSet::new(), BTreeSet::new());
                let all = self.numbered(sources, is_wanted, &nothing.0, &nothing.1).into_iter().flat_map(|one| one.1);
                let kept: HashSet<u32> = mutants.iter().map(|mutant| mutant.id).collect();
                let refused = all.filter(|mutant| !kept.contains(&mutant.id)).collect();
                return Ok(Built { program: self.compile()?, tree: self.tree(), mutants, refused });
            }
            let before = refused.len() + constants.len();
            for error in &errors {
                match constant_function(error) {
                    Some(name) => drop(constants.insert(name)),
                    None => refused.extend(self.blamed(error, &mutants)),
                }
            }
            println!("{} errors; {} mutants do not compile so far", errors.len(), refused.len());
            if refused.len() + constants.len() == before {
                bail!("no mutant is to blame for: {}", errors[0]["rendered"].as_str().unwrap_or_default());
            }
        }
    }

    fn numbered(
        self,
        sources: &[Source],
        is_wanted: &dyn Fn(&str, &Change) -> bool,
        refused: &HashSet<u32>,
        constants: &BTreeSet<String>,
    ) -> Vec<(String, Vec<Mutant>)> {
        let mut next = 1;
        let one = |source: &Source| {
            let is_wanted = |id: u32, change: &Change| !refused.contains(&id) && is_wanted(&source.file, change);
            let mut numbering = Numbering { file: &source.file, next, is_wanted: &is_wanted, constants };
            let spliced = splice(&source.text, &source.found, &mut numbering);
            next = numbering.next;
            spliced
        };
        sources.iter().map(one).collect()
    }

    fn put_in(
        self,
        sources: &[Source],
        is_wanted: &dyn Fn(&str, &Change) -> bool,
        refused: &HashSet<u32>,
        constants: &BTreeSet<String>,
    ) -> Result<Vec<Mutant>> {
        let mut all = Vec::new();
        for (source, (text, mutants)) in sources.iter().zip(self.numbered(sources, is_wanted, refused, constants)) {
            write(&self.tree().join(self.place(&source.file)), text.as_bytes())?;
            all.extend(mutants);
        }
        Ok(all)
    }

    /// What the compiler says against the copy.
    fn errors(self) -> Result<Vec<Value>> {
        let messages = self.cargo(&["check", "--lib", "--profile", "test"])?;
        let is_error = |message: &Value| {
            message["reason"] == "compiler-message"
                && message["message"]["level"] == "error"
                && message["message"]["spans"].as_array().is_some_and(|spans| !spans.is_empty())
        };
        Ok(messages.into_iter().filter(is_error).map(|mut message| message["message"].take()).collect())
    }

    fn compile(self) -> Result<PathBuf> {
        let messages = self.cargo(&["test", "--lib", "--no-run"])?;
        let program = messages.iter().filter_map(|message| message["executable"].as_str()).next_back();
        let program = program.context("cargo built no unit tests of the copy")?;
        // The next build of the project may take the place of this one.
        let copy = self.tree().join("unit-tests");
        fs::copy(program, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
        Ok(copy)
    }

    fn cargo(self, arguments: &[&str]) -> Result<Vec<Value>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .args(["--message-format", "json"])
            .arg("--target-dir")
            .arg(root().join("target/mutants/build"));
        crate::forget_the_chore(&mut command);
        let output = command
            .current_dir(self.tree())
            .stderr(Stdio::piped())
            .output()
            .with_context(|| format!("cannot start cargo {}", arguments.join(" ")))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let messages: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if messages.is_empty() {
            bail!("cargo {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(messages)
    }

    /// The mutants that an error is about: those whose own text it names, else those of the smallest switch around it.
    fn blamed(self, error: &Value, mutants: &[Mutant]) -> Vec<u32> {
        let mut spans: Vec<&Value> = error["spans"].as_array().into_iter().flatten().collect();
        spans.sort_by_key(|span| span["is_primary"] != true);
        for span in spans {
            let (Some(file), Some(at)) = (span["file_name"].as_str(), span["byte_start"].as_u64()) else { continue };
            let at = at as usize;
            let here = || mutants.iter().filter(|mutant| self.place(&mutant.file) == file);
            let own: Vec<u32> = here().filter(|mutant| mutant.change.contains(&at)).map(|mutant| mutant.id).collect();
            if !own.is_empty() {
                return own;
            }
            let around = here().filter(|mutant| mutant.switch.contains(&at)).min_by_key(|mutant| mutant.switch.len());
            if let Some(around) = around {
                return here().filter(|mutant| mutant.switch == around.switch).map(|mutant| mutant.id).collect();
            }
        }
        Vec::new()
    }
}

/// The function that an error wants to be `const`, by its name.
fn constant_function(error: &Value) -> Option<String> {
    let is_about_const = error["code"]["code"] == "E0015";
    let message = error["message"].as_str().filter(|_| is_about_const)?;
    let path = message.split('`').nth(1)?;
    Some(path.rsplit("::").find(|part| !part.starts_with('<') && !part.ends_with('>'))?.to_owned())
}

/// A package of the hook alone, with the profile and the crates that its tests use in the project.
fn hook_manifest() -> Result<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let proptest = text.lines().find(|line| line.starts_with("proptest = ")).unwrap_or_default();
    Ok(format!(
        "[package]\nname = \"hook_mutants\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[lib]\npath = \"src/lib.rs\"\n\n\
         [dev-dependencies]\n{proptest}\n\n[profile.dev]\nopt-level = 1\ndebug = \"line-tables-only\"\n\n\
         [profile.dev.package.\"*\"]\nopt-level = 1\ndebug = false\n"
    ))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let shown = || format!("cannot write {}", path.display());
    fs::create_dir_all(path.parent().with_context(shown)?).with_context(shown)?;
    fs::write(path, bytes).with_context(shown)
}
