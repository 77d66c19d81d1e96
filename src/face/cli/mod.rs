//! The `ringmain` program: `create`, `send`, `receive`, `stat`, `purge`, `bench` and `demo`.
//!
//! Made for pipes: messages go to standard output and nothing else does, progress goes to standard
//! error when that is a terminal, a closed pipe is not an error, and the exit status says what
//! happened ([`Exit`]). `docs/cli.md` is the manual.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod create;
mod demo;
mod exit;
mod lines;
mod monotonic;
mod output;
mod pace;
mod program;
mod purge;
mod receive;
mod send;
mod stat;
mod stop;
mod submit;

pub use exit::Exit;
pub use program::main;
