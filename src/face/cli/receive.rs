//! `ringmain receive`: messages become lines on standard output.
//!
//! A message is deleted only once its line is written. Until then its receipt is in `held`: when
//! the reader goes away or a signal comes, what is held goes back to the queue and is visible at
//! once. A line that was cut short counts as not written.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use indicatif::ProgressBar;
use serde::Serialize;

use super::args::ReceiveArgs;
use super::create;
use super::exit::{Exit, Trouble, about};
use super::output::{self, Flushed, Output};
use super::stop::Stop;
use super::submit::BATCH_ENTRIES_MAX;
use crate::{Clock, Mapped, Queue, Receipt, Received, Region};

/// How long a wait goes on before signals and the pipe are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Receives until there is no message left, the limit is reached, or somebody ends it.
pub(super) fn run(args: &ReceiveArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let queue = create::open(&args.path)?;
    let quiet = !io::stderr().is_terminal() || io::stdout().is_terminal();
    let mut run = Run {
        queue: &queue,
        stop,
        output: Output::default(),
        held: Vec::new(),
        line: Vec::new(),
        delete: args.delete,
        json: args.json,
        taken: 0,
        stale: 0,
        ended: false,
        progress: if quiet {
            ProgressBar::hidden()
        } else {
            output::progress("received")
        },
    };
    let limit = args.max.unwrap_or(if args.follow { u64::MAX } else { 1 });
    let outcome = run.all(limit, args);
    run.release_held();
    run.progress.finish_and_clear();
    if run.stale > 0 {
        eprintln!(
            "ringmain: {} messages had become visible again when written",
            run.stale
        );
    }
    outcome?;
    let empty = run.taken == 0 && !args.follow && !run.ended;
    Ok(if empty { Exit::Empty } else { Exit::Done })
}

struct Run<'q> {
    queue: &'q Queue<Mapped>,
    stop: Stop,
    output: Output,
    /// Receipts of the messages whose lines are in `output`.
    held: Vec<Receipt>,
    line: Vec<u8>,
    delete: bool,
    json: bool,
    taken: u64,
    stale: u64,
    /// The reader went away, or a signal came.
    ended: bool,
    progress: ProgressBar,
}

impl Run<'_> {
    fn all(&mut self, limit: u64, args: &ReceiveArgs) -> Result<(), Trouble> {
        let deadline = Instant::now() + args.wait.min(Duration::from_secs(365 * 86_400));
        while self.taken < limit && !self.ended && !self.stop.asked() {
            let want = (limit - self.taken).min(BATCH_ENTRIES_MAX as u64) as usize;
            let mut batch = self.queue.receive_batch(want)?;
            if batch.is_empty() {
                self.settle()?;
                let left = deadline.saturating_duration_since(Instant::now());
                let over = !args.follow && (self.taken > 0 || left.is_zero());
                if over || self.ended || self.output.is_closed() {
                    self.ended |= !over;
                    break;
                }
                let patience = if args.follow {
                    LOOK_EVERY
                } else {
                    left.min(LOOK_EVERY)
                };
                batch = self.queue.receive_batch_timeout(want, patience)?;
            }
            for message in batch {
                self.take(message)?;
            }
        }
        self.ended |= self.stop.asked();
        self.settle()
    }

    fn take<R: Region, C: Clock>(&mut self, message: Received<'_, R, C>) -> Result<(), Trouble> {
        if self.ended {
            return Ok(message.release()?);
        }
        self.taken += 1;
        self.line.clear();
        if self.json {
            render_json(&message, &mut self.line)?;
        } else {
            self.line.extend_from_slice(message.body());
        }
        self.line.push(b'\n');
        let receipt = message.detach();
        if !self.output.has_room(&self.line) {
            let flushed = self.settle();
            if self.ended || flushed.is_err() {
                self.held.push(receipt);
                return flushed;
            }
        }
        self.output.push(&self.line);
        self.held.push(receipt);
        Ok(())
    }

    /// Writes what is in hand; then, and only then, deletes it.
    fn settle(&mut self) -> Result<(), Trouble> {
        match self
            .output
            .flush(&self.stop)
            .map_err(about("standard output"))?
        {
            Flushed::All => {}
            Flushed::Closed | Flushed::Stopped => {
                self.ended = true;
                return Ok(());
            }
        }
        if self.delete {
            for receipts in self.held.chunks(BATCH_ENTRIES_MAX) {
                let outcomes = self.queue.delete_batch(receipts)?;
                self.stale += outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
            }
        }
        self.progress.inc(self.held.len() as u64);
        self.held.clear();
        Ok(())
    }

    /// Gives back what was received and not written. Runs on each way out.
    fn release_held(&mut self) {
        for receipts in self.held.chunks(BATCH_ENTRIES_MAX) {
            // One whose visibility ran out is visible already: an error changes nothing.
            let _ = self.queue.release_batch(receipts);
        }
        self.held.clear();
    }
}

#[derive(Serialize)]
struct Json<'m> {
    id: String,
    receipt: String,
    receive_count: u32,
    sent_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

fn render_json<R: Region, C: Clock>(
    message: &Received<'_, R, C>,
    line: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let text = std::str::from_utf8(message.body()).ok();
    let json = Json {
        id: message.id().to_string(),
        receipt: message.receipt().to_string(),
        receive_count: message.receive_count(),
        sent_ms: message.sent_ms(),
        body: text,
        body_base64: text
            .is_none()
            .then(|| BASE64_STANDARD.encode(message.body())),
    };
    Ok(serde_json::to_writer(line, &json)?)
}
