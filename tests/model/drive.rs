//! A queue beside its model, and what can be seen of both from outside.

use crate::common::SLOT_HEAD_BYTES;
use crate::op::Op;
use crate::reference::{Attribute, Ever, Model, Receive, Rule};
use ringmain::{Clock, Error, ManualClock, MessageId, Queue, Received, Region, Value};
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

/// After how many operations the latencies are looked at again.
const LATENCY_EVERY: usize = 8;

/// A message that the history reads in place.
pub struct Holding<'a, R: Region> {
    pub received: Received<'a, R, &'a ManualClock>,
    pub receive: Receive,
    pub body: Vec<u8>,
    pub attributes: Vec<Attribute>,
}

/// A queue, its model, and what the history has in its hands.
pub struct Side<'a, R: Region> {
    pub queue: &'a Queue<R, &'a ManualClock>,
    /// The same queue, through another attachment.
    pub other: &'a Queue<R, &'a ManualClock>,
    pub model: Model,
    pub slots: u64,
    pub slot_bytes: u64,
    /// What the region adds to the clock's time.
    pub base_ms: u64,
    pub held: Vec<Holding<'a, R>>,
    pub known: Vec<Receive>,
    pub ids: HashSet<MessageId>,
    pub sent: u64,
}

/// A queue and its queue of dead letters.
pub struct Drive<'a, R: Region, D: Region> {
    pub clock: &'a ManualClock,
    pub jobs: Side<'a, R>,
    pub dead: Side<'a, D>,
}

pub fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what}: the queue says {found:?}, the model {expected:?}"
    ))
}

/// Errors of range are compared by their kind: their words are the queue's own.
pub fn same_outcome(
    what: &str,
    found: Result<(), Error>,
    expected: Result<(), Error>,
) -> Result<(), String> {
    match (&found, &expected) {
        (Err(Error::OutOfRange { .. }), Err(Error::OutOfRange { .. })) => Ok(()),
        _ => same(what, found, expected),
    }
}

/// An operation that has no reason to fail.
pub fn told<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| format!("unexpected: {error}"))
}

/// A received message's attributes, copied out.
pub fn attributes_of<R: Region>(received: &Received<'_, R, &ManualClock>) -> Vec<Attribute> {
    let owned = |(name, value): (&str, Value<'_>)| {
        let bytes = value.as_bytes().to_vec();
        (name.to_owned(), value.type_name().to_owned(), bytes)
    };
    received.attributes().iter().map(owned).collect()
}

impl<'a, R: Region, D: Region> Drive<'a, R, D> {
    pub fn new(
        jobs: &'a Queue<R, &'a ManualClock>,
        dead: &'a Queue<D, &'a ManualClock>,
        clock: &'a ManualClock,
        rule: Rule,
    ) -> Self {
        let model = || Model::new(rule, clock.now_ms());
        Self {
            clock,
            jobs: Side::new(jobs, model(), 0),
            dead: Side::new(dead, model(), 1 << 62), // bodies of its own
        }
    }

    /// Takes turns with other attachments' views of the queues.
    pub fn beside(
        mut self,
        jobs: &'a Queue<R, &'a ManualClock>,
        dead: &'a Queue<D, &'a ManualClock>,
    ) -> Self {
        (self.jobs.other, self.dead.other) = (jobs, dead);
        self
    }

    /// The whole history, then the end: everything is given back. Returns the operations done.
    pub fn history(mut self, ops: &[Op]) -> Result<usize, String> {
        self.jobs.find_base()?;
        self.dead.find_base()?;
        for (number, op) in ops.iter().enumerate() {
            let place = |error| format!("operation {number}, {op:?}: {error}");
            self.step(op).map_err(place)?;
            self.jobs.figures().map_err(place)?;
            self.dead.figures().map_err(place)?;
            if number % LATENCY_EVERY == 0 {
                self.jobs.latency().map_err(place)?;
                self.dead.latency().map_err(place)?;
            }
        }
        self.step(&Op::Advance { ms: 60_000 })?; // the last purge may have been just now
        self.jobs.end()?;
        self.dead.end()?;
        Ok(ops.len())
    }
}

impl<'a, R: Region> Side<'a, R> {
    fn new(queue: &'a Queue<R, &'a ManualClock>, model: Model, sent: u64) -> Self {
        Self {
            queue,
            other: queue,
            model,
            slots: queue.capacity() as u64,
            slot_bytes: 1,
            base_ms: 0,
            held: Vec::new(),
            known: Vec::new(),
            ids: HashSet::new(),
            sent,
        }
    }

    /// Gives everything back.
    fn end(&mut self) -> Result<(), String> {
        while let Some(holding) = self.held.pop() {
            self.model.stop_reading(holding.receive.id);
            drop(holding);
            self.figures()?;
        }
        self.step(&Op::Purge)?;
        self.figures()?;
        self.latency()?;
        let stat = told(self.queue.stat())?;
        same("free slots at the end", stat.slots_free, stat.slots)
    }

    /// A mapped region's time has an origin of its own; the model counts by the clock.
    fn find_base(&mut self) -> Result<(), String> {
        self.slot_bytes = told(self.queue.stat())?.slot_bytes;
        told(self.queue.send(b"base"))?;
        let received = told(self.queue.receive())?.ok_or("one message")?;
        self.base_ms = received.sent_ms() - self.model.now_ms;
        self.model.ever = Ever {
            sent: 1,
            received: 1,
            deleted: 1,
            ..Ever::default()
        };
        self.model.ever.latency.counts[0] = 1;
        told(received.delete())
    }

    /// What can be seen from outside at this millisecond.
    pub fn figures(&self) -> Result<(), String> {
        let stat = told(self.queue.stat())?;
        same("visible", stat.visible, self.model.visible() as u64)?;
        same("in flight", stat.in_flight, self.model.in_flight() as u64)?;
        same("delayed", stat.delayed, self.model.delayed() as u64)?;
        let ever = Ever {
            sent: stat.sent,
            received: stat.received,
            deleted: stat.deleted,
            purged: stat.purged,
            moved: stat.moved,
            latency: self.model.ever.latency, // has a look of its own
        };
        same("ever", ever, self.model.ever)?;
        same("free slots", stat.slots_free, self.slots_free())?;
        same("damaged and expired", (stat.damaged, stat.expired), (0, 0))?;
        for holding in &self.held {
            same("a borrowed body", holding.received.body(), &holding.body)?;
            let attributes = attributes_of(&holding.received);
            same("borrowed attributes", &attributes, &holding.attributes)?;
        }
        Ok(())
    }

    /// How long all that was received had lain.
    fn latency(&self) -> Result<(), String> {
        let (found, expected) = (told(self.queue.latency())?, self.model.ever.latency);
        let counts: Vec<u64> = found.buckets().map(|bucket| bucket.count).collect();
        same("latencies", &counts[..], &expected.counts[..])?;
        let sum = Duration::from_millis(expected.sum_ms);
        same("sum of latencies", found.sum(), sum)?;
        same("all latencies", found.count(), self.model.ever.received)
    }

    /// Free slots as the model sees it.
    pub fn slots_free(&self) -> u64 {
        let used: u64 = self.model.bodies().iter().map(|&len| self.run(len)).sum();
        self.slots.saturating_sub(used)
    }

    /// Slots that a body takes.
    pub fn run(&self, len: usize) -> u64 {
        ((len + SLOT_HEAD_BYTES) as u64).div_ceil(self.slot_bytes)
    }
}
