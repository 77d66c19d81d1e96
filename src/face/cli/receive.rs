//! `ringmain receive`: messages become lines on standard output.
//!
//! A message is deleted only once its line is written. Until then its receipt is in hand: when the
//! reader goes away or a signal comes, what is in hand goes back to the queue and is visible at
//! once; while the reader takes its time, it is kept invisible. A line that was cut short counts as
//! not written.
//!
//! Of a receive with an attempt id nothing is deleted before all of it is written: killed until
//! then, it leaves all of its messages to the next one with the id.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::any::{AnyQueue, AnyRegion, receive_attempt};
use super::args::ReceiveArgs;
use super::create;
use super::exit::{Exit, Trouble, about};
use super::output::{self, Flushed, Output, note};
use super::render::Form;
use super::stop::Stop;
use super::submit::BATCH_ENTRIES_MAX;
use crate::region::policy::VISIBILITY_MS;
use crate::{Batch, Clock, Error, FifoQueue, Receipt, Region, wait_any};

/// For how long another one with the attempt id of this is let be.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// How long a wait goes on before signals and the pipe are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Receives until there is no message left, the limit is reached, or somebody ends it.
pub(super) fn run(args: &ReceiveArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let limit = args.max.unwrap_or(if args.follow { u64::MAX } else { 1 });
    if args.attempt_id.is_some() && limit > BATCH_ENTRIES_MAX as u64 {
        let text = "--attempt-id is of one receive, of at most 10 messages: --max 10";
        return Err(Trouble::with_exit(Exit::Usage, text));
    }
    let queue = create::open(&args.path)?;
    let quiet = !io::stderr().is_terminal() || io::stdout().is_terminal();
    let mut run = Run {
        queue: &queue,
        stop,
        visibility: Duration::ZERO,
        output: Output::default(),
        held: Vec::new(),
        waiting: VecDeque::new(),
        written: Vec::new(),
        text: Vec::new(),
        delete: args.delete,
        at_end: args.attempt_id.is_some(),
        form: Form::of(args),
        taken: 0,
        stale: 0,
        ended: false,
        progress: if quiet {
            ProgressBar::hidden()
        } else {
            output::progress("received")
        },
    };
    let outcome = match &args.attempt_id {
        Some(id) => run.attempt(limit as usize, id, args),
        None => run.all(limit, args),
    };
    let deleted = run.delete_written();
    run.release_held();
    run.progress.finish_and_clear();
    if run.stale > 0 {
        note(format_args!(
            "{} messages came back before they were written",
            run.stale
        ));
    }
    outcome.and(deleted)?;
    let empty = run.taken == 0 && !args.follow && !run.ended;
    Ok(if empty { Exit::Empty } else { Exit::Done })
}

struct Run<'q> {
    queue: &'q AnyQueue,
    stop: Stop,
    /// The least visibility timeout under which something in hand may have been received.
    visibility: Duration,
    output: Output,
    /// Receipts of the messages whose lines are in `output`.
    held: Vec<Receipt>,
    /// Received, and not yet in `output`.
    waiting: VecDeque<(Receipt, Range<usize>)>,
    /// Receipts of the messages whose lines are written, and which are to be deleted.
    written: Vec<Receipt>,
    /// The lines of `waiting`.
    text: Vec<u8>,
    delete: bool,
    /// Nothing is deleted before everything is written.
    at_end: bool,
    form: Form,
    taken: u64,
    stale: u64,
    /// The reader went away, or a signal came.
    ended: bool,
    progress: ProgressBar,
}

