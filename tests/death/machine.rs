//! The machine stops as well, at the moment of a death: what a journaled queue is made again from
//! is what was in the journal then.

use super::board::{Fault, Time, state};
use super::fifo::ground::Orders;
use super::ground::{Jobs, journal_of, unlinked};
use super::stage::seed_in;
use super::world::World;
use ringmain::{FifoQueue, Mapped, Queue};
use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Where the boot id is.
const BOOT: u64 = 48;

/// Copies region and journal, gives the copy another boot, and holds what is in it against the
/// ledger: what was acknowledged before the disk's answer is there or gone.
pub fn stops_here(world: &World) {
    stops(world, |region| {
        let queue = Queue::open_with(region, Time(world.board)).expect("the queue opens");
        let queue = unlinked(queue);
        check(world, &there(world, &queue));
    });
}

/// The same of a FIFO queue, in which each group is in order. Ids count no longer by the time that
/// it is then; for those see `tests/crash.rs`.
pub fn fifo_stops_here(world: &World) {
    stops(world, |region| {
        let queue = FifoQueue::open_with(region, Time(world.board)).expect("the queue opens");
        check(world, &fifo_there(world, &queue));
    });
}

fn stops(world: &World, look: impl FnOnce(Arc<Mapped>)) {
    let dir = world.path.parent().expect("a directory").join("stopped");
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("region");
    std::fs::copy(&world.path, &path).expect("room in shared memory");
    std::fs::copy(journal_of(&world.path), journal_of(&path)).expect("room in shared memory");
    another_boot(&path);
    look(Arc::new(Mapped::open(&path).expect("the region opens")));
    std::fs::remove_dir_all(&dir).expect("removed");
}

/// The seeds of all messages of a FIFO queue.
fn fifo_there(world: &World, queue: &Orders) -> BTreeSet<u64> {
    let (mut there, mut latest) = (BTreeSet::new(), HashMap::new());
    loop {
        let batch = queue.receive_batch(10).expect("received");
        if batch.is_empty() {
            return there;
        }
        for received in &batch {
            let Some((entry, seed)) = super::stage::sound(world.board, received.body()) else {
                continue;
            };
            let (group, number) = (entry.group.load(SeqCst), entry.sequence.load(SeqCst));
            let before = latest.insert(group, number).unwrap_or(0);
            if !there.insert(seed) {
                let what = "twice after the machine has stopped";
                world.board.fault(Fault::Doubled, seed, what);
            }
            if number != 0 && number < before {
                let what = "out of order after the machine has stopped";
                world.board.fault(Fault::Reordered, seed, what);
            }
        }
        for outcome in batch.delete() {
            outcome.expect("deleted");
        }
    }
}

fn another_boot(path: &Path) {
    let file = std::fs::File::options().write(true).open(path);
    let file = file.expect("the region");
    file.write_all_at(&[7; 16], BOOT).expect("written");
}

/// The seeds of all messages.
fn there(world: &World, queue: &Jobs) -> BTreeSet<u64> {
    let mut there = BTreeSet::new();
    while let Some(received) = queue.receive().expect("received") {
        let seed = seed_in(received.body());
        if super::stage::sound(world.board, received.body()).is_some() && !there.insert(seed) {
            let what = "twice after the machine has stopped";
            world.board.fault(Fault::Doubled, seed, what);
        }
        received.delete().expect("deleted");
    }
    there
}

fn check(world: &World, there: &BTreeSet<u64>) {
    for (seed, entry) in world.board.named() {
        let sent = entry.has(state::SENT) && !entry.has(state::DELETING);
        if sent && !there.contains(&seed) {
            let what = "was sent, and is gone when the machine has stopped";
            world.board.fault(Fault::Lost, seed, what);
        }
        if entry.has(state::DELETED) && there.contains(&seed) {
            let what = "was deleted, and is back when the machine has stopped";
            world.board.fault(Fault::Doubled, seed, what);
        }
    }
}
