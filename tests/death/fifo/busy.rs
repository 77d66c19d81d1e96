//! The busy survivor of a FIFO queue: a process that sends to the groups of the traced one, and
//! with its ids, and receives and releases all the while. Few ids can be remembered, so it sends
//! now and then, and deletes as seldom.

use super::super::board::{BUSY_FIRST, Board, Entry, Fault, SEEDS, monotonic_ns};
use super::super::board::{seeds, state, who};
use super::super::busy::{self, Inbox, Order};
use super::super::ground::{ONE, RUN};
use super::super::stage::sound;
use super::super::survivor::check_again;
use super::super::tracer::Pid;
use super::super::world::World;
use super::ground::{Held, Orders, open};
use super::ledger::{group_name, send};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// How many messages of its own it sends in a round, and how often it uses another one's id.
const SENT_MAX: u32 = 24;
const AGAIN_MAX: u32 = 100;
/// Groups that it sends to.
const GROUPS: u32 = 4;

/// The tracer's side.
pub struct Busy(busy::Busy);

impl Busy {
    pub fn start(world: &World) -> Self {
        let (board, path) = (world.board, world.path.clone());
        let work = move |inbox| Worker::run(board, &path, inbox);
        Self(busy::Busy::start_as(board, world.other_cpu(), work))
    }

    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    pub fn opens(&self) {
        self.0.tell(Order::Open);
        self.0.has_done();
    }

    /// Lets it begin, and waits until it is at it.
    pub fn works(&self) {
        self.0.tell(Order::Work);
        self.0.goes_on();
    }

    /// Lets it go on a little after a death, and leave. `false`: it hangs.
    pub fn leaves(&self) -> bool {
        if !self.0.goes_on() {
            return false;
        }
        self.0.tell(Order::Leave);
        self.0.has_done()
    }
}

/// The process's own side.
struct Worker<'w> {
    board: &'static Board,
    queue: &'w Orders,
    again: u32,
    own: u32,
}

impl Worker<'_> {
    fn run(board: &'static Board, path: &Path, mut inbox: Inbox) -> i32 {
        let mut queue = None;
        loop {
            let (what, order) = inbox.next();
            match what {
                Order::Open => queue = Some(open(board, path)),
                Order::Leave => queue = None,
                _ => {}
            }
            board.busy.done.store(order, SeqCst);
            if what == Order::Work {
                let mut worker = Worker {
                    board,
                    queue: queue.as_ref().expect("opened before"),
                    again: 0,
                    own: 0,
                };
                let mut lap = 0;
                while !inbox.is_told() {
                    lap += 1;
                    worker.lap(lap);
                    board.busy.laps.fetch_add(1, SeqCst);
                }
            }
        }
    }

    fn lap(&mut self, lap: u64) {
        match lap % 8 {
            0 if self.own < SENT_MAX => self.own += self.send_own(lap),
            4 if self.again < AGAIN_MAX => self.again += self.send_again(lap),
            _ => self.receive(lap),
        }
        if lap.is_multiple_of(64) && self.queue.tend().is_err() {
            self.fault(Fault::Stuck, 0, "tending failed");
        }
    }

    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board.fault(fault, seed, what);
    }

    fn next_seed(&self) -> Option<u64> {
        let number = self.board.busy.sent.load(SeqCst);
        let seed = BUSY_FIRST + u64::from(number);
        (seed < SEEDS as u64).then(|| {
            self.board.busy.sent.store(number + 1, SeqCst);
            seed
        })
    }

    fn send_own(&self, lap: u64) -> u32 {
        if let Some(seed) = self.next_seed() {
            let group = 1 + (lap / 8) as u32 % GROUPS;
            let len = if lap.is_multiple_of(24) { RUN } else { ONE };
            // Full is as good: then there is enough to do.
            let _ = send(self.board, self.queue, (seed, group, seed as u32), len);
        }
        1
    }

    /// Sends with an id that the traced one may be sending.
    fn send_again(&self, lap: u64) -> u32 {
        let traced = seeds::TRACED + (lap / 8) % 10;
        let entry = self.board.known(traced);
        if entry.has(state::SENDING)
            && let Some(seed) = self.next_seed()
        {
            let (group, id) = (entry.group.load(SeqCst), entry.id.load(SeqCst));
            let _ = send(self.board, self.queue, (seed, group, id), ONE);
            return 1;
        }
        0
    }

    fn receive(&self, lap: u64) {
        let max = 1 + (lap % 3) as usize;
        let Ok(batch) = self.queue.receive_batch(max) else {
            return self.fault(Fault::Stuck, 0, "a receive failed");
        };
        let mut last = (0, 0);
        let batch: Vec<_> = batch.into_iter().collect();
        for held in &batch {
            self.came(held, &mut last);
        }
        for held in batch {
            self.settle(held, lap);
        }
    }

    fn came(&self, held: &Held<'_>, last: &mut (u32, u64)) {
        let Some((entry, seed)) = sound(self.board, held.body()) else {
            return;
        };
        check_again(self.board, seed);
        let group = entry.group.load(SeqCst);
        if held.group() != Some(&group_name(group)) {
            self.fault(Fault::Damaged, seed, "its group is not what was sent");
        }
        let number = held.sequence_number().map_or(0, |n| n.as_u128() as u64);
        let known = entry.sequence.swap(number, SeqCst);
        if known != 0 && known != number {
            self.fault(Fault::Damaged, seed, "its sequence number is another's");
        }
        if last.0 == group && last.1 >= number {
            self.fault(
                Fault::Reordered,
                seed,
                "comes after a later one of its group",
            );
        }
        *last = (group, number);
        let dead = self.board.dead.load(SeqCst) != 0;
        let locks = |(_, other): (u64, &Entry)| {
            let holder = other.holder.load(SeqCst);
            let lives = holder == who::TRACER || (holder == who::TRACED && !dead);
            lives && other.group.load(SeqCst) == group && !other.has(state::LATE)
        };
        // Looked at again: who has died meanwhile holds nothing.
        if self.board.named().any(locks) && (dead || self.board.dead.load(SeqCst) == 0) {
            self.fault(Fault::Reordered, seed, "came although its group is locked");
        }
        if dead && entry.came_ns.load(SeqCst) == 0 {
            entry.came_ns.store(monotonic_ns(), SeqCst);
        }
        entry.holder.store(who::BUSY, SeqCst);
    }

    /// Releases what it holds, or deletes it.
    fn settle(&self, held: Held<'_>, lap: u64) {
        let Some((entry, seed)) = sound(self.board, held.body()) else {
            return;
        };
        entry.holder.store(0, SeqCst);
        let done = if lap.is_multiple_of(61) {
            entry.add(state::DELETING);
            let done = held.delete();
            if done.is_ok() {
                entry.add(state::DELETED | state::CAME);
            }
            done
        } else {
            held.release()
        };
        if done.is_err() && self.board.purging.load(SeqCst) == 0 {
            self.fault(
                Fault::Taken,
                seed,
                "what the busy survivor holds, it cannot settle",
            );
        }
    }
}
