//! A participant that does whatever it is told, and looks at each body that it is given.

use crate::ground::body::{PROOF_BYTES, fill, is_sealed, sealed};
use crate::ground::input::Input;
use ringmain::{Batch, Claim, Error, ManualClock, Mapped, MessageId, Queue, Receipt, Received};
use std::time::Duration;

/// A queue on a clock that is set by hand.
pub type Hands<'q> = Queue<&'q Mapped, &'q ManualClock>;

type One<'q> = Received<'q, &'q Mapped, &'q ManualClock>;

/// How many operations there are.
const OPERATIONS: u8 = 28;
const HELD_MAX: usize = 12;
const CLAIMS_MAX: usize = 4;
const RECEIPTS_MAX: usize = 24;
const MS: Duration = Duration::from_millis(1);
/// Longer than any delay.
const DELAY_MAX: Duration = Duration::from_secs(901);
/// After this many calls of `tend` a participant has put missing bits, whatever it began with.
pub const TENDS: usize = 101;

/// One participant, and what it has in its hands.
pub struct Player<'q> {
    queue: &'q Hands<'q>,
    clock: &'q ManualClock,
    held: Vec<One<'q>>,
    claims: Vec<Claim<'q, &'q Mapped, &'q ManualClock>>,
    receipts: Vec<Receipt>,
    /// Whether each body must be one that was sent whole.
    sound: bool,
    seed: u64,
}

/// Lengths of bodies: of one slot, of some, of more than 64, and what is refused.
const LENS: [usize; 12] = [8, 9, 16, 24, 31, 32, 33, 96, 97, 300, 4200, REFUSED];
/// Longer than any body of the region.
const REFUSED: usize = 40_000;
/// Visibility timeouts, ms.
const TIMEOUTS_MS: [u64; 7] = [0, 1, 20, 1000, 60_000, 43_200_000, 43_200_001];

impl<'q> Player<'q> {
    pub fn new(queue: &'q Hands<'q>, clock: &'q ManualClock, sound: bool) -> Self {
        Self {
            queue,
            clock,
            held: Vec::new(),
            claims: Vec::new(),
            receipts: Vec::new(),
            sound,
            seed: 1000,
        }
    }

    /// From now on a body may be anything: somebody may have given it a right checksum.
    pub fn trusts_nothing(&mut self) {
        self.sound = false;
    }

