//! The `ringmain` program: queues and streams in mapped files, from the command line and in pipes.
//!
//! Made for pipes: messages go to standard output and nothing else does, progress goes to standard
//! error when that is a terminal, a closed pipe is not an error, and the exit status says what
//! happened ([`Exit`]). `docs/cli.md` is the manual.
#![forbid(unsafe_code)]

mod any;
mod args;
mod bench;
mod create;
mod demo;
mod envelope;
mod exit;
mod follow;
mod lines;
mod manual;
mod monotonic;
mod named;
mod output;
mod pace;
mod peek;
mod program;
mod purge;
mod receive;
mod redrive;
mod render;
mod send;
mod set;
mod settle;
mod spot;
mod stat;
mod stop;
mod stream;
mod submit;
mod top;
mod values;

pub use exit::Exit;
pub use program::main;
