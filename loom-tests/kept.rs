//! What is known in a region of the mirror of its stream: the number of a commit against puts, the
//! timed committer's word, the two slots of a block, the two copies of a ledger; and deaths of who
//! puts and of who commits.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::Mutex;
use loom::thread;
use ringmain::internals::kept::{KeepHead, KeptShard};
use ringmain::internals::log::{Position, Step};
use ringmain::sync::{Ordering, store_load};

use crate::log::{ME, Memory};
use crate::twin::{check, must_fail};

/// A shard, and what is known of its mirror.
struct Kept {
    memory: Arc<Memory>,
    head: KeepHead,
    shard: KeptShard,
}

impl Kept {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(),
            head: KeepHead::new(),
            shard: KeptShard::new(),
        })
    }

    fn put(&self, value: u64) {
        self.memory.put(ME, 1, value).unwrap();
    }

    /// How many records a committer finds, up to the first claim.
    fn looks(&self) -> usize {
        let (mut at, mut found) = (Position::FIRST, 0);
        while let Step::Record { next, .. } = self.memory.log().step(at) {
            (at, found) = (next, found + 1);
        }
        found
    }
}

fn spawn<T: 'static>(
    kept: &Arc<Kept>,
    act: impl FnOnce(&Kept) -> T + 'static,
) -> thread::JoinHandle<T> {
    let kept = Arc::clone(kept);
    thread::spawn(move || act(&kept))
}

/// A commit: how many records it has. `steps` of it are made before its committer dies.
fn commit(kept: &Kept, steps: u32) -> usize {
    if steps == 0 {
        return 0;
    }
    let number = kept.head.begin();
    if steps == 1 {
        return 0;
    }
    let found = kept.looks();
    if steps > 2 {
        kept.head.end(number);
    }
    found
}

/// One puts and reads the position, another commits, dies at a step of that, and the next one
/// commits: what is before a position that is durable is in a commit that has ended.
fn position(steps: u32, ask: fn(&Kept) -> u64, commit: fn(&Kept, u32) -> usize) {
    let kept = Kept::new();
    let committer = spawn(&kept, move |kept| {
        // Dies here; the kernel lets the next one in.
        let first = commit(kept, steps);
        let has = if steps > 2 { first } else { 0 };
        let between = kept.head.durable_position();
        (has, between, commit(kept, 3))
    });
    kept.put(7);
    let position = ask(&kept);
    let early = kept.head.durable_position() >= position;
    let (first, between, second) = committer.join().unwrap();
    if between >= position {
        assert_eq!(first, 1, "durable, and the commit does not have it");
    }
    if kept.head.durable_position() >= position {
        assert_eq!(first.max(second), 1, "durable, and no commit has it");
    } else {
        assert!(!early, "what was durable is not");
    }
    // The next commit has it in any case.
    assert_eq!(commit(&kept, 3), 1);
    assert!(kept.head.durable_position() >= position);
}

#[test]
fn a_commit_of_the_number_has_the_record() {
    for steps in 0..=3 {
        check(move || position(steps, |kept| kept.head.position(), commit));
    }
}

#[test]
fn twin_a_committer_looks_before_it_begins() {
    must_fail("kept: a committer that looks before it begins", || {
        position(
            3,
            |kept| kept.head.position(),
            |kept, _| {
                let found = kept.looks();
                let number = kept.head.begin();
                kept.head.end(number);
                found
            },
        )
    });
}

#[test]
fn twin_a_position_without_a_fence() {
    must_fail("kept: a position that is asked without a fence", || {
        let ask = |kept: &Kept| kept.head.notes.begun.load(Ordering::Acquire) + 1;
        position(3, ask, commit)
    });
}

#[test]
fn twin_a_committer_begins_without_a_fence() {
    must_fail("kept: a committer that begins without a fence", || {
        let commit = |kept: &Kept, _| {
            let begun = &kept.head.notes.begun;
            let number = begun.fetch_add(1, Ordering::AcqRel) + 1;
            let found = kept.looks();
            kept.head.end(number);
            found
        };
        position(3, |kept| kept.head.position(), commit)
    });
}

/// Who may die in the model of the timed committer, and where.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    Nobody,
    /// Who puts, before it has told.
    BeforeTold,
    /// The committer, when it has cleared the word.
    Cleared,
}

/// One puts and tells the timed committer, which clears the word and looks.
fn pending(
    death: Death,
    is_told: fn(&Kept) -> bool,
    take: fn(&Kept, bool) -> usize,
    repair: fn(&Kept),
) {
    let kept = Kept::new();
    let word = |kept: &Kept| kept.head.pending.0[0].swap(1, Ordering::SeqCst);
    word(&kept); // something came before
    let committer = spawn(&kept, move |kept| take(kept, death == Death::Cleared));
    kept.put(7);
    if death != Death::BeforeTold && !is_told(&kept) {
        word(&kept);
    }
    let found = committer.join().unwrap();
    if death != Death::Nobody {
        repair(&kept);
    }
    let told = kept.head.is_pending();
    assert!(found == 1 || told, "a record that nobody will commit");
}

