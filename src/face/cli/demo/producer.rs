//! A producer of the demo: reads telemetry as fast as it can, sends, journals.

use std::thread;
use std::time::Duration;

use super::super::args::ChildArgs;
use super::super::create;
use super::super::exit::{Exit, Trouble, about};
use super::super::monotonic::now_ns;
use super::super::stop::Stop;
use super::super::submit::BATCH_ENTRIES_MAX;
use super::child::die_with_parent;
use super::reading::{Reading, fingerprint};
use super::telemetry::{Readings, SOURCES};
use super::wire::{Batch, Record};
use crate::Error;
use crate::face::cli::spot::AnyQueue;

const FULL_PAUSE: Duration = Duration::from_micros(200);

/// Sends until SIGTERM; what was begun is finished and journaled.
pub(in super::super) fn run(args: &ChildArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals_patiently()?;
    die_with_parent(args.parent)?;
    let queue = create::open(&args.path)?;
    let bodies = std::array::from_fn(|_| Vec::with_capacity(256));
    let mut producer = Producer {
        queue: &queue,
        args,
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
            producer.send(batch, &stop)?;
        }
        readings.clear();
    }
    Ok(Exit::Done)
}

struct Producer<'q> {
    queue: &'q AnyQueue,
    args: &'q ChildArgs,
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
        for (&index, body) in left.iter().zip(&mut self.bodies) {
            let (metric, value) = &readings[index];
            let reading = Reading {
                producer: self.args.index,
                incarnation: self.args.incarnation,
                seq: first + index as u64,
                metric,
                value: *value,
                sent_ns,
            };
            body.clear();
            serde_json::to_writer(&mut *body, &reading)?;
        }
        let bodies = &self.bodies[..left.len()];
        let outcomes = match self.queue.send_batch(bodies) {
            Ok(outcomes) => outcomes,
            Err(Error::Full) => return Ok(left.iter().copied().collect()),
            Err(error) => return Err(error.into()),
        };
        let (mut sent, mut full) = (Batch::new(), Batch::new());
        for ((&index, body), outcome) in left.iter().zip(bodies).zip(outcomes) {
            match outcome {
                Ok(_) => sent.extend([(first + index as u64, fingerprint(body))]),
                Err(Error::Full) => full.extend([index]),
                Err(error) => return Err(error.into()),
            }
        }
        if !sent.is_empty() {
            Record::Sent(sent).write().map_err(about("journal"))?;
        }
        Ok(full)
    }
}
