//! What a child does: a random history on a journaled queue, each step told before and after.

use super::handle::Handle;
use super::tale::Note;
use crate::common::Numbers;
use crate::plan::{Level, Plan, spell};
use crate::tale::{NOW, Note as _, seed, seed_of};
use ringmain::{
    Durability, Error, FifoOptions, FifoQueue, Mapped, Outcomes, Queue, QueueOptions, Receipt,
};
use std::path::Path;
use std::time::Duration;

/// A queue's size and the bodies that are sent to it.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub region: u64,
    pub typical: usize,
    pub longest: usize,
    /// Of 100 bodies, how many are about as long as the longest one.
    pub long: u64,
    /// Of a FIFO queue: for how many seconds an id is remembered, and how many are.
    pub ids: Option<[u64; 2]>,
}

/// The forms: slots of 128 bytes; with runs over several blocks; slots of a page; few slots. And
/// FIFO queues: one whose ids count to the end, and one that uses their entries again.
pub const FORMS: [Form; 6] = [
    Form {
        region: 64 << 10,
        typical: 96,
        longest: 3000,
        long: 5,
        ids: None,
    },
    Form {
        region: 160 << 10,
        typical: 96,
        longest: 24_000,
        long: 4,
        ids: None,
    },
    Form {
        region: 400 << 10,
        typical: 4064,
        longest: 4064,
        long: 80,
        ids: None,
    },
    Form {
        region: 60 << 10,
        typical: 992,
        longest: 4000,
        long: 10,
        ids: None,
    },
    Form {
        region: 700 << 10,
        typical: 96,
        longest: 3000,
        long: 5,
        ids: Some([86_400, 2000]),
    },
    Form {
        region: 160 << 10,
        typical: 96,
        longest: 3000,
        long: 5,
        ids: Some([1, 300]),
    },
];

impl Form {
    pub fn options(&self, level: Level) -> QueueOptions {
        QueueOptions::new()
            .typical_body(self.typical)
            .max_body(self.longest)
            .visibility(Duration::from_secs(3600))
            .retention(Duration::from_secs(14 * 86_400))
            .durability(level.durability())
    }

    fn fifo_options(&self, level: Level) -> FifoOptions {
        let [seconds, ids] = self.ids.unwrap_or_default();
        FifoOptions::new()
            .typical_body(self.typical)
            .max_body(self.longest)
            .visibility(Duration::from_secs(3600))
            .retention(Duration::from_secs(14 * 86_400))
            .durability(level.durability())
            .dedup_interval(Duration::from_secs(seconds))
            .dedup_ids(ids)
    }

    /// Bytes of some body.
    fn len(&self, numbers: &mut Numbers) -> usize {
        let len = match numbers.below(100) {
            some if some < self.long => {
                self.longest - numbers.below(self.longest as u64 / 4) as usize
            }
            some if some < self.long + 20 => numbers.below(self.longest as u64 / 4) as usize,
            _ => numbers.below(self.typical as u64) as usize,
        };
        len.max(8)
    }
}

/// Makes the queue of a history.
pub fn make(path: &Path, level: Level, form: Form) {
    let region = Mapped::create(path, form.region).expect("a region");
    match form.ids {
        None => drop(Queue::create(&region, form.options(level)).expect("a queue")),
        Some(_) => drop(FifoQueue::create(&region, form.fifo_options(level)).expect("a queue")),
    }
}

/// The child: exits with 0 if all went as it should.
pub fn run(plan: &Plan<Form>) -> i32 {
    if plan.look {
        let region = Mapped::open(&plan.path).expect("the region");
        match plan.form.ids {
            None => look(&Queue::open(&region).expect("the queue")),
            Some(_) => look(&FifoQueue::open(&region).expect("the queue")),
        }
    }
    plan.by_threads(|who| Worker::new(plan, who).work());
    0
}

