//! The stop matrix: each operation, stopped by SIGSTOP after an instruction and left so while the
//! others go on; and then continued. Stopped is not dead: nothing is taken from it but by its
//! visibility timeout, and nobody waits for it but who opens or creates.

use super::board::{Board, Fault, seeds, state, who};
use super::ground::{
    Ground, Held, Image, Jobs, ONE, RUN, VISIBILITY, VISIBILITY_MS, dead_of, send,
};
use super::kill::{Living, start};
use super::operations::Operation;
use super::stage::{seed_in, sound};
use super::survivor::{Survivor, check_again};
use super::tracer::{Pid, Stop, Way, end_child, go_on, told, wait_for};
use super::world::{Row, World};
use ringmain::{Error, Receipt};
use std::collections::HashSet;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// What happens before the stopped one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// The others do their work, and take nothing away for good.
    Work,
    /// Time passes, and the others receive what it held.
    Redelivered,
    /// Time passes, the others delete what it held and use the slots again.
    Reused,
}

pub const MEANWHILES: [Meanwhile; 3] = [Meanwhile::Work, Meanwhile::Redelivered, Meanwhile::Reused];

impl Meanwhile {
    pub fn name(self) -> &'static str {
        match self {
            Meanwhile::Work => "work",
            Meanwhile::Redelivered => "redelivered",
            Meanwhile::Reused => "reused",
        }
    }
}

/// Each 100th tending mends; so many see it happen.
const TENDS: u32 = 101;
/// The one who goes on is done within this, or hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One stop. The row gets its faults.
pub fn stop(
    world: &World,
    operation: &Operation,
    ground: &Ground,
    meanwhile: Meanwhile,
    (k, way): (usize, Way),
    row: &mut Row,
) {
    row.rounds += 1;
    stop_once(world, operation, ground, meanwhile, way, row);
    row.take_faults(world.board, k);
}

fn stop_once(
    world: &World,
    operation: &Operation,
    ground: &Ground,
    meanwhile: Meanwhile,
    way: Way,
    row: &mut Row,
) {
    let board = world.board;
    world.begin_round(operation.name);
    ground.lay(board, &world.path);
    let living = Living::new(world, ground.kind());
    let held = living.hold(world, operation);
    let traced = start(world, operation, &held);
    board
        .alone
        .store((meanwhile == Meanwhile::Work) as u32, SeqCst);
    let wake = || living.wake(world, operation);
    let asleep: Option<&dyn Fn()> = operation.asleep.map(|_| &wake as &dyn Fn());
    let stop = traced.advance(way, asleep);
    if let Stop::Astray(status) = stop {
        panic!("{}: the traced one {}", operation.name, told(status));
    }
    row.elsewhere += !stop.is_at_end_of(way) as usize;
    let pid = traced.stop();
    let mut taken = Vec::new();
    living.link(world);
    if let Some(queue) = living.queue() {
        let survivor = Survivor {
            board,
            path: &world.path,
            queue,
            dead: living.dead(),
        };
        let script = Script {
            survivor: &survivor,
            pid,
            own: held.iter().map(|held| seed_in(held.body())).collect(),
        };
        script.work(operation.sets_up, meanwhile);
        if meanwhile != Meanwhile::Work {
            taken = script.time_passes(meanwhile);
        }
    }
    go_on(pid);
    ends(board, pid, &wake);
    board.dead.store(1, SeqCst);

    let made;
    let queue = match living.queue() {
        Some(queue) => queue,
        None => {
            made = living.make_queue(world);
            &made
        }
    };
    let survivor = Survivor {
        board,
        path: &world.path,
        queue,
        dead: living.dead(),
    };
    keeps(board, taken);
    survivor.tend();
    survivor.drain(false);
    survivor.close(held);
}

/// Waits until the one who was let go on has ended as it should.
pub fn ends(board: &Board, pid: Pid, wake: &dyn Fn()) {
    let begun = Instant::now();
    let mut looks = 0u32;
    loop {
        if let Some(status) = wait_for(pid, libc::WNOHANG) {
            if !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
                eprintln!("the one who went on {}", told(status));
                board.fault(
                    Fault::Stuck,
                    status as u64,
                    "who went on did not end rightly",
                );
            }
            return;
        }
        looks += 1;
        if looks < 64 {
            std::thread::yield_now();
            continue;
        }
        wake();
        std::thread::sleep(Duration::from_micros(50)); // between looks at a child
        if begun.elapsed() > PATIENCE {
            board.fault(Fault::Stuck, 0, "who went on does not end");
            return end_child(pid);
        }
    }
}

