//! The program. The hidden guardian comes before everything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == tidewatch::target::guardian::SUBCOMMAND) {
        return tidewatch::target::guardian::main(arguments);
    }
    ExitCode::SUCCESS
}
