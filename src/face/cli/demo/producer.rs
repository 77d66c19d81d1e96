//! A producer of the demo: reads telemetry as fast as it can, sends, journals.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::super::args::ChildArgs;
use super::super::create;
use super::super::exit::{Exit, Trouble, about};
use super::super::monotonic::now_ns;
use super::super::stop::Stop;
use super::super::submit::BATCH_ENTRIES_MAX;
use super::child::die_with_parent;
use super::in_order::InOrder;
use super::outbox::Outbox;
use super::progress::Progress;
use super::reading::{Reading, fingerprint};
use super::stream::UNREAD_MAX;
use super::telemetry::{Readings, SOURCES};
use super::wire::{Author, Batch, Record};
use crate::face::cli::any::{AnyQueue, AnyRegion};
use crate::{Error, Mapped, Queue, Stream, StreamEntry};

/// How long a producer waits when there is no room.
pub(super) const FULL_PAUSE: Duration = Duration::from_micros(200);

/// Sends until SIGTERM; what was begun is finished and journaled.
pub(in super::super) fn run(args: &ChildArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals_patiently()?;
    die_with_parent(args.parent)?;
    if let Some(path) = &args.progress {
        let region: AnyRegion =
            Arc::new(Mapped::open(&args.path).map_err(about(args.path.display()))?);
        let progress = Progress::open(path).map_err(about(path.display()))?;
        let stream = Stream::open(region)?;
        return produce(To::Stream(&stream, progress), args, &stop);
    }
    let queue = create::open(&args.path)?;
    let author = Author {
        producer: args.index,
        incarnation: args.incarnation,
    };
    let to = match (&queue, &args.outbox) {
        (AnyQueue::Fifo(queue), Some(path)) => {
            let outbox = Outbox::open(path).map_err(about(path.display()))?;
            let mut to = InOrder::new(queue, outbox);
            to.take_over(author)?;
            To::Fifo(to)
        }
        (AnyQueue::Standard(queue), None) => To::Standard(queue),
        _ => return Err(Trouble::new("an outbox goes with a FIFO queue")),
    };
    produce(to, args, &stop)
}

/// Reads telemetry and sends it, until a stop.
fn produce(to: To<'_>, args: &ChildArgs, stop: &Stop) -> Result<Exit, Trouble> {
    let author = Author {
        producer: args.index,
        incarnation: args.incarnation,
    };
    let bodies = std::array::from_fn(|_| Vec::with_capacity(256));
    let mut producer = Producer {
        to,
        author,
        seq: 0,
        bodies,
    };
    let mut readings = Readings::new();
    while !stop.asked() {
        let mut last = None;
        for source in SOURCES {
            // A machine may lack a source (no disks in a container); it must not lack all.
            last = source(&mut readings).err().or(last);
        }
        if readings.is_empty() {
            return Err(Trouble::new(format_args!(
                "no telemetry in /proc: {last:?}"
            )));
        }
        for batch in readings.chunks(BATCH_ENTRIES_MAX) {
            if stop.asked() {
                break;
            }
            producer.send(batch, stop)?;
        }
        readings.clear();
    }
    Ok(Exit::Done)
}

/// Where readings go.
enum To<'q> {
    Standard(&'q Queue<AnyRegion>),
    Fifo(InOrder<'q>),
    Stream(&'q Stream<AnyRegion>, Progress),
}

struct Producer<'q> {
    to: To<'q>,
    author: Author,
    seq: u64,
    bodies: [Vec<u8>; BATCH_ENTRIES_MAX],
}

impl Producer<'_> {
    /// Sends up to ten readings, waiting for room as long as it takes or until a stop.
    fn send(&mut self, readings: &[(String, f64)], stop: &Stop) -> Result<(), Trouble> {
        let first = self.seq;
        self.seq += readings.len() as u64;
        let mut left: Batch<usize> = (0..readings.len()).collect();
        loop {
            left = self.once(first, readings, &left)?;
            if left.is_empty() {
                return Ok(());
            }
            if stop.asked() {
                return Ok(());
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Stamps and sends the readings at `left`; returns those for which there was no room.
    fn once(
        &mut self,
        first: u64,
        readings: &[(String, f64)],
        left: &[usize],
    ) -> Result<Batch<usize>, Trouble> {
        let sent_ns = now_ns();
        let reading = |&index: &usize| Reading {
            producer: self.author.producer,
            incarnation: self.author.incarnation,
            seq: first + index as u64,
            metric: &readings[index].0,
            value: readings[index].1,
            sent_ns,
        };
        let stamped: Batch<Reading<'_>> = left.iter().map(reading).collect();
        for (reading, body) in stamped.iter().zip(&mut self.bodies) {
            body.clear();
            serde_json::to_writer(&mut *body, reading)?;
        }
        let bodies = &self.bodies[..left.len()];
        let full = match &mut self.to {
            To::Standard(queue) => standard(queue, &stamped, bodies)?,
            To::Fifo(to) => to.send(self.author, &stamped, bodies)?,
            To::Stream(stream, progress) => {
                put(stream, progress, self.author.producer, &stamped, bodies)?
            }
        };
        Ok(full.iter().map(|&at| left[at]).collect())
    }
}

/// Puts readings into a stream, and journals what was put; none as long as readers are too far
/// behind. Returns the indices of those that were not put.
fn put(
    stream: &Stream<AnyRegion>,
    progress: &Progress,
    producer: u32,
    readings: &[Reading<'_>],
    bodies: &[Vec<u8>],
) -> Result<Batch<usize>, Trouble> {
    if progress.unread()? > UNREAD_MAX {
        return Ok((0..bodies.len()).collect());
    }
    let pairs = readings.iter().zip(bodies);
    let entries: Batch<StreamEntry<'_>> = pairs
        .map(|(reading, body)| StreamEntry::new(reading.metric, body))
        .collect();
    let mut outcomes: [Result<(), Error>; BATCH_ENTRIES_MAX] = std::array::from_fn(|_| Ok(()));
    stream.put_batch(&entries, |n, outcome| outcomes[n] = outcome.map(drop))?;
    let (mut sent, mut full) = (Batch::new(), Batch::new());
    for (index, outcome) in outcomes.into_iter().take(bodies.len()).enumerate() {
        match outcome {
            Ok(()) => sent.extend([(readings[index].seq, fingerprint(&bodies[index]))]),
            // Somebody reads in the oldest segment.
            Err(Error::SegmentInUse { .. }) => full.extend([index]),
            Err(error) => return Err(error.into()),
        }
    }
    progress.set_put(producer, progress.put(producer)? + sent.len() as u64)?;
    if !sent.is_empty() {
        Record::Sent(sent).write().map_err(about("journal"))?;
    }
    Ok(full)
}

/// Sends readings to a standard queue, and journals what was sent. Returns the indices of those for
/// which there was no room.
fn standard(
    queue: &Queue<AnyRegion>,
    readings: &[Reading<'_>],
    bodies: &[Vec<u8>],
) -> Result<Batch<usize>, Trouble> {
    let outcomes = match queue.send_batch(bodies) {
        Ok(outcomes) => outcomes,
        Err(Error::Full) => return Ok((0..bodies.len()).collect()),
        Err(error) => return Err(error.into()),
    };
    let (mut sent, mut full) = (Batch::new(), Batch::new());
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(_) => sent.extend([(readings[index].seq, fingerprint(&bodies[index]))]),
            Err(Error::Full) => full.extend([index]),
            Err(error) => return Err(error.into()),
        }
    }
    if !sent.is_empty() {
        Record::Sent(sent).write().map_err(about("journal"))?;
    }
    Ok(full)
}