impl Run<'_> {
    fn all(&mut self, limit: u64, args: &ReceiveArgs) -> Result<(), Trouble> {
        let deadline = deadline(args.wait);
        while self.taken < limit && !self.ended && !self.stop.asked() {
            let want = (limit - self.taken).min(BATCH_ENTRIES_MAX as u64) as usize;
            let mut batch = self.queue.receive_batch(want)?;
            if batch.is_empty() {
                let deletes = self.delete && !self.held.is_empty();
                self.settle()?;
                // What was in hand has locked its groups, and does so no longer.
                if deletes && self.queue.fifo().is_some() {
                    continue;
                }
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
            self.take(batch)?;
        }
        self.ended |= self.stop.asked();
        self.settle()
    }

    /// One receive with an id, as soon as there is something for it.
    fn attempt(&mut self, max: usize, id: &str, args: &ReceiveArgs) -> Result<(), Trouble> {
        let fifo: &FifoQueue<AnyRegion> = self.queue.fifo().ok_or_else(|| {
            Trouble::new("--attempt-id is for FIFO queues, and this is a standard one")
        })?;
        let deadline = deadline(args.wait);
        let (mut tended, mut woken) = (false, false);
        while !self.stop.asked() {
            let batch = match receive_attempt(fifo, max, id) {
                Err(error @ Error::AttemptsFull { .. }) => {
                    return Err(Trouble::with_exit(Exit::Full, error));
                }
                outcome => outcome?,
            };
            if !batch.is_empty() {
                self.take(batch)?;
                break;
            }
            if !tended {
                // One with this id may have been killed a moment ago: what it held comes back.
                fifo.tend()?;
                tended = true;
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.ended = self.output.is_closed();
            if self.ended {
                break;
            }
            if woken {
                // What is there may be what another one with this id is about to receive.
                std::thread::sleep(left.min(BUSY_PAUSE));
            }
            woken = wait_any(&[fifo], left.min(LOOK_EVERY))?.is_some();
        }
        self.ended |= self.stop.asked();
        self.settle()
    }

    /// Turns messages into lines, and passes lines on until none is left.
    fn take<R: Region, C: Clock>(&mut self, batch: Batch<'_, R, C>) -> Result<(), Trouble> {
        self.taken += batch.len() as u64;
        // Somebody may change it while this runs.
        let now = self.queue.options().policy()?[VISIBILITY_MS];
        let now = Duration::from_millis(now);
        self.visibility = if self.held.is_empty() {
            now
        } else {
            now.min(self.visibility)
        };
        self.text.clear();
        for message in batch {
            let start = self.text.len();
            self.form.render(&message, &mut self.text)?;
            self.text.push(b'\n');
            self.waiting
                .push_back((message.detach(), start..self.text.len()));
        }
        while let Some((receipt, line)) = self.waiting.front().cloned() {
            if !self.output.has_room(&self.text[line.clone()]) {
                self.settle()?;
                if self.ended {
                    return Ok(());
                }
            }
            self.output.push(&self.text[line]);
            self.held.push(receipt);
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Writes what is in hand; then, and only then, deletes it.
    fn settle(&mut self) -> Result<(), Trouble> {
        let patience = self.visibility / 3;
        loop {
            let flushed = self.output.flush(&self.stop, patience);
            match flushed.map_err(about("standard output"))? {
                Flushed::All => break,
                Flushed::Closed | Flushed::Stopped => {
                    self.ended = true;
                    return Ok(());
                }
                Flushed::Blocked => self.extend_held()?,
            }
        }
        self.progress.inc(self.held.len() as u64);
        if self.delete {
            self.written.append(&mut self.held);
        }
        self.held.clear();
        if self.at_end && !self.waiting.is_empty() {
            return Ok(());
        }
        self.delete_written()
    }

    /// Deletes what is written, if that was asked for. Runs on each way out.
    fn delete_written(&mut self) -> Result<(), Trouble> {
        for receipts in mem::take(&mut self.written).chunks(BATCH_ENTRIES_MAX) {
            let outcomes = self.queue.delete_batch(receipts)?;
            self.stale += outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
        }
        Ok(())
    }

    /// Keeps what is in hand invisible while the reader takes its time.
    fn extend_held(&mut self) -> Result<(), Trouble> {
        let mut receipts = self.in_hand();
        receipts.extend(&self.written);
        for receipts in receipts.chunks(BATCH_ENTRIES_MAX) {
            // One that is too late shows up as stale when it is deleted.
            drop(self.queue.extend_batch(receipts, self.visibility)?);
        }
        Ok(())
    }

    /// Gives back what was received and not written. Runs on each way out.
    fn release_held(&mut self) {
        for receipts in self.in_hand().chunks(BATCH_ENTRIES_MAX) {
            // One whose visibility ran out is visible already: an error changes nothing.
            let _ = self.queue.release_batch(receipts);
        }
    }

    fn in_hand(&self) -> Vec<Receipt> {
        let waiting = self.waiting.iter().map(|(receipt, _)| *receipt);
        self.held.iter().copied().chain(waiting).collect()
    }
}

/// When a wait from now on is over.
fn deadline(wait: Duration) -> Instant {
    Instant::now() + wait.min(Duration::from_secs(365 * 86_400))
}
