//! `ringmain tail`: the records of a stream become lines on standard output, by the time of their
//! arrival over all shards.
//!
//! Each shard has a lane: a cursor, and lines that are read ahead. The lane whose next line is the
//! oldest goes first. Lanes read ahead by bytes, and not at all what is long: so a reader of many
//! shards takes little memory, whatever is in them. While the reader of the pipe takes its time no
//! record is held, so no writer waits for it; what goes meanwhile is told.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::ProgressBar;

use super::AnyStream;
use super::args::TailArgs;
use super::line::Form;
use super::start::From;
use crate::face::cli::any::AnyRegion;
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::{self, Flushed, Output, note};
use crate::face::cli::spot;
use crate::face::cli::stop::Stop;
use crate::time::DefaultClock;
use crate::{Cursor, Error, ShardId, Start, StreamSequence};

/// How many records are read at once.
const READ_MAX: usize = 100;
/// A lane reads ahead so many bytes, and no record that is longer.
const AHEAD_BYTES: usize = 64 << 10;
/// All lanes together read ahead about so many bytes.
const AHEAD_BYTES_OF_ALL: usize = 4 << 20;
/// How long a reader may take nothing until it is asked again for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads until there is nothing left, the limit is reached, or somebody ends it.
pub(in crate::face::cli) fn run(args: &TailArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let stream = spot::open_stream(&args.path)?;
    let shards = chosen(&stream, args)?;
    let start = args.from.start(&stream);
    let ahead = (AHEAD_BYTES_OF_ALL / shards.len().max(1)).min(AHEAD_BYTES);
    let told = || about::<Error>(args.path.display());
    let lanes = shards.into_iter().map(|shard| {
        // What comes later is not waited for.
        let end = stream.stat(shard)?.tail;
        Ok(Lane {
            cursor: stream.cursor(shard, start)?,
            end,
            ahead,
            lines: VecDeque::new(),
            next: None,
            ended: false,
        })
    });
    let lanes: Result<Vec<Lane<'_>>, Error> = lanes.collect();
    let quiet = !io::stderr().is_terminal() || io::stdout().is_terminal();
    let mut run = Run {
        form: Form::of(args),
        output: Output::default(),
        stop,
        damaged: 0,
        progress: match quiet {
            true => ProgressBar::hidden(),
            false => output::progress("read"),
        },
    };
    let taken = run.all(&mut lanes.map_err(told())?, args.max.unwrap_or(u64::MAX));
    run.progress.finish_and_clear();
    Ok(match (taken?, run.damaged) {
        (_, 1..) => Exit::Failed,
        (0, 0) => Exit::Empty,
        _ => Exit::Done,
    })
}

/// The shards that are read.
fn chosen(stream: &AnyStream, args: &TailArgs) -> Result<Vec<ShardId>, Trouble> {
    let all: Vec<ShardId> = stream.shards().collect();
    match args.shard {
        Some(shard) if all.contains(&shard) => Ok(vec![shard]),
        Some(shard) => Err(Trouble::new(format_args!(
            "{}: it has no {shard}; `ringmain shards` shows the {} that there are",
            args.path.display(),
            all.len()
        ))),
        None if matches!(args.from, From::Sequence(_)) && all.len() > 1 => {
            let text = "--from sequence:N: a number is one of a shard, so write --shard";
            Err(Trouble::with_exit(Exit::Usage, text))
        }
        None => Ok(all),
    }
}

/// A shard that is read.
struct Lane<'s> {
    cursor: Cursor<'s, AnyRegion, DefaultClock>,
    /// Where it ended when this began.
    end: StreamSequence,
    /// Bytes to read ahead.
    ahead: usize,
    /// Times and lines that were read ahead.
    lines: VecDeque<(u64, Vec<u8>)>,
    /// The time of the record at which the cursor stands, if that was too long to be read ahead.
    next: Option<u64>,
    ended: bool,
}

struct Run {
    form: Form,
    output: Output,
    stop: Stop,
    damaged: u64,
    progress: ProgressBar,
}

