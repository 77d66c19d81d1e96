//! Standard output for messages, standard error for progress.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::stop::Stop;

/// A pipe that is ready takes this much without blocking, and whole.
const PAGE_BYTES: usize = 4096;
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// What became of the bytes in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// All are written.
    All,
    /// The reader went away.
    Closed,
    /// A signal came while the reader took nothing.
    Stopped,
    /// The reader took nothing for a while: whoever holds something may want to see to it.
    Blocked,
}

/// Gathers whole lines up to a page and writes them without ever blocking for good: a signal is
/// seen while the reader of a pipe takes nothing.
#[derive(Debug, Default)]
pub(super) struct Output {
    page: Vec<u8>,
    written: usize,
}

impl Output {
    /// Whether a line can join those in hand. A line longer than a page goes alone.
    pub(super) fn has_room(&self, line: &[u8]) -> bool {
        self.page.is_empty() || self.page.len() + line.len() <= PAGE_BYTES
    }

    /// Takes a line (with its newline) in hand.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.page.extend_from_slice(line);
    }

    /// Writes what is in hand to standard output, and returns from time to time if it cannot.
    pub(super) fn flush(&mut self, stop: &Stop, patience: Duration) -> io::Result<Flushed> {
        let stdout = io::stdout();
        let mut since = Instant::now();
        while self.written < self.page.len() {
            match wait_writable(&stdout)? {
                Writable::Closed => return Ok(Flushed::Closed),
                Writable::NotYet if stop.asked() => return Ok(Flushed::Stopped),
                Writable::NotYet if since.elapsed() >= patience => return Ok(Flushed::Blocked),
                Writable::NotYet => continue,
                Writable::Now => {}
            }
            let end = self.page.len().min(self.written + PAGE_BYTES);
            match rustix::io::write(stdout.as_fd(), &self.page[self.written..end]) {
                Ok(n) => {
                    self.written += n;
                    since = Instant::now();
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(Errno::PIPE) => return Ok(Flushed::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        self.page.clear();
        self.written = 0;
        Ok(Flushed::All)
    }

    /// Whether the reader of standard output went away (told by pipes and sockets only).
    pub(super) fn is_closed(&self) -> bool {
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut fds, Some(&now)), Ok(n) if n > 0)
            && fds[0]
                .revents()
                .intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)
    }
}

enum Writable {
    Now,
    NotYet,
    Closed,
}

fn wait_writable(stdout: &io::Stdout) -> io::Result<Writable> {
    let mut fds = [PollFd::new(stdout, PollFlags::OUT)];
    match poll(&mut fds, Some(&LOOK_EVERY)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Writable::NotYet),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    let events = fds[0].revents();
    if events.intersects(PollFlags::ERR | PollFlags::NVAL) {
        return Ok(Writable::Closed);
    }
    Ok(if events.contains(PollFlags::OUT) {
        Writable::Now
    } else {
        Writable::NotYet
    })
}

/// Writes a line to standard output; a reader that went away is no error.
pub(super) fn say(text: impl fmt::Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes bytes to standard output; `false`: the reader went away.
pub(super) fn say_bytes(bytes: &[u8]) -> io::Result<bool> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// Writes a line to standard error.
pub(super) fn note(text: impl fmt::Display) {
    // Where it cannot be written, nobody reads it.
    let _ = writeln!(io::stderr(), "ringmain: {text}");
}

/// A counter on standard error.
pub(super) fn progress(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
