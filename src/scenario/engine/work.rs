//! A scenario's work with its steps made ready.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::drivers::{Prepared, Trouble};
use crate::scenario::template::{Template, Values};
use crate::scenario::{Leave, Opening, Step, Work};

/// A step made ready.
#[derive(Debug)]
pub enum Task {
    /// An HTTP request.
    Http(Box<Prepared>),
    /// A message on the open session.
    Send {
        /// The text.
        text: Template,
        /// What the answer must hold.
        until: Option<Template>,
        /// How long to wait.
        within: Duration,
    },
    /// A program.
    Command {
        /// The program and its arguments.
        argv: Vec<Template>,
        /// Exit codes that are right.
        expect: Vec<i32>,
        /// How long it may take.
        within: Duration,
    },
}

/// How a session begins.
#[derive(Debug)]
pub enum Begin {
    /// By connecting.
    Connect(Opening),
    /// By a step whose answer names the session.
    Step(Task),
}

/// What one operation is.
#[derive(Debug)]
pub enum Operation {
    /// Steps, one after the other.
    Steps(Vec<Task>),
    /// A session of its own.
    Visit {
        /// How it begins.
        begin: Begin,
        /// What is done in it.
        during: Vec<Task>,
        /// How it is left.
        leave: Leave,
    },
    /// An edit in the one session of the scenario.
    Edit {
        /// How the session begins.
        begin: Begin,
        /// The edit.
        edit: Task,
        /// How the session is left at the end.
        close: Leave,
    },
    /// There are none.
    None,
}

impl Operation {
    /// Makes the work of a scenario ready.
    pub fn prepare(work: &Work, values: &Values<'_>) -> Result<Self, Trouble> {
        let later = captured_names(work);
        let task = |step: &Step| Task::prepare(step, values, &later);
        let tasks = |steps: &[Step]| steps.iter().map(task).collect::<Result<Vec<_>, _>>();
        let begin = |opening: &Opening| match opening {
            Opening::Step(step) => task(step).map(Begin::Step),
            connect => Ok(Begin::Connect(connect.clone())),
        };
        Ok(match work {
            Work::Flood { step, then } => {
                let mut steps = vec![task(step)?];
                steps.extend(tasks(then)?);
                Self::Steps(steps)
            }
            Work::Abandon { open, during: steps, leave } | Work::Churn { open, uses: steps, close: leave } => {
                Self::Visit { begin: begin(open)?, during: tasks(steps)?, leave: *leave }
            }
            Work::LongSession { open, edit, close } => {
                Self::Edit { begin: begin(open)?, edit: task(edit)?, close: *close }
            }
            Work::Idle => Self::None,
        })
    }
}

impl Task {
    /// Makes a step ready. `later` are the names that answers give.
    pub fn prepare(step: &Step, values: &Values<'_>, later: &BTreeSet<&str>) -> Result<Self, Trouble> {
        Ok(match step {
            Step::Http(http) => Self::Http(Box::new(Prepared::new(http, values, later)?)),
            Step::Send { text, until, within } => {
                Self::Send { text: text.clone(), until: until.clone(), within: *within }
            }
            Step::Command { argv, expect, within } => {
                Self::Command { argv: argv.clone(), expect: expect.clone(), within: *within }
            }
        })
    }
}

fn captured_names(work: &Work) -> BTreeSet<&str> {
    let (opening, steps): (Option<&Opening>, Vec<&Step>) = match work {
        Work::Flood { step, then } => (None, std::iter::once(step).chain(then).collect()),
        Work::Abandon { open, during, .. } => (Some(open), during.iter().collect()),
        Work::Churn { open, uses, .. } => (Some(open), uses.iter().collect()),
        Work::LongSession { open, edit, .. } => (Some(open), vec![edit]),
        Work::Idle => (None, Vec::new()),
    };
    let opening = match opening {
        Some(Opening::Step(step)) => Some(&**step),
        _ => None,
    };
    steps.into_iter().chain(opening).flat_map(captures).collect()
}

fn captures(step: &Step) -> impl Iterator<Item = &str> {
    let http = if let Step::Http(http) = step { Some(http) } else { None };
    http.into_iter().flat_map(|http| http.capture.keys().map(String::as_str))
}
