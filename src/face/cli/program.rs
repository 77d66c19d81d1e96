//! From the command line to a command, and from its outcome to an exit status.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Line, Verb};
use super::exit::Exit;
use super::output::note;
use super::{bench, create, demo, purge, receive, send, stat};

/// Runs the program: parses the command line, does the command, tells trouble on standard error.
///
/// Returns the exit status; see [`Exit`]. Command-line mistakes end the process with status 2.
pub fn main() -> ExitCode {
    let outcome = match Line::parse().verb {
        Verb::Create(args) => create::run(&args),
        Verb::Send(args) => send::run(&args),
        Verb::Receive(args) => receive::run(&args),
        Verb::Stat(args) => stat::run(&args),
        Verb::Purge(args) => purge::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::DemoProducer(args) => demo::producer(&args),
        Verb::DemoWorker(args) => demo::worker(&args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(trouble) => {
            note(&trouble.text);
            debug_assert_ne!(trouble.exit, Exit::Done);
            trouble.exit.into()
        }
    }
}
