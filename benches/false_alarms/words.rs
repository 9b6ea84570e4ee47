//! The words that the program is called with.

use std::path::PathBuf;

use crate::curves::{Class, Truth, classes};

const CLEAN: u64 = 2000;
const LEAKING: u64 = 500;

/// What to do.
pub enum Task {
    /// Judge every class, or one.
    Judge(Option<&'static Class>),
    /// Print one curve.
    Show {
        /// Of which class.
        class: &'static Class,
        /// Of which seed.
        seed: u64,
    },
    /// Draw every family into a folder.
    Pictures(PathBuf),
}

/// What was asked.
pub struct Words {
    /// What to do.
    pub task: Task,
    /// The first seed.
    pub from: u64,
    clean: u64,
    leaking: u64,
}

impl Words {
    /// Reads the words: `--name=value` or `--name value`. Cargo adds `--bench`.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut class, mut seed, mut pictures) = (None, None, None);
        let mut read = Self { task: Task::Judge(None), from: 1, clean: CLEAN, leaking: LEAKING };
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None if word.starts_with("--") => {
                    let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
                    (word, value)
                }
                None => (String::new(), word),
            };
            let number = || value.parse::<u64>().map_err(|_| format!("`{value}` is not a whole number"));
            match name.as_str() {
                "" => read.clean = number()?,
                "--leaking" => read.leaking = number()?,
                "--from" => read.from = number()?,
                "--seed" => seed = Some(number()?),
                "--class" => class = Some(named(&value)?),
                "--pictures" => pictures = Some(PathBuf::from(&value)),
                _ => {
                    let options = "--leaking, --from, --class, --seed and --pictures";
                    return Err(format!("no option `{name}`: there are {options}"));
                }
            }
        }
        read.task = match (pictures, class, seed) {
            (Some(folder), None, None) => Task::Pictures(folder),
            (Some(_), ..) => return Err("--pictures goes with neither --class nor --seed".into()),
            (None, Some(class), Some(seed)) => Task::Show { class, seed },
            (None, None, Some(_)) => return Err("--seed needs --class".into()),
            (None, class, None) => Task::Judge(class),
        };
        Ok(read)
    }

    /// Whether a class is to be judged.
    pub fn wants(&self, class: &Class) -> bool {
        match self.task {
            Task::Judge(Some(one)) => one.name == class.name,
            Task::Judge(None) => true,
            Task::Show { .. } | Task::Pictures(_) => false,
        }
    }

    /// Whether one class was asked for alone.
    pub fn is_one_class(&self) -> bool {
        matches!(self.task, Task::Judge(Some(_)))
    }

    /// How many curves of each class.
    pub fn curves(&self, truth: Truth) -> u64 {
        match truth {
            Truth::Clean => self.clean,
            Truth::Leaking | Truth::LeakingLate | Truth::Ambiguous => self.leaking,
        }
    }
}

fn named(name: &str) -> Result<&'static Class, String> {
    classes().find(|class| class.name == name).ok_or_else(|| {
        let names: Vec<&str> = classes().map(|class| class.name).collect();
        format!("no class `{name}`: there are {}", names.join(", "))
    })
}