fn is_told(kept: &Kept) -> bool {
    store_load(); // that of the wake-up
    kept.head.is_pending()
}

fn take(kept: &Kept, dies: bool) -> usize {
    let was = kept.head.pending.0[0].swap(0, Ordering::SeqCst);
    if was == 0 || dies {
        return 0;
    }
    store_load();
    kept.looks()
}

fn rouse(kept: &Kept) {
    kept.head.pending.0[0].swap(1, Ordering::SeqCst);
}

#[test]
fn the_timed_committer_is_told_of_records() {
    for death in [Death::Nobody, Death::BeforeTold, Death::Cleared] {
        check(move || pending(death, is_told, take, rouse));
    }
}

#[test]
fn twin_the_timed_committer_looks_and_then_clears() {
    must_fail("kept: a committer that looks and then clears", || {
        let take = |kept: &Kept, _| {
            let found = kept.looks();
            kept.head.pending.0[0].swap(0, Ordering::SeqCst);
            found
        };
        pending(Death::Nobody, is_told, take, rouse)
    });
}

#[test]
fn twin_it_is_told_without_a_fence() {
    must_fail("kept: a look at the word without a fence", || {
        pending(Death::Nobody, |kept| kept.head.is_pending(), take, rouse)
    });
}

#[test]
fn twin_nobody_tells_after_a_death() {
    must_fail("kept: a repair that tells no committer", || {
        pending(Death::Cleared, is_told, take, |_| {})
    });
}

/// Of a commit that moves what is kept of a shard on by one, so that it is as far as the commit's
/// number: the steps that are made before its committer dies.
fn moves(kept: &Kept, steps: u32, end: fn(&KeepHead, u64)) {
    let number = kept.head.begin();
    if steps > 0 {
        let to = Position(Position::FIRST.0 + number);
        kept.shard.note(to, to, None);
    }
    if steps > 1 {
        end(&kept.head, number);
    }
}

/// One commits, dies at a step of it, and the next one commits; somebody who sees that a commit is
/// durable sees how far that has come.
fn ends(steps: u32, end: fn(&KeepHead, u64)) {
    let kept = Kept::new();
    let committer = spawn(&kept, move |kept| {
        moves(kept, steps, end); // the kernel lets the next one in
        moves(kept, 2, end);
    });
    let durable = kept.head.durable_position();
    let position = kept.shard.position().0;
    assert!(
        position >= Position::FIRST.0 + durable,
        "commit {durable} is durable, and {position} is what is kept"
    );
    committer.join().unwrap();
    assert_eq!(kept.head.durable_position(), 2);
}

#[test]
fn who_sees_a_durable_commit_sees_what_it_has() {
    for steps in 0..=2 {
        check(move || ends(steps, KeepHead::end));
    }
}

#[test]
fn twin_a_commit_ends_without_a_release() {
    must_fail("kept: a commit that ends without a release", || {
        ends(2, |head, number| {
            head.notes.durable.store(number, Ordering::Relaxed);
        })
    });
}

/// The disk: for each slot up to where it has the block; 0 while it is being written.
struct Disk([UnsafeCell<u64>; 2]);

// SAFETY: what the model is to find out; loom watches each access.
unsafe impl Sync for Disk {}
// SAFETY: as above.
unsafe impl Send for Disk {}

/// Writes `to` to the slot that has nothing durable, and notes that; `steps` of it are made before
/// its committer dies. Under the lock.
fn write(kept: &Kept, disk: &Disk, to: u64, steps: u32, note: fn(&KeptShard, u64, u64, u32)) {
    let at = kept.shard.position();
    assert!(at.0 <= to);
    let next = 1 - kept.shard.block().0 % 2;
    // SAFETY: under the lock; loom watches.
    let put = |value| disk.0[next as usize].with_mut(|slot| unsafe { *slot = value });
    if steps > 0 {
        put(0); // torn, if it dies here
    }
    if steps > 1 {
        put(to);
    }
    if steps > 2 {
        note(&kept.shard, to, next, steps);
    }
}

/// As it is: slot, then `kept`.
fn note(shard: &KeptShard, to: u64, slot: u64, steps: u32) {
    match steps {
        3 => shard.slot.store(slot, Ordering::Relaxed), // dies before `kept`
        _ => shard.note(Position(to), Position(to), Some(slot)),
    }
}

