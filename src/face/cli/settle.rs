//! `ringmain delete`, `release` and `extend`: what `receive` left in flight, by receipt.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use super::any::AnyQueue;
use super::args::{ExtendArgs, SettleArgs};
use super::create;
use super::exit::{Exit, Trouble, about};
use super::lines::{Found, Lines};
use super::output::note;
use super::submit::BATCH_ENTRIES_MAX;
use super::values;
use crate::{Error, Outcomes, Receipt};

/// More than any receipt has, with room for spaces.
const LINE_BYTES_MAX: usize = 256;

/// What is done to up to ten receipts.
type Act = fn(&AnyQueue, &[Receipt]) -> Result<Outcomes<()>, Error>;

pub(super) fn delete(args: &SettleArgs) -> Result<Exit, Trouble> {
    Settle::run(args, |queue, receipts| queue.delete_batch(receipts))
}

pub(super) fn release(args: &SettleArgs) -> Result<Exit, Trouble> {
    Settle::run(args, |queue, receipts| queue.release_batch(receipts))
}

pub(super) fn extend(args: &ExtendArgs) -> Result<Exit, Trouble> {
    let queue = create::open(&args.path)?;
    let extended = queue.extend(&args.receipt, args.visibility);
    extended.map_err(about(args.receipt))?;
    Ok(Exit::Done)
}

struct Settle {
    queue: AnyQueue,
    act: Act,
    refused: u64,
}

impl Settle {
    /// Settles arguments, or lines; what cannot be settled is told, and the rest is.
    fn run(args: &SettleArgs, act: Act) -> Result<Exit, Trouble> {
        let mut settle = Self {
            queue: create::open(&args.path)?,
            act,
            refused: 0,
        };
        if args.receipts.is_empty() {
            settle.lines(File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
        } else {
            for receipts in args.receipts.chunks(BATCH_ENTRIES_MAX) {
                settle.some(receipts)?;
            }
        }
        Ok(if settle.refused == 0 {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    fn some(&mut self, receipts: &[Receipt]) -> Result<(), Trouble> {
        if receipts.is_empty() {
            return Ok(());
        }
        let outcomes = (self.act)(&self.queue, receipts)?;
        for (receipt, outcome) in receipts.iter().zip(outcomes) {
            if let Err(error) = outcome {
                self.refused += 1;
                note(format_args!("{receipt}: {error}"));
            }
        }
        Ok(())
    }

    /// A line is settled at once when no further whole line has been read, else by tens.
    fn lines(&mut self, input: File) -> Result<(), Trouble> {
        let mut lines = Lines::new(input, LINE_BYTES_MAX);
        let mut ready: heapless::Vec<Receipt, BATCH_ENTRIES_MAX> = heapless::Vec::new();
        loop {
            let found = lines.next();
            let receipt = match &found {
                Found::Line(line) => parse(lines.bytes(line.clone())),
                Found::TooLong => Err(Error::MalformedReceipt.to_string()),
                Found::NeedsInput | Found::End => {
                    self.some(&ready)?;
                    ready.clear();
                    if found == Found::End {
                        return Ok(());
                    }
                    lines.fill().map_err(about("standard input"))?;
                    continue;
                }
            };
            match receipt {
                Ok(receipt) => ready.extend([receipt]),
                Err(words) => {
                    self.refused += 1;
                    note(format_args!("line {}: {words}", lines.number()));
                }
            }
            if ready.is_full() {
                self.some(&ready)?;
                ready.clear();
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Receipt, String> {
    values::receipt(&String::from_utf8_lossy(line.trim_ascii()))
}
