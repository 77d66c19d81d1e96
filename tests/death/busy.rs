//! The busy survivor: a process that sends, receives and deletes on the same queue while another
//! is traced and killed, on another processor if there is one. It carries out one order at a time.

use super::board::{BUSY_FIRST, Board, Fault, SEEDS, monotonic_ns, state, who};
use super::ground::{Held, Jobs, ONE, RUN, open_both, open_or_create, send};
use super::stage::sound;
use super::survivor::check_again;
use super::tracer::{Pid, end_child, fork, is_asleep, pin_to, told, wait_for};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// What it is told to do: the low bits of an order, whose others count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Order {
    /// Open the queue.
    Open,
    /// Open or create region and queue, again and again, and use them.
    Create,
    /// Send, receive and delete until the next order.
    Work,
    /// Open the queue, whatever state others have left it in, and work.
    Join,
    /// Receive what is left.
    Drain,
    /// Sleep until a message comes.
    Wait,
    /// Leave the region.
    Leave,
}
const ORDERS: [Order; 7] = [
    Order::Open,
    Order::Create,
    Order::Work,
    Order::Join,
    Order::Drain,
    Order::Wait,
    Order::Leave,
];
/// Nothing that it is told takes this long, on a busy machine neither.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many messages of its own it leaves in the queue: so that others find some too.
const WAITING_MIN: u32 = 6;
const WAITING_MAX: u32 = 12;
/// How often it looks who has died: seldom enough that others come first.
const TEND_LAPS: u64 = 256;

/// The tracer's side.
pub struct Busy {
    board: &'static Board,
    pid: Pid,
}

impl Busy {
    /// Forks it; it opens nothing yet.
    pub fn start(board: &'static Board, path: &Path, cpu: usize) -> Self {
        Self::start_as(board, cpu, |inbox| {
            let worker = Worker {
                board,
                path,
                inbox,
                queue: None,
                dead: None,
                waiting: 0,
            };
            worker.run()
        })
    }

    /// Forks one that does `work` by the orders that it gets.
    pub fn start_as(board: &'static Board, cpu: usize, work: impl FnOnce(Inbox) -> i32) -> Self {
        let inbox = Inbox {
            board,
            last: board.busy.order.load(SeqCst),
        };
        let pid = fork(|| {
            pin_to(cpu);
            work(inbox)
        });
        Self { board, pid }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Gives an order.
    pub fn tell(&self, order: Order) {
        let word = &self.board.busy.order;
        let next = ((word.load(SeqCst) >> 3) + 1) << 3 | order as u32;
        word.store(next, SeqCst);
        futex(word, libc::FUTEX_WAKE, 1);
    }

    /// Waits until the last order is carried out. `false`: it hangs, or is gone.
    pub fn has_done(&self) -> bool {
        let busy = &self.board.busy;
        self.waits(|| busy.done.load(SeqCst) == busy.order.load(SeqCst))
    }

    /// Waits for another lap of its work.
    pub fn goes_on(&self) -> bool {
        let laps = self.board.busy.laps.load(SeqCst);
        self.waits(|| self.board.busy.laps.load(SeqCst) > laps + 1)
    }

    pub fn waits(&self, what: impl Fn() -> bool) -> bool {
        let begun = Instant::now();
        let mut looks = 0u32;
        while !what() {
            looks += 1;
            std::thread::yield_now();
            if looks.is_multiple_of(1024) {
                if let Some(status) = wait_for(self.pid, libc::WNOHANG) {
                    panic!("the busy survivor {}", told(status));
                }
                if begun.elapsed() > PATIENCE {
                    self.board
                        .fault(Fault::Stuck, 0, "the busy survivor does not go on");
                    return false;
                }
            }
        }
        true
    }

    /// Whether it sleeps, as the kernel says.
    pub fn sleeps(&self) -> bool {
        is_asleep(self.pid)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        end_child(self.pid);
    }
}

/// Where the orders come from.
pub struct Inbox {
    board: &'static Board,
    last: u32,
}

impl Inbox {
    /// Waits for the next order; it and the word that says that it is done.
    pub fn next(&mut self) -> (Order, u32) {
        let word = &self.board.busy.order;
        let mut looks = 0u32;
        loop {
            let order = word.load(SeqCst);
            if order != self.last {
                self.last = order;
                return (ORDERS[(order & 7) as usize], order);
            }
            looks += 1;
            if looks > 20_000 {
                futex(word, libc::FUTEX_WAIT, order);
            }
            std::hint::spin_loop();
        }
    }

    /// Whether there is another order by now.
    pub fn is_told(&self) -> bool {
        self.board.busy.order.load(SeqCst) != self.last
    }
}

/// The process's own side.
struct Worker<'p> {
    board: &'static Board,
    path: &'p Path,
    inbox: Inbox,
    queue: Option<Jobs>,
    dead: Option<Jobs>,
    waiting: u32,
}