/// Two commit one after the other and die at steps of it; somebody sees what is durable. It is on
/// the disk, whatever the deaths have left.
fn slots(steps: [u32; 2], note: fn(&KeptShard, u64, u64, u32)) {
    let kept = Kept::new();
    let disk = Arc::new(Disk([UnsafeCell::new(0), UnsafeCell::new(0)]));
    let lock = Arc::new(Mutex::new(()));
    let first = Position::FIRST.0;
    let committers = steps.map(|steps| {
        let (kept, disk, lock) = (Arc::clone(&kept), Arc::clone(&disk), Arc::clone(&lock));
        thread::spawn(move || {
            let _lock = lock.lock().unwrap(); // the kernel gives it back at a death
            let to = kept.shard.position().0 + 1;
            write(&kept, &disk, to, steps, note);
        })
    });
    let seen = kept.shard.position().0;
    for committer in committers {
        committer.join().unwrap();
    }
    let kept = kept.shard.position().0;
    assert!(seen <= kept);
    // SAFETY: nobody else is left.
    let slots = [0, 1].map(|slot: usize| disk.0[slot].with(|slot| unsafe { *slot }));
    let there = slots.into_iter().max().unwrap_or(0).max(first);
    assert!(
        there >= kept,
        "{slots:?}: what was durable is gone, of {kept}"
    );
}

#[test]
fn what_is_durable_is_not_written_over() {
    for one in 0..=4 {
        for other in 0..=4 {
            check(move || slots([one, other], note));
        }
    }
}

#[test]
fn twin_what_is_durable_is_written_over() {
    must_fail("kept: the position noted before the slot", || {
        slots([3, 1], |shard, to, slot, steps| match steps {
            3 => shard.kept.store(to, Ordering::Release), // dies before the slot
            _ => shard.note(Position(to), Position(to), Some(slot)),
        })
    });
}

/// The two copies of a ledger on the disk: number and change of each; zeros while it is written.
struct Copies([UnsafeCell<[u64; 2]>; 2]);

// SAFETY: what the model is to find out; loom watches each access.
unsafe impl Sync for Copies {}
// SAFETY: as above.
unsafe impl Send for Copies {}

/// Writes a ledger of `change`, unless the region says that one has it; `steps` of that are made
/// before its committer dies. Under the lock.
fn write_ledger(kept: &Kept, copies: &Copies, change: u64, steps: u32, publish: Publish) {
    let notes = &kept.head.notes;
    if notes.change.load(Ordering::Acquire) == change {
        return;
    }
    let number = notes.ledger() + 1;
    // SAFETY: under the lock; loom watches.
    let put = |is| copies.0[number as usize % 2].with_mut(|copy| unsafe { *copy = is });
    if steps > 0 {
        put([0, 0]); // torn, if it dies here
    }
    if steps > 1 {
        put([number, change]);
    }
    publish(kept, [number, change], steps.saturating_sub(2));
}

/// Notes number and change of a ledger, as many steps of that.
type Publish = fn(&Kept, [u64; 2], u32);

/// As it is.
fn publish(kept: &Kept, [number, change]: [u64; 2], steps: u32) {
    let notes = &kept.head.notes;
    if steps > 0 {
        notes.begin_ledger(number);
    }
    if steps > 1 {
        let floor = Position(Position::FIRST.0 + change);
        kept.shard.note_ledger(floor, change);
    }
    if steps > 2 {
        notes.end_ledger(change, change);
    }
}

/// Two write ledgers one after the other, of a table that has changed before each, and die at steps
/// of it. What the region says of shards and changes is in the latest whole copy.
fn ledgers(steps: [u32; 2], publish: Publish) {
    let kept = Kept::new();
    kept.head.notes.begin_ledger(2);
    let copies = [[2, 0], [1, 0]].map(UnsafeCell::new);
    let copies = Arc::new(Copies(copies));
    let table = Arc::new(Mutex::new(0)); // and the lock
    let committers = steps.map(|steps| {
        let (kept, copies, table) = (Arc::clone(&kept), Arc::clone(&copies), Arc::clone(&table));
        thread::spawn(move || {
            let mut change = table.lock().unwrap(); // the kernel gives it back at a death
            *change += 1;
            write_ledger(&kept, &copies, *change, steps, publish);
        })
    });
    for committer in committers {
        committer.join().unwrap();
    }
    // SAFETY: nobody else is left.
    let copies = [0, 1].map(|copy: usize| copies.0[copy].with(|copy| unsafe { *copy }));
    let [_, latest] = copies.into_iter().max().unwrap();
    let says = [
        kept.head.notes.change.load(Ordering::Acquire),
        kept.head.notes.roster.load(Ordering::Acquire),
        kept.shard.name.load(Ordering::Acquire),
        kept.shard.floor.load(Ordering::Acquire) - Position::FIRST.0,
        kept.shard.position().0 - Position::FIRST.0,
    ];
    assert!(
        says.iter().all(|change| *change <= latest),
        "{copies:?}: what the region says is in no ledger: {says:?}"
    );
}

#[test]
fn what_a_ledger_says_is_on_the_disk() {
    for one in 0..=5 {
        for other in 0..=5 {
            check(move || ledgers([one, other], publish));
        }
    }
}

#[test]
fn twin_a_ledger_is_written_over_the_latest() {
    must_fail("kept: what a ledger says noted before its number", || {
        ledgers([3, 1], |kept, [number, change], steps| {
            if steps > 0 {
                kept.head.notes.end_ledger(change, change); // dies before the number
            }
            if steps > 1 {
                kept.head.notes.begin_ledger(number);
            }
        })
    });
}