    /// Does one operation, drawn from the input.
    pub fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte() % OPERATIONS;
        let argument = input.byte() as usize;
        self.does(operation, argument);
    }

    /// Does every operation there is, once; all but the last, which is slow.
    pub fn everything(&mut self) {
        for operation in 0..OPERATIONS - 1 {
            self.does(operation, 3 + operation as usize);
        }
    }

    fn does(&mut self, operation: u8, argument: usize) {
        match operation {
            0..=4 => self.send(operation, argument),
            5..=9 => self.receive(operation, argument),
            10..=15 => self.settle_held(operation, argument),
            16..=21 => self.settle_by_receipt(operation, argument),
            22 => tell(self.queue.stat()),
            23 => tell(self.queue.tend()),
            24 => self.clock.advance(time(argument)),
            25 => {
                if argument.is_multiple_of(8) {
                    tell(self.queue.purge());
                }
            }
            26 => {
                let wait = if argument.is_multiple_of(64) {
                    MS
                } else {
                    Duration::ZERO
                };
                let received = told(self.queue.receive_timeout(wait)).flatten();
                self.take(received);
            }
            _ => {
                // Another attachment comes and goes; the names are kept in texts meanwhile.
                let region = Mapped::open(self.queue.region().path());
                if let Some(region) = told(region) {
                    tell(Queue::open_with(&region, self.clock));
                }
                for receipt in &mut self.receipts {
                    let read = receipt.to_string().parse::<Receipt>();
                    // What damaged memory named may be no receipt.
                    *receipt = read.unwrap_or(*receipt);
                }
            }
        }
    }

    fn body(&mut self, argument: usize) -> Vec<u8> {
        self.seed += 1;
        match LENS[argument % LENS.len()] {
            REFUSED => vec![0; REFUSED],
            len => sealed(self.seed, len),
        }
    }

    fn send(&mut self, operation: u8, argument: usize) {
        match operation {
            0 | 1 => {
                let body = self.body(argument);
                tell(self.queue.send(&body));
            }
            2 => {
                let count = argument % 12;
                let bodies: Vec<_> = (0..count).map(|n| self.body(n * argument)).collect();
                if let Some(outcomes) = told(self.queue.send_batch(&bodies)) {
                    assert_eq!(outcomes.len(), count, "an outcome for each body");
                    outcomes.into_iter().for_each(tell);
                }
            }
            3 => {
                let len = LENS[argument % LENS.len()].max(PROOF_BYTES);
                if let Some(claim) = told(self.queue.claim(len)) {
                    assert_eq!(claim.len(), len, "the room that was asked for");
                    if self.claims.len() < CLAIMS_MAX {
                        self.claims.push(claim);
                    }
                }
            }
            _ => {
                if let Some(mut claim) = self.claims.pop() {
                    // Filled now: before this somebody might have written into it.
                    self.seed += 1;
                    fill(self.seed, &mut claim);
                    if argument.is_multiple_of(4) {
                        claim.abort();
                    } else {
                        claim.commit();
                    }
                }
            }
        }
    }

    fn receive(&mut self, operation: u8, argument: usize) {
        match operation {
            5 => {
                let received = told(self.queue.receive()).flatten();
                self.take(received);
            }
            6 => {
                let batch = told(self.queue.receive_batch(argument % 12));
                self.take_all(batch);
            }
            7 => {
                let batch = self
                    .queue
                    .receive_batch_for(1 + argument % 10, time(argument / 10));
                self.take_all(told(batch));
            }
            8 => {
                let mut buffer = [0; 5000];
                let len = LENS[argument % LENS.len()].min(buffer.len());
                if let Some(copied) = told(self.queue.receive_into(&mut buffer[..len])).flatten() {
                    self.look(&buffer[..copied.len]);
                    self.remember(copied.receipt);
                }
            }
            _ => {
                // All of them settled as they came, by tens.
                let Some(mut batch) = told(self.queue.receive_batch(10)) else {
                    return;
                };
                batch.iter().for_each(|received| self.look(received.body()));
                let len = batch.len();
                let extended = batch.extend(time(argument));
                let settled = if argument.is_multiple_of(2) {
                    batch.delete()
                } else {
                    batch.release()
                };
                assert_eq!([extended.len(), settled.len()], [len; 2], "all told");
            }
        }
    }

    fn settle_held(&mut self, operation: u8, argument: usize) {
        if self.held.is_empty() {
            return;
        }
        let at = argument % self.held.len();
        match operation {
            10 | 11 => tell(self.held.swap_remove(at).delete()),
            12 => tell(self.held[at].extend(time(argument))),
            13 => tell(self.held.swap_remove(at).release()),
            14 => {
                let receipt = self.held.swap_remove(at).detach();
                self.remember(receipt);
            }
            _ => {
                let received = self.held.swap_remove(at);
                self.remember(received.receipt());
                let names = (received.id(), received.sent_ms(), received.receive_count());
                assert!(!format!("{names:?} {received:?}").is_empty());
            }
        }
    }

    fn settle_by_receipt(&mut self, operation: u8, argument: usize) {
        let Some(&receipt) = self.receipts.get(argument % self.receipts.len().max(1)) else {
            return;
        };
        let some = &self.receipts[..self.receipts.len().min(argument % 12)];
        match operation {
            16 => tell(self.queue.delete(&receipt)),
            17 => tell(self.queue.extend(&receipt, time(argument))),
            18 => tell(self.queue.release(&receipt)),
            19 => tell(self.queue.delete_batch(some)),
            20 => tell(self.queue.extend_batch(some, time(argument))),
            _ => tell(self.queue.release_batch(some)),
        }
    }

    fn take_all(&mut self, batch: Option<Batch<'q, &'q Mapped, &'q ManualClock>>) {
        batch
            .into_iter()
            .flatten()
            .for_each(|received| self.take(Some(received)));
    }

    fn take(&mut self, received: Option<One<'q>>) {
        let Some(received) = received else { return };
        self.look(received.body());
        self.remember(received.receipt());
        if self.held.len() == HELD_MAX {
            drop(self.held.remove(0));
        }
        self.held.push(received);
    }

    fn remember(&mut self, receipt: Receipt) {
        if self.receipts.len() == RECEIPTS_MAX {
            self.receipts.remove(0);
        }
        self.receipts.push(receipt);
    }

    /// Reads all of a body that was delivered just now.
    fn look(&self, body: &[u8]) {
        assert!(
            !body.is_empty() && body.len() <= self.queue.max_body(),
            "a body's length"
        );
        let whole = is_sealed(body);
        assert!(
            whole || !self.sound,
            "{} bytes that nobody sent: {body:?}",
            body.len()
        );
    }

    /// Lets everything go, lets every timeout run out, and takes out all that comes; at last one
    /// message is sent and must come back. `tends` times it is asked who has died.
    pub fn ends(mut self, tends: usize) {
        self.claims.clear();
        self.held.clear();
        for _ in 0..tends {
            tell(self.queue.tend());
        }
        self.clock.advance(Duration::from_secs(13 * 3600));
        self.empties();
        self.clock.advance(Duration::from_secs(25 * 86_400));
        self.empties();
        self.seed += 1;
        let last = sealed(self.seed, 24);
        // Damaged words may have taken every slot for ever: then it is full, and says so.
        let Some(id) = told(self.queue.send(&last)) else {
            return;
        };
        self.clock.advance(DELAY_MAX); // what a damaged setting may say
        for _ in 0..self.queue.capacity() {
            match told(self.queue.receive_batch(10)) {
                Some(batch) if !batch.is_empty() => {
                    if let Some(found) = batch.iter().find(|received| received.id() == id) {
                        assert_eq!(found.body(), last, "the last message's body");
                        batch.delete();
                        return;
                    }
                    batch.delete();
                }
                _ => break,
            }
        }
        let stat = self.queue.stat();
        let delays = stat.as_ref().is_ok_and(|stat| !stat.delay.is_zero());
        assert!(
            delays && self.stands_still(id),
            "{id} was sent, and does not come: {stat:?}"
        );
    }

    /// Whether the region's time is what it was when `id` was sent, before the clock went on: a
    /// latest time far ahead stands still, and no delay is ever over.
    fn stands_still(&self, id: MessageId) -> bool {
        let next = told(self.queue.send(&sealed(self.seed + 1, 24)));
        let sent_ms = |id: MessageId| id.as_u128() as u64 & ((1 << 44) - 1);
        next.is_some_and(|next| sent_ms(next) == sent_ms(id))
    }

    /// Receives and deletes until nothing comes. Each message comes at most a few times, so this
    /// has an end.
    fn empties(&self) {
        for _ in 0..4 * self.queue.capacity() {
            let Some(batch) = told(self.queue.receive_batch(10)) else {
                return;
            };
            if batch.is_empty() {
                return;
            }
            batch.iter().for_each(|received| self.look(received.body()));
            batch.delete();
        }
    }
}

fn time(argument: usize) -> Duration {
    Duration::from_millis(TIMEOUTS_MS[argument % TIMEOUTS_MS.len()])
}

/// What came of a call; an error has words, and none of them is about the system.
pub fn told<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let words = error.to_string();
            assert!(
                words.len() > 5 && words != "error",
                "{error:?} says {words:?}"
            );
            assert!(
                !matches!(error, Error::Os { .. } | Error::Forked),
                "{error}"
            );
            None
        }
    }
}

/// As [`told`], for what is not used.
fn tell<T>(result: Result<T, Error>) {
    drop(told(result));
}
