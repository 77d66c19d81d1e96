//! `ringmain send`: arguments, or the lines of standard input, become messages.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use indicatif::ProgressBar;

use super::args::SendArgs;
use super::create;
use super::envelope::Envelope;
use super::exit::{Exit, Trouble, about};
use super::lines::{Found, Lines};
use super::output::{self, note};
use super::pace::Pace;
use super::submit::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Submit};

/// Sends, and tells on standard error what could not be sent.
pub(super) fn run(args: &SendArgs) -> Result<Exit, Trouble> {
    let envelope = Envelope::of(args)?;
    let queue = if args.create {
        create::open_or_create(args, &envelope)?
    } else {
        create::open(&args.path)?
    };
    envelope.check(queue.fifo().is_some())?;
    let body_bytes_max = envelope.body_bytes_max(queue.max_body())?;
    let mut run = Run {
        submit: Submit::new(&queue, envelope, !args.no_wait),
        pace: Pace::new(args.rate),
        refused: 0,
        empty: 0,
        progress: ProgressBar::hidden(),
    };
    if args.bodies.is_empty() {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if io::stderr().is_terminal() && !io::stdin().is_terminal() {
            run.progress = output::progress("sent");
        }
        run.lines(input, body_bytes_max)?;
    } else {
        run.arguments(args)?;
    }
    run.progress.finish_and_clear();
    if run.empty > 1 {
        note(format_args!("{} empty lines skipped", run.empty));
    }
    Ok(if run.refused == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

struct Run<'q> {
    submit: Submit<'q>,
    pace: Pace,
    refused: u64,
    empty: u64,
    progress: ProgressBar,
}

impl Run<'_> {
    fn arguments(&mut self, args: &SendArgs) -> Result<(), Trouble> {
        let mut at = 0;
        while at < args.bodies.len() {
            let mut bodies: heapless::Vec<&[u8], BATCH_ENTRIES_MAX> = heapless::Vec::new();
            let mut bytes = 0;
            for body in args.bodies[at..].iter().take(BATCH_ENTRIES_MAX) {
                bytes += body.len() + self.submit.envelope.size;
                if bytes > BATCH_BYTES_MAX && !bodies.is_empty() {
                    break;
                }
                bodies.extend([body.as_bytes()]);
            }
            let granted = self.pace.permit(bodies.len());
            let refused = &mut self.refused;
            self.submit.batch(&bodies[..granted], |index, error| {
                *refused += 1;
                note(format_args!("argument {}: {error}", at + index + 1));
            })?;
            at += granted;
        }
        Ok(())
    }

    /// A line goes out at once when no further whole line has been read, else by tens.
    fn lines(&mut self, input: File, body_bytes_max: usize) -> Result<(), Trouble> {
        let around = self.submit.envelope.size;
        let mut lines = Lines::new(input, body_bytes_max);
        let mut ready: Vec<Range<usize>> = Vec::with_capacity(BATCH_ENTRIES_MAX);
        let mut bytes = 0;
        loop {
            let found = lines.next();
            if let Found::Line(line) = &found
                && !line.is_empty()
                && ready.len() < BATCH_ENTRIES_MAX
                && bytes + line.len() + around <= BATCH_BYTES_MAX
            {
                bytes += line.len() + around;
                ready.push(line.clone());
                continue;
            }
            if !matches!(&found, Found::Line(line) if line.is_empty()) {
                self.submit_lines(&lines, &ready)?;
                (bytes, _) = (0, ready.clear());
            }
            match found {
                Found::Line(line) if line.is_empty() => self.note_empty(lines.number()),
                Found::Line(line) => {
                    bytes = line.len() + around;
                    ready.push(line);
                }
                Found::TooLong => {
                    self.refused += 1;
                    let number = lines.number();
                    let beside = if around > 0 {
                        " beside the attributes"
                    } else {
                        ""
                    };
                    note(format_args!(
                        "line {number}: over the limit of {body_bytes_max} bytes{beside}"
                    ));
                }
                Found::NeedsInput => lines.fill().map_err(about("standard input"))?,
                Found::End => return Ok(()),
            }
        }
    }

    fn submit_lines(&mut self, lines: &Lines<File>, ready: &[Range<usize>]) -> Result<(), Trouble> {
        let bodies: heapless::Vec<&[u8], BATCH_ENTRIES_MAX> =
            ready.iter().map(|line| lines.bytes(line.clone())).collect();
        let mut at = 0;
        while at < bodies.len() {
            let granted = self.pace.permit(bodies.len() - at);
            let refused = &mut self.refused;
            self.submit.batch(&bodies[at..at + granted], |_, error| {
                *refused += 1;
                note(format_args!("a line up to {}: {error}", lines.number()));
            })?;
            at += granted;
        }
        self.progress.set_position(self.submit.sent);
        Ok(())
    }

    fn note_empty(&mut self, number: u64) {
        self.empty += 1;
        if self.empty == 1 {
            note(format_args!(
                "line {number} is empty and was skipped: a body has a byte or more"
            ));
        }
    }
}
