//! Programs that print where their calls are, and what is known of these places.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tidewatch::probe::heap::OpenModule;
use tidewatch::probe::heap::symbols::{self, Symbolizer};
use tidewatch::sample::Frame;

use crate::support::root;

/// A fixture, compiled into a folder of its own.
pub struct Places {
    pub folder: TempDir,
    pub program: PathBuf,
    source: String,
}

impl Places {
    /// Compiles a fixture of this name with the compiler of its ending.
    pub fn new(source: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("places");
        let path = root().join("fixtures/heap").join(source);
        let compiler = match path.extension().and_then(|ending| ending.to_str()).unwrap() {
            "c" => "cc",
            "cpp" => "c++",
            _ => "rustc",
        };
        let mut command = Command::new(compiler);
        done(command.current_dir(&folder).args(flags).arg("-o").arg(&program).arg(&path));
        Self { folder, program, source: fs::read_to_string(path).unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a tool of the binutils in the folder.
    pub fn tool(&self, words: &str) {
        let mut words = words.split_whitespace();
        done(Command::new(words.next().unwrap()).args(words).current_dir(&self.folder));
    }

    /// The line that a comment names.
    pub fn line(&self, name: &str) -> u32 {
        let mark = format!("line: {name}");
        let is_it =
            |line: &str| line.split("line: ").nth(1).is_some_and(|rest| rest.split([' ', '\n']).next() == Some(name));
        let at = self.source.lines().position(is_it);
        at.unwrap_or_else(|| panic!("no line says {mark}")) as u32 + 1
    }

    /// The offsets of the program's calls in its file, innermost first.
    pub fn offsets(&self) -> Vec<u64> {
        let output = Command::new(&self.program).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let program = self.program.canonicalize().unwrap();
        let program = program.to_str().unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let mut maps = Vec::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("map ")).filter(|line| line.ends_with(program)) {
            let mut fields = line.split_whitespace();
            let (begin, end) = fields.next().unwrap().split_once('-').unwrap();
            maps.push((number(begin)..number(end), number(fields.nth(1).unwrap())));
        }
        let calls = text.lines().filter_map(|line| line.strip_prefix("call ")).map(number);
        let offset = |call| maps.iter().find(|map| map.0.contains(&call)).map(|map| call - map.0.start + map.1);
        calls.filter_map(offset).collect()
    }

    /// The program as a module. Its root is our own.
    pub fn module(&self) -> OpenModule {
        module(&self.program)
    }

    /// What is known of each call.
    pub fn resolved_with(&self, symbolizer: &mut Symbolizer) -> Vec<Vec<Frame>> {
        symbolizer.resolve(&self.module(), &self.offsets())
    }

    /// The functions with the lines that the source says, as [`told`] has them.
    pub fn expected(&self, names: &[(&str, &str)]) -> Vec<(String, Option<u32>)> {
        names.iter().map(|(function, line)| ((*function).to_owned(), Some(self.line(line)))).collect()
    }
}

/// A file as a module that the target sees at the same path as we do.
pub fn module(path: &Path) -> OpenModule {
    let file = File::open(path).unwrap();
    let build_id = symbols::build_id(&file);
    OpenModule { path: path.to_owned(), root: PathBuf::from("/"), file, build_id }
}

/// The functions with the line of each, in line or not, innermost first.
pub fn told(frames: &[Vec<Frame>]) -> Vec<(String, Option<u32>)> {
    frames.iter().flatten().map(|frame| (frame.function.clone(), frame.line)).collect()
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