/// What the survivor received when the stopped one's time was over is its own, whatever that one
/// did when it went on.
fn keeps(board: &Board, taken: Vec<Held<'_>>) {
    for mut held in taken {
        let Some((entry, seed)) = sound(board, held.body()) else {
            continue;
        };
        let purged = board.purging.load(SeqCst) != 0;
        if held.extend(VISIBILITY).is_err() && !purged {
            board.fault(
                Fault::Taken,
                seed,
                "who went on took what is another's by now",
            );
        }
        entry.holder.store(0, SeqCst);
        match held.delete() {
            Ok(()) => entry.add(state::DELETED | state::CAME),
            Err(_) => board.fault(Fault::Taken, seed, "it is no longer the survivor's"),
        }
    }
}

/// What the survivor does while the other one is stopped.
struct Script<'s, 'q> {
    survivor: &'s Survivor<'q>,
    pid: Pid,
    /// What the survivor itself holds.
    own: HashSet<u64>,
}

impl<'q> Script<'_, 'q> {
    fn board(&self) -> &'static Board {
        self.survivor.board
    }

    fn queue(&self) -> &'q Jobs {
        self.survivor.queue
    }

    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board().fault(fault, seed, what);
    }

    /// Every operation, in a bounded number of calls.
    fn work(&self, sets_up: bool, meanwhile: Meanwhile) {
        let image = Image::of(self.survivor.path);
        let index = image.index_of(self.pid);
        // Who was dead before is repaired by this survivor, or by the stopped one when it goes on.
        let living = |owner: u32| owner == 0 || Some(owner) == index;
        let (mut in_flight, of_the_dead): (Vec<_>, Vec<_>) = image
            .held()
            .into_iter()
            .partition(|&(owner, _)| living(owner));
        in_flight.extend(self.held_in_dead());
        let seeds_of = |held: Vec<(u32, u64)>| held.into_iter().map(|(_, seed)| seed).collect();
        let (in_flight, of_the_dead): (HashSet<u64>, HashSet<u64>) =
            (seeds_of(in_flight), seeds_of(of_the_dead));
        self.survivor.tend();
        for _ in 1..TENDS {
            if self.queue().tend().is_err() {
                self.fault(Fault::Stuck, 0, "tending failed");
            }
        }
        if Image::of(self.survivor.path).index_of(self.pid) != index {
            self.fault(Fault::Taken, 0, "it lost its place in the registry");
        }
        let all = self.receive_all();
        let came: HashSet<u64> = all.iter().map(|held| seed_in(held.body())).collect();
        for seed in in_flight.intersection(&came) {
            if !self.board().known(*seed).has(state::LATE) {
                self.fault(Fault::Taken, *seed, "came although it is in flight");
            }
        }
        if self.board().purging.load(SeqCst) == 0 {
            for (seed, entry) in self.board().named() {
                let away = came.contains(&seed)
                    || in_flight.contains(&seed)
                    || of_the_dead.contains(&seed)
                    || self.own.contains(&seed)
                    || entry.has(state::DELETING | state::DELETED | state::CAME);
                if entry.has(state::SENT) && !away {
                    self.fault(Fault::Stuck, seed, "hidden while another one is stopped");
                }
            }
        }
        self.settle(all, meanwhile);
        self.survivor.work(seeds::TRACER + 11);
        self.look(sets_up);
    }

    /// What somebody holds of the queue of dead letters, if there is one: nobody has died there.
    fn held_in_dead(&self) -> Vec<(u32, u64)> {
        let image = self
            .survivor
            .dead
            .map(|_| Image::of(&dead_of(self.survivor.path)));
        image.map_or(Vec::new(), |image| image.held())
    }

    /// Receives all that is visible, and holds it.
    fn receive_all(&self) -> Vec<Held<'q>> {
        let mut all = self.receive_all_of(self.queue());
        if let Some(dead) = self.survivor.dead {
            all.append(&mut self.receive_all_of(dead));
        }
        all
    }

    fn receive_all_of(&self, queue: &'q Jobs) -> Vec<Held<'q>> {
        let mut all = Vec::new();
        for _ in 0..queue.capacity() + 32 {
            let Ok(batch) = queue.receive_batch(10) else {
                self.fault(Fault::Stuck, 0, "a receive failed");
                break;
            };
            if batch.is_empty() {
                return all;
            }
            for held in batch {
                if let Some((entry, seed)) = sound(self.board(), held.body()) {
                    check_again(self.board(), seed);
                    entry.holder.store(who::TRACER, SeqCst);
                }
                all.push(held);
            }
        }
        self.fault(Fault::Stuck, 0, "the queue does not become empty");
        all
    }

    /// Releases what it received, or deletes it in one of the ways there are.
    fn settle(&self, all: Vec<Held<'_>>, meanwhile: Meanwhile) {
        let mut receipts = Vec::new();
        for (number, held) in all.into_iter().enumerate() {
            let seed = seed_in(held.body());
            let Some(entry) = self.board().entry(seed) else {
                continue; // told as damaged
            };
            entry.holder.store(0, SeqCst);
            let done = if meanwhile == Meanwhile::Work {
                held.release()
            } else {
                entry.add(state::CAME | state::DELETED);
                match number % 3 {
                    0 => held.delete(),
                    1 => self.delete(&held.detach()),
                    _ => {
                        receipts.push(held.receipt());
                        drop(held);
                        Ok(())
                    }
                }
            };
            // One who purges and is stopped may have begun with it: gone is gone.
            if done.is_err() && self.board().purging.load(SeqCst) == 0 {
                self.fault(
                    Fault::Taken,
                    seed,
                    "what the survivor holds, it cannot settle",
                );
            }
        }
        for receipts in receipts.chunks(10) {
            let outcomes = self.queue().delete_batch(receipts).expect("at most ten");
            let deleted = |(outcome, receipt)| match outcome {
                &Err(Error::ForeignReceipt) => self.delete(receipt).is_ok(),
                outcome => outcome.is_ok(),
            };
            if !outcomes.iter().zip(receipts).all(deleted) {
                self.fault(Fault::Taken, 0, "what the survivor holds, it cannot settle");
            }
        }
    }

    /// Deletes by a receipt, in the queue that it is of.
    fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        match (self.queue().delete(receipt), self.survivor.dead) {
            (Err(Error::ForeignReceipt), Some(dead)) => dead.delete(receipt),
            (done, _) => done,
        }
    }

    /// Looks at the queue in all ways; opens it again, unless the stopped one may be about to.
    fn look(&self, sets_up: bool) {
        if self.queue().stat().is_err() {
            self.fault(Fault::Stuck, 0, "no figures");
        }
        match self.queue().receive_timeout(Duration::ZERO) {
            Ok(Some(held)) => drop(held.release()),
            Ok(None) => {}
            Err(_) => self.fault(Fault::Stuck, 0, "a receive failed"),
        }
        if !sets_up {
            drop(super::ground::open(self.board(), self.survivor.path));
        }
    }

    /// The time of all holds is over: what the stopped one held comes. Returns it, or uses its
    /// slots again.
    fn time_passes(&self, meanwhile: Meanwhile) -> Vec<Held<'q>> {
        let mut in_flight = Image::of(self.survivor.path).held();
        in_flight.extend(self.held_in_dead());
        self.board().pass_ms(2 * VISIBILITY_MS + 1); // the longest that an operation asks for
        for (_, entry) in self.board().named() {
            if entry.holder.load(SeqCst) != 0 {
                entry.add(state::LATE);
            }
        }
        let known = |seed: u64| self.board().entry(seed);
        for &(_, seed) in &in_flight {
            if let Some(entry) = known(seed) {
                entry.add(state::LATE);
            }
        }
        let all = self.receive_all();
        let came: HashSet<u64> = all.iter().map(|held| seed_in(held.body())).collect();
        for (_, seed) in in_flight {
            if !came.contains(&seed) && !known(seed).is_some_and(|entry| entry.has(state::OLD)) {
                self.fault(Fault::Stuck, seed, "its time is over, and it does not come");
            }
        }
        if meanwhile == Meanwhile::Redelivered {
            return all;
        }
        self.settle(all, meanwhile);
        for number in 0..=self.queue().capacity() as u64 {
            let len = if number % 8 == 7 { RUN } else { ONE };
            match send(self.board(), self.queue(), seeds::REUSE + number, len) {
                Ok(()) => {}
                Err(Error::Full) => break,
                Err(_) => self.fault(Fault::Stuck, 0, "a send failed"),
            }
        }
        Vec::new()
    }
}

/// Whether an operation can be stopped in this way at all: the rest wants a queue that is there.
pub fn applies(ground: &Ground, meanwhile: Meanwhile) -> bool {
    ground.kind().has_queue() || meanwhile == Meanwhile::Work
}
