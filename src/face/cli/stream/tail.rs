//! `ringmain tail`: the records of a stream become lines on standard output, by the time of their
//! arrival over all shards.
//!
//! Each shard has a lane: a cursor, and lines that are read ahead. The lane whose next line is the
//! oldest goes first; one whose parent's lane has not ended waits for it, so that those of a key
//! are in order over splits and merges. Lanes read ahead by bytes, and not at all what is long: so
//! a reader of many shards takes little memory, whatever is in them. While the reader of the pipe
//! takes its time no record is held, so no writer waits for it; what goes meanwhile is told.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::ProgressBar;

use super::AnyStream;
use super::args::TailArgs;
use super::line::Form;
use super::start::From;
use super::{shards_of, unless_gone, wait};
use crate::face::cli::any::AnyRegion;
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::{self, Flushed, Output, note};
use crate::face::cli::spot;
use crate::face::cli::stop::Stop;
use crate::time::DefaultClock;
use crate::{Cursor, Error, ShardId, Start, StreamConsumer, StreamSequence, Waitable, wait_any};

/// How many records are read at once.
const READ_MAX: usize = 100;
/// A lane reads ahead so many bytes, and no record that is longer.
const AHEAD_BYTES: usize = 64 << 10;
/// All lanes together read ahead about so many bytes.
const AHEAD_BYTES_OF_ALL: usize = 4 << 20;
/// How long a reader may take nothing until it is asked again for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a wait goes on before signals and the pipe are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// At how many shards one can wait at once.
const WAITED_MAX: usize = 128;

/// Reads until there is nothing left, the limit is reached, or somebody ends it.
pub(in crate::face::cli) fn run(args: &TailArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let stream = spot::open_stream_for_reading(&args.path)?;
    let shards = chosen(&stream, args)?;
    let quiet = !io::stderr().is_terminal() || io::stdout().is_terminal();
    let consumer = args.consumer.as_deref().map(|name| stream.consumer(name));
    let mut run = Run {
        stream: &stream,
        consumer: consumer.transpose().map_err(about(args.path.display()))?,
        follow: args.follow,
        one: args.shard.is_some(),
        ahead: (AHEAD_BYTES_OF_ALL / shards.len().max(1)).min(AHEAD_BYTES),
        newest: None,
        lanes: Vec::new(),
        form: Form::of(args),
        output: Output::default(),
        stop,
        damaged: 0,
        progress: match quiet {
            true => ProgressBar::hidden(),
            false => output::progress("read"),
        },
    };
    let start = args.from.start(&stream);
    for shard in shards {
        run.begin(shard, start)
            .map_err(about(args.path.display()))?;
    }
    let taken = run.all(args.max.unwrap_or(u64::MAX));
    run.progress.finish_and_clear();
    Ok(match (taken?, run.damaged) {
        (_, 1..) => Exit::Failed,
        (0, 0) if !args.follow => Exit::Empty,
        _ => Exit::Done,
    })
}

/// The shards that are read.
fn chosen(stream: &AnyStream, args: &TailArgs) -> Result<Vec<ShardId>, Trouble> {
    let all = shards_of(stream);
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
        None if args.follow && all.len() > WAITED_MAX => Err(Trouble::new(format_args!(
            "{}: --follow waits at up to {WAITED_MAX} shards, and there are {}; write --shard",
            args.path.display(),
            all.len()
        ))),
        None => Ok(all),
    }
}

/// A shard that is read.
struct Lane<'s> {
    shard: ShardId,
    parents: [Option<ShardId>; 2],
    cursor: Cursor<'s, AnyRegion, DefaultClock>,
    /// Where it ended when this began; `None`: what comes later is read too.
    end: Option<StreamSequence>,
    /// Bytes to read ahead.
    ahead: usize,
    /// Times and lines that were read ahead.
    lines: VecDeque<(u64, Vec<u8>)>,
    /// The time of the record at which the cursor stands, if that was too long to be read ahead.
    next: Option<u64>,
    ended: bool,
}

impl Lane<'_> {
    /// When its next record arrived, as far as it has been read.
    fn time(&self) -> Option<u64> {
        self.lines.front().map(|(ms, _)| *ms).or(self.next)
    }

    fn is_done(&self) -> bool {
        self.ended && self.time().is_none()
    }
}

struct Run<'s> {
    stream: &'s AnyStream,
    /// For whom it reads.
    consumer: Option<StreamConsumer<'s, AnyRegion, DefaultClock>>,
    follow: bool,
    /// One shard alone.
    one: bool,
    /// Bytes that a lane reads ahead.
    ahead: usize,
    /// The newest shard that was begun.
    newest: Option<ShardId>,
    lanes: Vec<Lane<'s>>,
    form: Form,
    output: Output,
    stop: Stop,
    damaged: u64,
    progress: ProgressBar,
}

/// What a read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brought {
    /// Lines, or that there is something to be read, or passed over.
    Something,
    Nothing,
    /// The shard is closed, and read to its end.
    End,
}

impl<'s> Run<'s> {
    /// Begins to read a shard, unless it has gone.
    fn begin(&mut self, shard: ShardId, start: Start) -> Result<(), Error> {
        let stream = self.stream;
        self.newest = self.newest.max(Some(shard));
        let stats = unless_gone(stream.stat(shard))?;
        let info = unless_gone(stream.shard_info(shard))?;
        let cursor = unless_gone(match &self.consumer {
            Some(consumer) => consumer.cursor(shard, start),
            None => stream.cursor(shard, start),
        })?;
        if let (Some(stats), Some(info), Some(cursor)) = (stats, info, cursor) {
            self.lanes.push(Lane {
                shard,
                parents: [info.parent, info.adjacent_parent],
                cursor,
                end: (!self.follow).then_some(stats.tail),
                ahead: self.ahead,
                lines: VecDeque::new(),
                next: None,
                ended: false,
            });
        }
        Ok(())
    }

