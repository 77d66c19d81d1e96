//! A worker of the demo: receives by tens, aggregates a metric at a time, journals, deletes.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGUSR1;

use super::super::args::ChildArgs;
use super::super::create;
use super::super::exit::{Exit, Trouble, about};
use super::super::monotonic::now_ns;
use super::super::stop::{Request, Stop};
use super::super::submit::BATCH_ENTRIES_MAX;
use super::child::die_with_parent;
use super::reading::{Reading, fingerprint, named_by};
use super::wire::{NOBODY, Place, Record, Work};
use crate::hash::xxh3_64;
use crate::{Clock, MessageId, Received, Region};

/// How long a worker holds a batch when it is asked to.
pub(super) const HOLD: Duration = Duration::from_secs(1);

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a worker knows of a metric.
#[derive(Debug, Clone, Copy)]
struct Aggregate {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
}

impl Aggregate {
    const NONE: Self = Self {
        count: 0,
        sum: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    fn take(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// Works until SIGTERM; the batch in hand is finished.
pub(in super::super) fn run(args: &ChildArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals_patiently()?;
    let hold = Request::on_signal(SIGUSR1)?;
    die_with_parent(args.parent)?;
    let queue = create::open(&args.path)?;
    let mut metrics: HashMap<String, Aggregate> = HashMap::new();
    while !stop.asked() {
        let batch = queue.receive_batch_timeout(BATCH_ENTRIES_MAX, LOOK_EVERY)?;
        if batch.is_empty() {
            continue;
        }
        let messages = batch
            .iter()
            .map(|message| message_key(message.id()))
            .collect();
        let at_ns = now_ns();
        if queue.fifo().is_some() {
            let places = batch.iter().map(place).collect();
            let record = Record::Ordered { at_ns, places };
            record.write().map_err(about("journal"))?;
        }
        Record::Received { at_ns, messages }
            .write()
            .map_err(about("journal"))?;
        if hold.taken() {
            // A slow handler; the parent uses the time to kill it.
            thread::sleep(HOLD);
        }
        let works = batch
            .iter()
            .map(|message| work(message, &mut metrics))
            .collect();
        let known = metrics.len() as u64;
        Record::Processed {
            metrics: known,
            works,
        }
        .write()
        .map_err(about("journal"))?;
        // A stale receipt is no error here: somebody else has the message, and the audit sees it.
        drop(batch.delete());
    }
    Ok(Exit::Done)
}

fn work<R: Region, C: Clock>(
    message: &Received<'_, R, C>,
    metrics: &mut HashMap<String, Aggregate>,
) -> Work {
    let hash = fingerprint(message.body());
    let nobodys = Work {
        author: NOBODY,
        seq: 0,
        hash,
        sent_ns: 0,
    };
    let Ok(reading) = serde_json::from_slice::<Reading<'_>>(message.body()) else {
        return nobodys;
    };
    let is_named = |group| group == reading.metric && message_id(message) == &*reading.id();
    if !message.group().is_none_or(is_named) {
        return nobodys;
    }
    if let Some(aggregate) = metrics.get_mut(reading.metric) {
        aggregate.take(reading.value);
    } else {
        let mut aggregate = Aggregate::NONE;
        aggregate.take(reading.value);
        metrics.insert(reading.metric.to_owned(), aggregate);
    }
    Work {
        author: reading.author(),
        seq: reading.seq,
        hash,
        sent_ns: reading.sent_ns,
    }
}

/// Where a message of a FIFO queue stands.
fn place<R: Region, C: Clock>(message: &Received<'_, R, C>) -> Place {
    let (author, seq) = named_by(message_id(message)).unwrap_or((NOBODY, 0));
    let sequence = message.sequence_number();
    Place {
        group: fingerprint(message.group().unwrap_or_default().as_bytes()),
        // The queue counts in 64 bits.
        sequence: sequence.map_or(0, |number| number.as_u128() as u64),
        author,
        seq,
    }
}

fn message_id<'m, R: Region, C: Clock>(message: &'m Received<'_, R, C>) -> &'m str {
    message.deduplication_id().unwrap_or_default()
}

/// A message id in 64 bits: enough to tell messages in flight apart.
fn message_key(id: MessageId) -> u64 {
    xxh3_64(&id.as_u128().to_le_bytes())
}