impl Run {
    /// Writes up to `limit` lines: how many.
    fn all(&mut self, lanes: &mut [Lane<'_>], limit: u64) -> Result<u64, Trouble> {
        let mut taken = 0;
        while taken < limit && !self.stop.asked() {
            let mut oldest: Option<(u64, usize)> = None;
            for (n, lane) in lanes.iter_mut().enumerate() {
                if let Some(ms) = self.time_of(lane)?
                    && oldest.is_none_or(|(other, _)| ms < other)
                {
                    oldest = Some((ms, n));
                }
            }
            let Some((_, n)) = oldest else { break };
            let Some(line) = self.line_of(&mut lanes[n])? else {
                continue; // it has gone
            };
            if !self.output.has_room(&line) && self.flush()?.is_break() {
                return Ok(taken);
            }
            self.output.push(&line);
            taken += 1;
        }
        let _ = self.flush()?; // it ends either way
        Ok(taken)
    }

    /// Writes what is in hand, however long the reader takes.
    fn flush(&mut self) -> Result<ControlFlow<()>, Trouble> {
        loop {
            let flushed = self.output.flush(&self.stop, PATIENCE);
            match flushed.map_err(about("standard output"))? {
                Flushed::All => return Ok(ControlFlow::Continue(())),
                Flushed::Closed | Flushed::Stopped => return Ok(ControlFlow::Break(())),
                Flushed::Blocked => {}
            }
        }
    }

    /// When the next record of a lane arrived; `None` if there is none.
    fn time_of(&mut self, lane: &mut Lane<'_>) -> Result<Option<u64>, Trouble> {
        loop {
            if let Some((ms, _)) = lane.lines.front() {
                return Ok(Some(*ms));
            }
            if lane.next.is_some() || lane.ended {
                return Ok(lane.next);
            }
            self.read(lane, READ_MAX)?;
        }
    }

    /// The next line of a lane, which has one; `None` if it has gone meanwhile.
    fn line_of(&mut self, lane: &mut Lane<'_>) -> Result<Option<Vec<u8>>, Trouble> {
        self.progress.inc(1);
        if lane.lines.is_empty() && lane.next.take().is_some() {
            let ahead = std::mem::replace(&mut lane.ahead, usize::MAX); // however long it is
            let read = self.read(lane, 1);
            lane.ahead = ahead;
            read?;
        }
        Ok(lane.lines.pop_front().map(|(_, line)| line))
    }

    /// Reads ahead: lines, or the time of a record that is too long, or that the lane has ended.
    fn read(&mut self, lane: &mut Lane<'_>, max: usize) -> Result<(), Trouble> {
        let shard = lane.cursor.shard();
        let records = match lane.cursor.read(max) {
            Ok(records) => records,
            Err(Error::Lost { bytes }) => {
                note(format_args!(
                    "{shard}: {bytes} bytes went before they were read"
                ));
                return Ok(());
            }
            Err(error @ Error::RecordDamaged { .. }) => {
                self.damaged += 1;
                note(format_args!("{shard}: {error}"));
                return Ok(());
            }
            Err(Error::ShardClosed) => {
                lane.ended = true;
                return Ok(());
            }
            Err(error) => return Err(about(shard)(error)),
        };
        let (mut bytes, mut back) = (0, None);
        for record in &records {
            if record.sequence() >= lane.end {
                lane.ended = true;
                break;
            }
            if bytes + record.data().len() > lane.ahead {
                if bytes == 0 && lane.lines.is_empty() {
                    lane.next = Some(record.arrived_ms());
                }
                back = Some(record.sequence());
                break;
            }
            let mut line = Vec::new();
            self.form.render(&record, &mut line)?;
            bytes += line.len();
            lane.lines.push_back((record.arrived_ms(), line));
        }
        lane.ended |= records.is_empty();
        drop(records);
        if let Some(sequence) = back {
            lane.cursor
                .seek(Start::At(sequence))
                .map_err(about(shard))?;
        }
        Ok(())
    }
}
