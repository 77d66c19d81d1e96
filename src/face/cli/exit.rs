//! How the program ends: the exit statuses, and the trouble that leads to them.

use std::fmt;
use std::io;

use crate::Error;

/// The exit statuses of the program. They do not change between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done. A closed pipe and a stop by signal while following count as done.
    Done = 0,
    /// Something failed; standard error says what.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// `receive` found no message within its wait, `peek` none, `tail` no record.
    Empty = 3,
    /// `send --no-wait` found the queue full, `put` a shard, `receive --attempt-id` the table of
    /// attempts.
    Full = 4,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What stopped a command: an exit status and the line that goes to standard error.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) exit: Exit,
    pub(super) text: String,
}

impl Trouble {
    /// Trouble of the ordinary kind: exit status 1.
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Failed,
            text: text.to_string(),
        }
    }

    /// Trouble with a status of its own.
    pub(super) fn with_exit(exit: Exit, text: impl fmt::Display) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

impl From<rustix::io::Errno> for Trouble {
    fn from(error: rustix::io::Errno) -> Self {
        Self::new(io::Error::from(error))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error)
    }
}

/// Puts a subject (a path, a source) in front of an error.
pub(super) fn about<E: fmt::Display>(subject: impl fmt::Display) -> impl FnOnce(E) -> Trouble {
    move |error| Trouble::new(format_args!("{subject}: {error}"))
}
