//! Puts the allocation sampler into a process and takes it out again, many times: `attach_pauses PID COUNT`. Prints, for each time, how
//! long a thread was held on the way in and on the way out, in nanoseconds. `cargo xtask overhead` runs it.

#![expect(clippy::print_stdout, reason = "what it measures is read from its output")]

use std::error::Error;
use std::fs;
use std::time::Duration;

use tidewatch::probe::heap::{self, Seccomp};
use tidewatch::sample::Process;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<u32> = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let [pid, count] = words.as_slice() else { return Err("usage: attach_pauses PID COUNT".into()) };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let start = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)?.parse().ok());
    let process = Process { pid: *pid, start: start.ok_or("the process has no start time")? };
    for _ in 0..*count {
        let injected = heap::inject(process, 524_288, Seccomp::Refuse)?;
        std::thread::sleep(Duration::from_millis(20));
        let (begun, tried) = (injected.pause, injected.threads_tried);
        println!("{} {} {tried}", begun.as_nanos(), injected.detach()?.as_nanos());
    }
    Ok(())
}
