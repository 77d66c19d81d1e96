//! The machine stops as well, at the moment of a death: what a journaled queue is made again from
//! is what was in the journal then.

use super::board::{Fault, Time, state};
use super::ground::{Jobs, journal_of, unlinked};
use super::stage::seed_in;
use super::world::World;
use ringmain::{Mapped, Queue};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Where the boot id is.
const BOOT: u64 = 48;

/// Copies region and journal, gives the copy another boot, and holds what is in it against the
/// ledger: what was acknowledged before the disk's answer is there or gone.
pub fn stops_here(world: &World) {
    let dir = world.path.parent().expect("a directory").join("stopped");
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("region");
    std::fs::copy(&world.path, &path).expect("room in shared memory");
    std::fs::copy(journal_of(&world.path), journal_of(&path)).expect("room in shared memory");
    another_boot(&path);
    let region = Arc::new(Mapped::open(&path).expect("the region opens"));
    let queue = Queue::open_with(region, Time(world.board)).expect("the queue opens");
    let queue = unlinked(queue);
    check(world, &there(world, &queue));
    drop(queue);
    std::fs::remove_dir_all(&dir).expect("removed");
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
