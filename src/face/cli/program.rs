//! From the command line to a command, and from its outcome to an exit status.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Line, Verb};
use super::exit::Exit;
use super::output::note;
use super::{
    bench, create, demo, follow, manual, named, peek, purge, receive, redrive, send, set, settle,
    stat, stream, top,
};

/// Runs the program: parses the command line, does the command, tells trouble on standard error.
///
/// Returns the exit status; see [`Exit`]. Command-line mistakes end the process with status 2.
pub fn main() -> ExitCode {
    let outcome = match Line::parse().verb {
        Verb::Create(args) => create::run(&args),
        Verb::Send(args) => send::run(&args),
        Verb::Receive(args) => receive::run(&args),
        Verb::Put(args) => stream::put(&args),
        Verb::Follow(args) => follow::run(&args),
        Verb::Tail(args) => stream::tail(&args),
        Verb::Shards(args) => stream::shards(&args),
        Verb::Split(args) => stream::split(&args),
        Verb::Merge(args) => stream::merge(&args),
        Verb::Consumers(args) => stream::consumers(&args),
        Verb::RegisterConsumer(args) => stream::register(&args),
        Verb::DeregisterConsumer(args) => stream::deregister(&args),
        Verb::Delete(args) => settle::delete(&args),
        Verb::Release(args) => settle::release(&args),
        Verb::Extend(args) => settle::extend(&args),
        Verb::Stat(args) => stat::run(&args),
        Verb::Set(args) => set::run(&args),
        Verb::Purge(args) => purge::run(&args),
        Verb::Peek(args) => peek::run(&args),
        Verb::Redrive(args) => redrive::run(&args),
        Verb::Init(args) => named::init(&args),
        Verb::List(args) => named::list(&args),
        Verb::Describe(args) => named::describe(&args),
        Verb::DeleteQueue(args) => named::delete_queue(&args),
        Verb::DeleteStream(args) => named::delete_stream(&args),
        Verb::Tag(args) => named::tag(&args),
        Verb::Untag(args) => named::untag(&args),
        Verb::Verify(args) => named::verify(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Completions(args) => manual::completions(&args),
        Verb::Man(args) => manual::man(&args),
        Verb::DemoProducer(args) => demo::producer(&args),
        Verb::DemoWorker(args) => demo::worker(&args),
        Verb::DemoReader(args) => demo::reader(&args),
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