impl Worker<'_> {
    fn run(mut self) -> i32 {
        loop {
            let (what, order) = self.inbox.next();
            match what {
                Order::Open => self.open(),
                Order::Create => {
                    self.board.busy.done.store(order, SeqCst);
                    self.create();
                }
                Order::Work => {
                    self.board.busy.done.store(order, SeqCst);
                    self.work();
                }
                Order::Join => {
                    self.board.busy.done.store(order, SeqCst);
                    self.open();
                    self.work();
                }
                Order::Drain => self.drain(),
                Order::Wait => self.wait(),
                Order::Leave => (self.queue, self.dead) = (None, None),
            }
            self.board.busy.done.store(order, SeqCst);
        }
    }

    fn open(&mut self) {
        let (queue, dead) = open_both(self.board, self.path);
        (self.queue, self.dead) = (Some(queue), dead);
        self.waiting = 0;
    }

    fn queue(&self) -> &Jobs {
        self.queue.as_ref().expect("opened before")
    }

    fn work(&mut self) {
        let mut lap = 0u64;
        while !self.inbox.is_told() {
            lap += 1;
            self.send(lap);
            self.receive(lap);
            if lap.is_multiple_of(TEND_LAPS) && self.queue().tend().is_err() {
                self.board.fault(Fault::Stuck, 0, "tending failed");
            }
            self.board.busy.laps.fetch_add(1, SeqCst);
        }
    }

    fn create(&mut self) {
        // Now before the traced one, now after it.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_micros((self.inbox.last as u64 >> 3) % 64 * 4) {
            std::hint::spin_loop();
        }
        while !self.inbox.is_told() {
            match open_or_create(self.board, self.path) {
                Ok(queue) => {
                    self.queue = Some(queue);
                    self.send(1);
                    self.receive(1);
                }
                Err(_) => self
                    .board
                    .fault(Fault::Stuck, 0, "neither opens nor creates"),
            }
            self.board.busy.laps.fetch_add(1, SeqCst);
        }
        // The last one stays open.
    }

    fn send(&mut self, lap: u64) {
        let board = self.board;
        let len = if lap.is_multiple_of(4) { RUN } else { ONE };
        let number = board.busy.sent.load(SeqCst);
        let seed = BUSY_FIRST + number as u64;
        if self.waiting >= WAITING_MAX || seed as usize >= SEEDS {
            return;
        }
        board.busy.sent.store(number + 1, SeqCst);
        if send(board, self.queue(), seed, len).is_ok() {
            self.waiting += 1;
        }
    }

    fn receive(&mut self, lap: u64) {
        let board = self.board;
        let max = match board.dead.load(SeqCst) {
            0 => self.waiting.saturating_sub(WAITING_MIN).min(4) as usize,
            _ => 4, // what the dead one held, too
        };
        if max == 0 {
            return;
        }
        let Ok(batch) = self.queue().receive_batch(max) else {
            return board.fault(Fault::Stuck, 0, "a receive failed");
        };
        let own = batch.into_iter().map(|held| self.came(held, lap) as u32);
        let mut own: u32 = own.sum();
        if let Some(dead) = &self.dead {
            let Ok(batch) = dead.receive_batch(max) else {
                return board.fault(Fault::Stuck, 0, "a receive failed");
            };
            own += batch
                .into_iter()
                .map(|held| self.came(held, 0) as u32)
                .sum::<u32>();
        }
        self.waiting = self.waiting.saturating_sub(own);
    }

    fn drain(&mut self) {
        self.drain_one(self.queue());
        if let Some(dead) = &self.dead {
            self.drain_one(dead);
        }
    }

    fn drain_one(&self, queue: &Jobs) {
        for _ in 0..1000 {
            let batch = queue.receive_batch(10);
            let batch = batch.expect("received");
            if batch.is_empty() {
                return;
            }
            for held in batch {
                self.came(held, 0);
            }
        }
        self.board
            .fault(Fault::Stuck, 0, "the queue does not become empty");
    }

    /// Checks a message and settles it. `true`: one of its own is out of the queue.
    fn came(&self, held: Held<'_>, lap: u64) -> bool {
        let board = self.board;
        let Some((entry, seed)) = sound(board, held.body()) else {
            return false;
        };
        check_again(board, seed);
        entry.holder.store(who::BUSY, SeqCst);
        let dead = board.dead.load(SeqCst) != 0;
        if dead && entry.came_ns.load(SeqCst) == 0 {
            entry.came_ns.store(monotonic_ns(), SeqCst);
        }
        if lap % 8 == 5 {
            entry.holder.store(0, SeqCst);
            complain(board, held.release().is_ok(), seed);
            return false;
        }
        entry.add(state::DELETING);
        entry.holder.store(0, SeqCst);
        let deleted = if lap % 8 == 7 {
            let receipt = held.receipt();
            drop(held); // in flight still, as this process lives
            self.queue().delete(&receipt).is_ok()
        } else {
            held.delete().is_ok()
        };
        if deleted {
            entry.add(state::DELETED);
        }
        complain(board, deleted, seed);
        seed >= BUSY_FIRST
    }

    fn wait(&self) {
        match self.queue().receive_timeout(PATIENCE) {
            Ok(Some(held)) => {
                self.came(held, 0);
            }
            _ => self.board.fault(Fault::Stuck, 0, "a waiter is not woken"),
        }
    }
}

fn complain(board: &Board, right: bool, seed: u64) {
    if !right && board.purging.load(SeqCst) == 0 {
        board.fault(
            Fault::Taken,
            seed,
            "what the busy survivor holds, it cannot settle",
        );
    }
}

/// Sleeps on a word of the board, or wakes who does.
fn futex(word: &AtomicU32, operation: i32, value: u32) {
    // SAFETY: the word is live and aligned; no timeout is given.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word as *const AtomicU32,
            operation,
            value,
            std::ptr::null::<libc::timespec>(),
        );
    }
}
