//! The program as its users meet it: each file tells one part of the story.
//!
//! - `guardian`: what is launched ends, whatever way its parent ends
//! - `demo`: the first command that a new user runs
//! - `heap_check`: a recording tells whose bytes grow
//! - `heap_killed`: whoever puts it into a program may end at any moment
//! - `heap_owners`: whose bytes grew, by its report
//! - `heap_preload`: the allocation sampler inside real programs
//! - `heap_servers`: servers under the sampler answer as they do without it
//! - `heap_symbols`: addresses become functions, with and without debug information
//! - `heap_inject`: the same, put into running programs and taken out again
//! - `heap_refusals`: processes that it is not put into
//! - `orchestrator`: every system of the fixture service, leaking and fixed
//! - `clean_servers`: real servers driven by scenarios, each found clean
//! - `servers`: attaching to redis, PostgreSQL and a Python server under load
//! - `left_behind`: commands that tidewatch runs beside the target end with it
//! - `signals`: a signal to tidewatch ends a run in order
//! - `states`: stopped, idle, in the background, or alive without its first thread
//! - `kill_nine`: tidewatch itself is killed at random moments
//! - `commands`: the smaller commands
//! - `judge`: curves that other programs recorded
//! - `nobody`: a user without rights meets what belongs to others
//! - `bad_input`: wrong words, wrong files, targets that misbehave
//! - `canary`: values of the environment leak into no output
//! - `hostile`: text, files and numbers that were made to do harm
//! - `watching`: attach and run, with what the target counts itself
//! - `presets`: quick, thorough and bounded runs
//! - `run_dir`: nothing that is not ours is written or removed, and no answer is lost
//! - `reports`: reports made again are the same, and valid
//! - `made_up_curves`: the judge on generated curves whose truth is known
//! - `tidy`: the import table and the docs hold what they promise

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "a long test says what it did")]

mod bad_input;
mod canary;
mod clean_servers;
mod commands;
#[path = "../curves/mod.rs"]
mod curves;
mod demo;
mod guardian;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_check;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_inject;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_killed;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_owners;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_preload;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_refusals;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_servers;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
mod heap_symbols;
mod hostile;
mod judge;
mod judge_files;
mod judge_over_time;
mod kill_nine;
mod left_behind;
mod made_up_curves;
mod nobody;
mod orchestrator;
mod own_connections;
mod presets;
mod reports;
mod run_dir;
mod servers;
mod signals;
mod states;
mod support;
mod tidy;
mod watching;