    /// Writes up to `limit` lines: how many.
    fn all(&mut self, limit: u64) -> Result<u64, Trouble> {
        let mut taken = 0;
        while taken < limit && !self.stop.asked() {
            let Some(n) = self.oldest()? else {
                if !self.follow || self.flush()?.is_break() || self.output.is_closed() {
                    break;
                }
                if !self.wait()? {
                    break;
                }
                continue;
            };
            let Some(line) = self.line_of(n)? else {
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

    /// Whether a lane has to wait for its parents'.
    fn is_held_up(&self, n: usize) -> bool {
        let parents = self.lanes[n].parents;
        let mut others = self.lanes.iter();
        others.any(|lane| parents.contains(&Some(lane.shard)) && !lane.is_done())
    }

    /// The lane whose next record is the oldest; of two the one that was made first.
    fn oldest(&mut self) -> Result<Option<usize>, Trouble> {
        let mut oldest: Option<(u64, usize)> = None;
        let mut n = 0;
        while n < self.lanes.len() {
            // Children may be added behind while this goes on.
            if !self.is_held_up(n)
                && let Some(ms) = self.time_of(n)?
                && oldest.is_none_or(|(other, _)| ms < other)
            {
                oldest = Some((ms, n));
            }
            n += 1;
        }
        let found = oldest.map(|(_, n)| n);
        if found.is_none() {
            self.lanes.retain(|lane| !lane.is_done());
        }
        Ok(found)
    }

    /// Waits a while for a record in any lane; whether there is one to wait at.
    fn wait(&self) -> Result<bool, Trouble> {
        let lanes = (0..self.lanes.len()).filter(|n| !self.is_held_up(*n));
        let cursors: Vec<&dyn Waitable> = lanes
            .map(|n| &self.lanes[n].cursor as &dyn Waitable)
            .collect();
        if cursors.is_empty() {
            return Ok(false);
        }
        wait_any(&cursors, LOOK_EVERY)?;
        Ok(true)
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

    /// When the next record of a lane arrived; `None` if there is none now.
    fn time_of(&mut self, n: usize) -> Result<Option<u64>, Trouble> {
        loop {
            let lane = &self.lanes[n];
            if lane.time().is_some() || lane.ended {
                return Ok(lane.time());
            }
            match self.read(n, READ_MAX)? {
                Brought::Something => {}
                Brought::Nothing => return Ok(None),
                Brought::End => self.go_on_in_children()?,
            }
        }
    }

    /// The next line of a lane, which has one; `None` if it has gone meanwhile.
    fn line_of(&mut self, n: usize) -> Result<Option<Vec<u8>>, Trouble> {
        self.progress.inc(1);
        let lane = &mut self.lanes[n];
        if lane.lines.is_empty() && lane.next.take().is_some() {
            lane.ahead = usize::MAX; // however long it is
            let read = self.read(n, 1);
            self.lanes[n].ahead = self.ahead;
            if read? == Brought::End {
                self.go_on_in_children()?;
            }
        }
        Ok(self.lanes[n].lines.pop_front().map(|(_, line)| line))
    }

    /// Reads ahead: lines, or the time of a record that is too long, or that the lane has ended.
    fn read(&mut self, n: usize, max: usize) -> Result<Brought, Trouble> {
        let lane = &mut self.lanes[n];
        let shard = lane.shard;
        let records = match lane.cursor.read(max) {
            Ok(records) => records,
            Err(Error::Lost { bytes }) => {
                note(format_args!(
                    "{shard}: {bytes} bytes went before they were read"
                ));
                return Ok(Brought::Something);
            }
            Err(error @ Error::RecordDamaged { .. }) => {
                self.damaged += 1;
                note(format_args!("{shard}: {error}"));
                return Ok(Brought::Something);
            }
            Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => {
                wait(wait_ms);
                return Ok(Brought::Something);
            }
            // Or closed, and gone before it was read to its end.
            Err(Error::ShardClosed { .. } | Error::NoShard { .. }) => {
                lane.ended = true;
                return Ok(Brought::End);
            }
            Err(error) => return Err(about(shard)(error)),
        };
        if records.is_empty() {
            lane.ended = !self.follow;
            return Ok(Brought::Nothing);
        }
        let (mut bytes, mut back) = (0, None);
        for record in &records {
            if lane.end.is_some_and(|end| record.sequence() >= end) {
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
            for part in record.parts() {
                let part = match part {
                    Ok(part) => part,
                    Err(error) => {
                        self.damaged += 1;
                        note(format_args!("{shard} {}: {error}", record.sequence()));
                        break;
                    }
                };
                let mut line = Vec::new();
                self.form.render(&record, part, &mut line)?;
                bytes += line.len();
                lane.lines.push_back((record.arrived_ms(), line));
            }
        }
        drop(records);
        if let Some(sequence) = back {
            lane.cursor
                .seek(Start::At(sequence))
                .map_err(about(shard))?;
        }
        Ok(Brought::Something)
    }

    /// After a shard was closed: begins to read shards that are new, from their beginning.
    fn go_on_in_children(&mut self) -> Result<(), Trouble> {
        if !self.follow || self.one {
            return Ok(());
        }
        let newest = self.newest;
        for shard in shards_of(self.stream) {
            if newest.is_none_or(|newest| shard > newest) {
                self.begin(shard, Start::Oldest).map_err(about(shard))?;
            }
        }
        Ok(())
    }
}
