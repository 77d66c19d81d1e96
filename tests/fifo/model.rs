//! A plain model, right at a glance, held against random histories on a clock that is set by hand.
//! After each operation the queue and the model agree on what came back, in which order, and on the
//! figures. `RINGMAIN_FIFO_OPERATIONS` sets how many operations each history has (default 3000).

use super::common::{Numbers, number_of};
use super::reference::{KEYS, Model, Op};
use ringmain::{
    DedupScope, Error, FifoEntry, FifoOptions, FifoQueue, FifoSent, Heap, ManualClock, Receipt,
};
use std::time::Duration;

const GROUPS: [&str; 5] = ["a", "b", "c", "d", "e"];
const START_MS: u64 = 1_000_000;

/// A queue, its model, and the receipts that the history has seen.
struct Drive<'c> {
    queue: FifoQueue<Heap, &'c ManualClock>,
    clock: &'c ManualClock,
    numbers: Numbers,
    model: Model,
    /// Each with its message's sequence number, which receive it was, and when.
    known: Vec<(Receipt, u128, u32, u64)>,
}

fn body_of(number: u64) -> String {
    // From one slot to several.
    format!("{number}-").repeat(1 + (number % 7 * 20) as usize)
}

impl Drive<'_> {
    fn new(clock: &ManualClock, seed: u64) -> Drive<'_> {
        let mut numbers = Numbers(seed);
        let model = Model {
            now_ms: START_MS,
            interval_ms: 30_000,
            retention_ms: 120_000,
            ids_max: 40 + numbers.below(100) as usize,
            by_group: numbers.below(2) == 0,
            ..Model::default()
        };
        let ms = Duration::from_millis;
        let options = FifoOptions::new()
            .visibility(Duration::from_secs(10))
            .retention(ms(model.retention_ms))
            .dedup_interval(ms(model.interval_ms))
            .dedup_ids(model.ids_max as u64)
            .dedup_scope(match model.by_group {
                true => DedupScope::Group,
                false => DedupScope::Queue,
            });
        let region = Heap::new(1 << 20).expect("memory");
        let queue = FifoQueue::create_with(region, options, clock).expect("a queue");
        Drive {
            queue,
            clock,
            numbers,
            model,
            known: Vec::new(),
        }
    }

    fn entry(&mut self) -> (&'static str, String, String) {
        let group = GROUPS[self.numbers.below(GROUPS.len() as u64) as usize];
        let id = format!("id{}", self.numbers.below(KEYS));
        (group, id, body_of(self.numbers.below(1000)))
    }

    fn step(&mut self) {
        match Op::random(&mut self.numbers) {
            Op::Send(count) => self.send(count),
            Op::Receive(max, visibility_ms) => self.receive(max, visibility_ms),
            Op::Delete => self.settle(|queue, receipt| queue.delete(receipt), Model::delete),
            Op::Release => self.settle(|queue, receipt| queue.release(receipt), Model::release),
            Op::Extend(ms) => self.settle(
                |queue, receipt| queue.extend(receipt, Duration::from_millis(ms)),
                |model, sequence, count| model.extend(sequence, count, ms),
            ),
            Op::Delay(ms) => {
                self.model.delay_ms = ms;
                let changed = self
                    .queue
                    .reconfigure(|options| options.delay(Duration::from_millis(ms)));
                changed.expect("in range");
            }
            Op::Pass(ms) => {
                self.model.now_ms += ms;
                self.clock.advance(Duration::from_millis(ms));
            }
            Op::Purge => match self.queue.purge() {
                Ok(_) => self.model.purge(),
                Err(Error::PurgedRecently { wait_ms }) => {
                    assert_eq!(self.model.purged_ms + 60_000, self.model.now_ms + wait_ms);
                }
                Err(other) => panic!("{other}"),
            },
        }
        self.compare();
    }

    fn send(&mut self, count: usize) {
        let entries: Vec<_> = (0..count).map(|_| self.entry()).collect();
        let batch: Vec<_> = entries
            .iter()
            .map(|(group, id, body)| FifoEntry::new(group, body).id(id))
            .collect();
        let outcomes: Vec<Result<FifoSent, Error>> = match count {
            1 => vec![self.queue.send(batch[0].group, batch[0].id, batch[0].body)],
            _ => {
                let sent = self.queue.send_batch(&batch).expect("a batch");
                sent.into_iter().collect()
            }
        };
        for ((group, id, body), outcome) in entries.into_iter().zip(outcomes) {
            let max = self.model.ids_max as u64;
            match (self.model.first(group, &id), outcome) {
                (Some(first), Ok(sent)) => {
                    assert!(sent.is_duplicate);
                    assert_eq!(sent.sequence.as_u128(), first);
                }
                (None, Ok(sent)) => {
                    assert!(!sent.is_duplicate && self.model.has_room(), "{group} {id}");
                    self.model.send(group, id, body, sent.sequence.as_u128());
                }
                (None, Err(error)) => {
                    assert_eq!(error, Error::DeduplicationFull { max });
                    assert!(!self.model.has_room(), "{group} {id}");
                }
                (Some(_), Err(error)) => panic!("a duplicate: {error}"),
            }
        }
    }

    fn receive(&mut self, max: usize, visibility_ms: Option<u64>) {
        let batch = match visibility_ms {
            None => self.queue.receive_batch(max),
            Some(ms) => self.queue.receive_batch_for(max, Duration::from_millis(ms)),
        };
        let batch = batch.expect("a receive");
        self.model.drop_aged();
        let mut found = Vec::new();
        for got in &batch {
            let sequence = got.sequence_number().expect("a number").as_u128();
            found.push((got.group().expect("a group").to_owned(), sequence));
        }
        self.model.check_turn(&found, max);
        for got in batch {
            let sequence = got.sequence_number().expect("a number").as_u128();
            let (now_ms, count) = (self.model.now_ms, got.receive_count());
            self.model.received += 1;
            let message = self.model.message(sequence).expect("it is there");
            message.receives += 1;
            message.delayed = false;
            message.until_ms = now_ms + visibility_ms.unwrap_or(10_000);
            assert_eq!(count, message.receives);
            assert_eq!(got.body(), message.body.as_bytes());
            assert_eq!(got.deduplication_id(), Some(&*message.id));
            assert_eq!(got.sent_ms(), message.sent_ms);
            self.known.push((got.receipt(), sequence, count, now_ms));
        }
        if self.known.len() > 60 {
            self.known.drain(..30);
        }
    }

    fn settle(
        &mut self,
        real: impl Fn(&FifoQueue<Heap, &ManualClock>, &Receipt) -> Result<(), Error>,
        model: impl Fn(&mut Model, u128, u32) -> Vec<Result<(), Error>>,
    ) {
        if self.known.is_empty() {
            return;
        }
        let at = self.numbers.below(self.known.len() as u64) as usize;
        let (receipt, sequence, count, _) = self.known[at];
        let found = real(&self.queue, &receipt);
        let expected = model(&mut self.model, sequence, count);
        assert!(expected.contains(&found), "{found:?}, not of {expected:?}");
    }

    fn compare(&self) {
        let stat = self.queue.stat().expect("figures");
        let there = stat.visible + stat.in_flight + stat.delayed;
        let (aged, model) = (self.model.aged(), self.model.len());
        assert!(
            (model - aged..=model).contains(&there),
            "{there} of {model}"
        );
        let ever = (stat.sent, stat.received);
        assert_eq!(ever, (self.model.sent, self.model.received));
        if aged == 0 {
            let figures = (stat.visible, stat.in_flight, stat.delayed);
            assert_eq!(figures, self.model.figures());
        }
    }

    /// Takes everything out; then every slot is free.
    fn finish(&mut self) {
        self.model.now_ms += 15 * 60_000;
        self.clock.advance(Duration::from_secs(15 * 60));
        self.model.drop_aged();
        while let Some(got) = self.queue.receive().expect("a receive") {
            let sequence = got.sequence_number().expect("a number").as_u128();
            self.model.gone(sequence);
            got.delete().expect("in flight");
        }
        assert_eq!(self.model.len(), 0);
        let stat = self.queue.stat().expect("figures");
        assert_eq!(stat.slots_free, stat.slots, "slots have leaked");
    }
}

#[test]
fn queue_and_model_agree() {
    let operations = number_of("RINGMAIN_FIFO_OPERATIONS", 3000);
    for seed in 0..12 {
        let clock = ManualClock::new(START_MS);
        let mut drive = Drive::new(&clock, seed);
        for number in 0..operations {
            let step = std::panic::AssertUnwindSafe(|| drive.step());
            if let Err(panic) = std::panic::catch_unwind(step) {
                eprintln!("seed {seed}, operation {number}");
                std::panic::resume_unwind(panic);
            }
        }
        drive.finish();
    }
}