/// Tells what is there, and makes sure that nothing else will be.
fn look(queue: &impl Handle) {
    let seeds = queue.there();
    for some in seeds.chunks(256) {
        Note::Seen(some.to_vec()).tell();
    }
    for _ in 0..100 {
        match queue.sync() {
            Ok(_) => return Note::Looked.tell(),
            Err(Error::NotDurable { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("a hundred syncs have failed");
}

/// How a worker goes on for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Everything, with more sent than deleted.
    Filling,
    /// Everything, with more deleted than sent.
    Emptying,
    /// Short commits, one after the other, so that the journal's ring goes round over few messages.
    Calm,
    /// As much as there is room for, in long commits.
    Burst,
}

pub struct Worker<'p> {
    plan: &'p Plan<Form>,
    who: u64,
    numbers: Numbers,
    sent: u64,
    /// Received and neither deleted nor released.
    held: Vec<(Receipt, u64)>,
    mood: Mood,
    /// How often it has tried to purge: its clock is a minute further ahead each time, so that no
    /// message that outlives a purge is too old by that.
    purges: u64,
    /// The disk failed, or a child died before this one: a purge makes the next commit a short
    /// one.
    troubled: bool,
}

impl<'p> Worker<'p> {
    fn new(plan: &'p Plan<Form>, who: u64) -> Self {
        Self {
            plan,
            who,
            numbers: plan.numbers(who),
            sent: 0,
            held: Vec::new(),
            mood: Mood::Filling,
            purges: 0,
            troubled: plan.child != 1,
        }
    }

    fn work(&mut self) {
        let mut left = self.plan.steps;
        while let Some(some) = spell(&mut left, &mut self.numbers) {
            self.held.clear(); // what is in flight comes back when the attachment goes
            let region = Mapped::open(&self.plan.path).expect("the region");
            match self.plan.form.ids {
                None => self.steps(&Queue::open(&region).expect("the queue"), some),
                Some(_) => self.steps(&FifoQueue::open(&region).expect("the queue"), some),
            }
        }
    }

    fn steps(&mut self, queue: &impl Handle, some: u64) {
        for _ in 0..some {
            match self.plan.is_at_process(&mut self.numbers) {
                true => queue.step_at_process(self),
                false => self.operate(queue),
            }
        }
    }

    pub fn operate(&mut self, queue: &impl Handle) {
        if std::mem::take(&mut self.troubled) && self.numbers.below(4) == 0 {
            return self.purge(queue);
        }
        match self.mood {
            Mood::Filling | Mood::Emptying => self.anything(queue),
            Mood::Calm => self.rest(queue),
            Mood::Burst => self.burst(queue),
        }
    }

    fn anything(&mut self, queue: &impl Handle) {
        if self.numbers.below(40) == 0 {
            let moods = [Mood::Filling, Mood::Emptying, Mood::Calm];
            self.mood = moods[self.numbers.below(3) as usize];
        }
        let filling = self.mood == Mood::Filling;
        match self.numbers.below(100) {
            0..18 => self.send(queue),
            18..26 if filling => self.send(queue),
            26..36 if filling => self.send_batch(queue),
            36..39 => self.fill(queue),
            39..48 => self.receive(queue),
            18..36 => self.receive_batch(queue),
            48..64 => self.receive_batch(queue),
            64..74 => self.settle_one(queue),
            74..82 => self.settle_batch(queue),
            82..91 => Note::Durable(queue.durable_position()).tell(),
            91 if self.numbers.below(8) == 0 => self.purge(queue),
            _ => self.sync(queue),
        }
    }

    /// Deletes what may go, a message sent and deleted at a time.
    fn rest(&mut self, queue: &impl Handle) {
        match self.numbers.below(8) {
            0 => self.receive_batch(queue),
            1 => self.settle_batch(queue),
            2..5 => self.send_short(queue),
            _ => self.sync(queue),
        }
        if self.numbers.below(120) == 0 {
            self.mood = Mood::Burst;
        }
    }

    fn burst(&mut self, queue: &impl Handle) {
        self.send_batch(queue);
        if self.numbers.below(16) == 0 {
            self.sync(queue);
            self.mood = Mood::Emptying;
        }
    }

    fn next_seed(&mut self) -> u64 {
        let len = self.plan.form.len(&mut self.numbers);
        self.sent += 1;
        seed(self.plan.number(self.who, self.sent), len)
    }

    /// The position that makes durable what has just been done.
    fn position(queue: &impl Handle, waited: bool) -> u64 {
        if waited && queue.durability() == Durability::BeforeOk {
            return NOW;
        }
        queue.position()
    }

    /// Sorts what was done by whether it is on the disk, and tells it.
    fn tell<T>(
        &mut self,
        queue: &impl Handle,
        seeds: &[u64],
        outcomes: &Outcomes<T>,
        note: fn(u64, Vec<u64>) -> Note,
    ) {
        assert_eq!(seeds.len(), outcomes.len());
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for (&seed, outcome) in seeds.iter().zip(outcomes) {
            match outcome {
                Ok(_) => now.push(seed),
                Err(Error::NotDurable { .. }) => later.push(seed),
                Err(Error::Full | Error::DeduplicationFull { .. }) => {}
                // By a purge's clock its time is over, in a FIFO queue.
                Err(Error::ExpiredReceipt | Error::StaleReceipt) => {}
                Err(other) => panic!("{other}"),
            }
        }
        self.troubled |= !later.is_empty();
        for (seeds, waited) in [(now, true), (later, false)] {
            if !seeds.is_empty() {
                note(Self::position(queue, waited), seeds).tell();
            }
        }
    }

    fn tell_one<T>(
        &mut self,
        queue: &impl Handle,
        seed: u64,
        outcome: Result<T, Error>,
        note: fn(u64, Vec<u64>) -> Note,
    ) {
        let mut outcomes = Outcomes::new();
        let _ = outcomes.push(outcome); // one of ten
        self.tell(queue, &[seed], &outcomes, note);
    }

    fn send(&mut self, queue: &impl Handle) {
        let seed = self.next_seed();
        Note::Sending(vec![seed]).tell();
        self.tell_one(queue, seed, queue.send(seed), Note::Sent);
    }

    fn send_short(&mut self, queue: &impl Handle) {
        self.sent += 1;
        let seed = seed(self.plan.number(self.who, self.sent), 8);
        Note::Sending(vec![seed]).tell();
        let outcome = queue.send(seed);
        self.tell_one(queue, seed, outcome, Note::Sent);
    }

    fn send_batch(&mut self, queue: &impl Handle) {
        let count = 1 + self.numbers.below(10);
        let seeds: Vec<u64> = (0..count).map(|_| self.next_seed()).collect();
        Note::Sending(seeds.clone()).tell();
        let outcomes = queue.send_batch(&seeds);
        self.tell(queue, &seeds, &outcomes, Note::Sent);
    }

    /// Sends by filling in place, which does not wait for the disk.
    fn fill(&mut self, queue: &impl Handle) {
        let seed = self.next_seed();
        match queue.fill(seed, || Note::Sending(vec![seed]).tell()) {
            Ok(true) => Note::Sent(Self::position(queue, false), vec![seed]).tell(),
            Ok(false) => self.send(queue),
            Err(Error::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn receive<Q: Handle>(&mut self, queue: &Q) {
        let Some(received) = queue.receive_batch(1).pop() else {
            return;
        };
        let seed = seed_of(received.body()).expect("a whole body");
        match self.numbers.below(8) {
            _ if Q::stays(seed) => Self::release(received.release()),
            0 => Self::release(received.release()),
            1 => drop(received),
            2..=4 => self.held.push((received.detach(), seed)),
            _ => {
                Note::Deleting(vec![seed]).tell();
                self.tell_one(queue, seed, received.delete(), Note::Deleted);
            }
        }
    }

    /// A purge may have taken it.
    fn release(outcome: Result<(), Error>) {
        match outcome {
            Ok(()) | Err(Error::NotInFlight | Error::StaleReceipt) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn receive_batch<Q: Handle>(&mut self, queue: &Q) {
        let max = 1 + self.numbers.below(10) as usize;
        let mut batch = queue.receive_batch(max);
        let seed = |body: &[u8]| seed_of(body).expect("a whole body");
        if self.numbers.below(3) == 0 {
            while let Some(received) = batch.pop() {
                let seed = seed(received.body());
                if Q::stays(seed) {
                    Self::release(received.release());
                } else {
                    self.held.push((received.detach(), seed));
                }
            }
            return;
        }
        while batch.last().is_some_and(|last| Q::stays(seed(last.body()))) {
            if let Some(last) = batch.pop() {
                Self::release(last.release());
            }
        }
        let seeds: Vec<u64> = batch.iter().map(|r| seed(r.body())).collect();
        if !seeds.is_empty() {
            Note::Deleting(seeds.clone()).tell();
            self.tell(queue, &seeds, &batch.delete(), Note::Deleted);
        }
    }

    fn settle_one(&mut self, queue: &impl Handle) {
        if self.held.is_empty() {
            return self.receive(queue);
        }
        let which = self.numbers.below(self.held.len() as u64) as usize;
        let (receipt, seed) = self.held.swap_remove(which);
        if self.numbers.below(3) == 0 {
            return Self::release(queue.release(&receipt));
        }
        Note::Deleting(vec![seed]).tell();
        self.tell_one(queue, seed, queue.delete(&receipt), Note::Deleted);
    }

    fn settle_batch(&mut self, queue: &impl Handle) {
        let some = self.held.len().min(10);
        let (receipts, seeds): (Vec<Receipt>, Vec<u64>) = self.held.drain(..some).unzip();
        if some == 0 {
            return self.receive_batch(queue);
        }
        Note::Deleting(seeds.clone()).tell();
        let outcomes = queue.delete_batch(&receipts);
        self.tell(queue, &seeds, &outcomes, Note::Deleted);
    }

    fn purge(&mut self, queue: &impl Handle) {
        Note::Purging(self.who).tell();
        let waited = loop {
            self.purges += 1;
            match queue.purge(self.purges) {
                Ok(_) => break true,
                Err(Error::NotDurable { .. }) => break false,
                Err(Error::PurgedRecently { .. }) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        };
        Note::Purged(Self::position(queue, waited), self.who).tell();
    }

    fn sync(&mut self, queue: &impl Handle) {
        match queue.sync() {
            Ok(position) => Note::Durable(position.as_u64()).tell(),
            Err(Error::NotDurable { .. }) => self.troubled = true,
            Err(other) => panic!("{other}"),
        }
    }
}
