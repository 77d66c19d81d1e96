//! The shards of a stream: writers, readers and who completes against a split, a merge and their
//! deaths.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use ringmain::internals::log::{Log, Pin, Position, Positions, Refusal, Shape, Step};
use ringmain::internals::shards::{Card, Change, Name, Refused, Shards, State, Table};
use ringmain::sync::{AtomicU64, Ordering};

use crate::twin::{check_within, must_fail_within};

const SHAPE: Shape = Shape {
    segment: 4,
    granules: 8,
};
const PLACES: usize = 3;

struct Place {
    card: Card,
    positions: Positions,
    headers: Vec<AtomicU64>,
    pins: Vec<Pin>,
    cells: Vec<UnsafeCell<u64>>,
}

/// Three places, of which the first has the only shard.
struct Memory {
    change: Change,
    places: Vec<Place>,
}

// SAFETY: what the models are to find out; loom watches each access.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

const ME: u32 = 1;
const OTHER: u32 = 2;
const ALL: (u128, u128) = (0, u128::MAX);
const MIDDLE: u128 = 1 << 127;
/// Two hashes, one of each half.
const LOW: u128 = 5;
const HIGH: u128 = MIDDLE + 5;

impl Table for Memory {
    fn places(&self) -> usize {
        PLACES
    }

    fn change(&self) -> &Change {
        &self.change
    }

    fn card(&self, place: usize) -> Option<&Card> {
        Some(&self.places[place].card)
    }

    fn log(&self, place: usize) -> Option<Log<'_>> {
        let place = &self.places[place];
        Some(Log {
            shape: SHAPE,
            positions: &place.positions,
            headers: &place.headers,
            pins: &place.pins,
        })
    }

    fn inherit(&self, _: usize, _: usize) {}
}

/// How a writer looks for an open shard.
#[derive(Clone, Copy)]
enum Look {
    FromTheFirst,
    FromTheLast,
}

impl Memory {
    fn new() -> Arc<Self> {
        let word = AtomicU64::new;
        let place = |n: usize| {
            let first = || word(Position::FIRST.0);
            Place {
                card: Card::first((n == 0).then_some(0), ALL),
                positions: Positions {
                    tail: first(),
                    floor: first(),
                    freed: first(),
                    settled: first(),
                },
                headers: (0..SHAPE.granules).map(|_| word(0)).collect(),
                pins: vec![Pin {
                    owner: word(ME as u64),
                    at: word(0),
                }],
                cells: (0..SHAPE.granules).map(|_| UnsafeCell::new(0)).collect(),
            }
        };
        Arc::new(Self {
            change: Change {
                word: word(0),
                parents: word(0),
                children: word(0),
            },
            places: (0..PLACES).map(place).collect(),
        })
    }

    fn shards(&self) -> Shards<'_, Self> {
        Shards(self)
    }

    fn split(&self) -> [u32; 2] {
        self.shards().split(ME, 0, MIDDLE, |_| true).unwrap()
    }

    /// The only shard was split, and all its records are over.
    fn split_before() -> Arc<Self> {
        let memory = Self::new();
        assert_eq!(memory.split(), [1, 2]);
        memory
    }

    fn choose(&self, hash: u128, look: Look) -> (usize, u32) {
        let takes = |place: usize| Some((place, self.places[place].card.takes(hash)?));
        let found = match look {
            Look::FromTheFirst => (0..PLACES).find_map(takes),
            Look::FromTheLast => (0..PLACES).rev().find_map(takes),
        };
        found.unwrap_or_else(|| {
            loop {
                if let Some(found) = self.shards().find(hash).unwrap() {
                    return found;
                }
                self.shards().complete().unwrap();
            }
        })
    }

    /// Claims in a shard, and commits.
    fn put_in(&self, place: usize, id: u32, value: u64) -> Result<(), Refusal> {
        let log = self.log(place).unwrap();
        let is_there = || self.places[place].card.name().id() == id;
        let claim = log.claim(log.hint(), OTHER, 1, is_there)?;
        self.write(place, claim.at, value);
        log.commit(claim);
        Ok(())
    }

    fn write(&self, place: usize, at: Position, value: u64) {
        // SAFETY: claimed, which is what the models are to find out.
        self.places[place].cells[at.index() as usize].with_mut(|cell| unsafe { *cell = value });
    }

    /// Puts a record in the shard of its hash.
    fn put(&self, hash: u128, value: u64, look: Look) {
        loop {
            let (place, id) = self.choose(hash, look);
            match self.put_in(place, id, value) {
                Ok(()) => return,
                Err(Refusal::Closed(_) | Refusal::Moved) => {
                    self.shards().complete().unwrap();
                }
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
    }

    /// What is in a place, read alone, and how it ends.
    fn rest(&self, place: usize) -> (Vec<u64>, Step) {
        let log = self.log(place).unwrap();
        let (mut row, mut at) = (Vec::new(), log.floor());
        loop {
            match log.step(at) {
                Step::Record { next, .. } => {
                    let cell = &self.places[place].cells[at.index() as usize];
                    // SAFETY: read alone.
                    row.push(cell.with(|cell| unsafe { *cell }));
                    at = next;
                }
                Step::Skip(next) => at = next,
                end => return (row, end),
            }
        }
    }

    fn states(&self) -> Vec<State> {
        let state = |place: &Place| place.card.name().state();
        self.places.iter().map(state).collect()
    }
}

fn spawn<T: 'static>(
    memory: &Arc<Memory>,
    act: impl FnOnce(&Memory) -> T + 'static,
) -> thread::JoinHandle<T> {
    let memory = Arc::clone(memory);
    thread::spawn(move || act(&memory))
}

use State::{Closed, Open, Prepared, Vacant};

/// One puts two records of a key while the shard is split: parent first, then the child of the
/// key's half, they are there once and in order.
fn in_order(split: fn(&Memory)) {
    let memory = Memory::new();
    let writer = spawn(&memory, |memory| {
        memory.put(LOW, 1, Look::FromTheLast);
        memory.put(LOW, 2, Look::FromTheFirst);
    });
    split(&memory);
    writer.join().unwrap();
    assert_eq!(memory.states(), [Closed, Open, Open]);
    let (mut row, end) = memory.rest(0);
    assert_eq!(end, Step::End);
    row.extend(memory.rest(1).0);
    assert_eq!(row, [1, 2]);
    assert_eq!(memory.rest(2), (vec![], Step::Empty));
}

#[test]
fn a_key_keeps_its_order() {
    check_within(3, || {
        in_order(|memory| {
            memory.split();
        })
    });
}

#[test]
fn twin_a_key_keeps_its_order() {
    must_fail_within(
        3,
        "shards: children open before their parent is closed",
        || {
            in_order(|memory| {
                let shards = memory.shards();
                let word = shards.begin(ME).unwrap();
                let children = shards.prepare_split(0, MIDDLE, |_| true).unwrap();
                for child in children {
                    let card = &memory.places[child as usize].card;
                    card.name.store(Name::new(child, Open).0, Ordering::SeqCst);
                }
                shards.announce(word).unwrap();
                shards.complete().unwrap();
            })
        },
    );
}

/// Who splits dies after this many steps. A writer goes on meanwhile; who has proof of the death
/// repairs; and the shard is split then, or can be.
fn death(steps: u32) {
    let memory = Memory::new();
    let writer = spawn(&memory, |memory| {
        memory.put(LOW, 1, Look::FromTheLast);
        memory.put(LOW, 2, Look::FromTheFirst);
    });
    let shards = memory.shards();
    let word = shards.begin(ME).unwrap();
    if steps > 0 {
        shards.prepare_split(0, MIDDLE, |_| true).unwrap();
    }
    if steps > 1 {
        shards.announce(word).unwrap();
    }
    if steps > 2 {
        shards.close(0).unwrap();
    }
    // Dies here.
    if steps < 3 {
        shards.repair(ME);
    }
    writer.join().unwrap();
    if steps == 3 {
        shards.repair(ME);
    }
    if steps < 2 {
        assert_eq!(memory.states()[0], Open);
        shards.split(OTHER, 0, MIDDLE, |_| true).unwrap();
    }
    assert_eq!(memory.states(), [Closed, Open, Open]);
    let mut row = memory.rest(0).0;
    row.extend(memory.rest(1).0);
    assert_eq!(row, [1, 2]);
}

#[test]
fn death_before_a_split_is_prepared() {
    check_within(3, || death(0));
}

#[test]
fn death_before_a_split_is_announced() {
    check_within(3, || death(1));
}

#[test]
fn death_before_the_parent_is_closed() {
    check_within(3, || death(2));
}

#[test]
fn death_before_the_children_are_open() {
    check_within(3, || death(3));
}

/// Somebody who completes the split sleeps until the children are merged: the second change is made
/// as if that one were not there.
fn two_changes(complete: fn(&Memory)) {
    let memory = Memory::new();
    let shards = memory.shards();
    let word = shards.begin(ME).unwrap();
    shards.prepare_split(0, MIDDLE, |_| true).unwrap();
    shards.announce(word).unwrap();
    let late = spawn(&memory, move |memory| complete(memory));
    shards.complete().unwrap();
    let word = shards.begin(ME).unwrap();
    let child = shards.prepare_merge(1, 2, |_| true).unwrap();
    assert_eq!(child, 3);
    // Prepared, and nobody may put there yet.
    assert_eq!(memory.states(), [Prepared, Open, Open]);
    shards.announce(word).unwrap();
    shards.complete().unwrap();
    late.join().unwrap();
    assert_eq!(memory.states(), [Open, Closed, Closed]);
    assert_eq!(memory.rest(0).1, Step::Empty, "the child's log is open");
    assert_eq!(shards.find(LOW), Ok(Some((0, 3))));
}

#[test]
fn who_completes_late_changes_nothing() {
    check_within(3, || {
        two_changes(|memory| {
            memory.shards().complete().unwrap();
        })
    });
}

#[test]
fn twin_who_completes_late_changes_nothing() {
    must_fail_within(
        3,
        "shards: a change that is read while it is another",
        || {
            two_changes(|memory| {
                if memory.change.word.load(Ordering::SeqCst) & 3 != 2 {
                    return;
                }
                // Without another look at the word.
                let children = memory.change.children.load(Ordering::SeqCst);
                for child in [children as u32, (children >> 32) as u32] {
                    if let Some(child) = child.checked_sub(1) {
                        let card = &memory.places[child as usize % PLACES].card;
                        let (from, to) = (Name::new(child, Prepared), Name::new(child, Open));
                        let _ = card.name.compare_exchange(
                            from.0,
                            to.0,
                            Ordering::SeqCst,
                            Ordering::SeqCst,
                        );
                    }
                }
            })
        },
    );
}

/// Somebody who is to close the parent sleeps until its place has another shard.
fn late_close(close: fn(&Memory)) {
    let memory = Memory::split_before();
    let late = spawn(&memory, move |memory| close(memory));
    let child = memory.shards().merge(ME, 1, 2, |_| true).unwrap();
    assert_eq!(child, 3);
    late.join().unwrap();
    assert_eq!(memory.rest(0).1, Step::Empty, "the child's log is open");
}

#[test]
fn a_log_is_closed_for_its_own_shard() {
    check_within(3, || late_close(|memory| memory.shards().close(0).unwrap()));
}

#[test]
fn twin_a_log_is_closed_for_its_own_shard() {
    must_fail_within(3, "shards: a log that is closed whosever it is", || {
        late_close(|memory| {
            let log = memory.log(0).unwrap();
            log.close(log.hint(), || true).unwrap();
        })
    });
}

/// A writer has chosen the parent and sleeps until its place has another shard: it is refused.
fn late_put(put: fn(&Memory) -> Result<(), Refusal>) {
    let memory = Memory::split_before();
    let late = spawn(&memory, move |memory| put(memory));
    assert_eq!(memory.shards().merge(ME, 1, 2, |_| true), Ok(3));
    let refused = late.join().unwrap();
    let is_refused = matches!(refused, Err(Refusal::Closed(_) | Refusal::Moved));
    assert!(is_refused, "{refused:?}");
    assert_eq!(memory.rest(0), (vec![], Step::Empty));
}

#[test]
fn a_record_is_put_in_the_shard_that_was_chosen() {
    check_within(3, || late_put(|memory| memory.put_in(0, 0, 9)));
}

#[test]
fn twin_a_record_is_put_in_the_shard_that_was_chosen() {
    must_fail_within(3, "shards: a claim whosever the log is", || {
        late_put(|memory| {
            let log = memory.log(0).unwrap();
            let claim = log.claim(log.hint(), OTHER, 1, || true)?;
            memory.write(0, claim.at, 9);
            log.commit(claim);
            Ok(())
        })
    });
}

/// A reader of the parent begins at its floor while its place gets another shard, with a record: it
/// sees the end, or that the shard is gone, and not the other's record.
fn late_read(is_mine: fn(&Card) -> bool) {
    let memory = Memory::split_before();
    let reader = spawn(&memory, move |memory| {
        let log = memory.log(0).unwrap();
        let place = &memory.places[0];
        let (pin, mut at) = (&place.pins[0], log.floor());
        if !is_mine(&place.card) {
            return;
        }
        while log.enter(pin, SHAPE.start(at)) {
            let step = log.step(at);
            pin.rest(Position(0));
            match step {
                Step::Skip(next) => at = next,
                Step::End => break,
                step => panic!("{step:?}"),
            }
        }
    });
    let merged = memory.shards().merge(ME, 1, 2, |_| true);
    match merged {
        Ok(child) => memory.put_in(0, child, 9).unwrap(),
        // The reader is in the only place there is.
        Err(refused) => assert_eq!(refused, Refused::NoPlace),
    }
    reader.join().unwrap();
}

#[test]
fn a_reader_stays_in_its_shard() {
    check_within(3, || late_read(|card| card.name().id() == 0));
}

#[test]
fn twin_a_reader_stays_in_its_shard() {
    must_fail_within(
        3,
        "shards: a reader that does not ask whose the log is",
        || late_read(|_| true),
    );
}

/// Two split the same shard: one does, or both are told.
#[test]
fn one_change_at_a_time() {
    check_within(3, || {
        let memory = Memory::new();
        let other = spawn(&memory, |memory| {
            memory.shards().split(OTHER, 0, MIDDLE, |_| true)
        });
        let mine = memory.shards().split(ME, 0, MIDDLE, |_| true);
        let theirs = other.join().unwrap();
        let refused = match (mine, theirs) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            both => panic!("{both:?}"),
        };
        let is_told = matches!(refused, Refused::Busy(_) | Refused::NotOpen(0));
        assert!(is_told, "{refused:?}");
        assert_eq!(memory.states(), [Closed, Open, Open]);
        memory.put(HIGH, 1, Look::FromTheFirst);
        assert_eq!(memory.rest(2).0, [1]);
    });
}

/// What is not so is refused, and the next change is none the worse.
#[test]
fn what_is_refused_changes_nothing() {
    check_within(1, || {
        let memory = Memory::new();
        let shards = memory.shards();
        let split = |id, point| shards.split(ME, id, point, |_| false);
        for point in [0, 1, u128::MAX] {
            assert_eq!(split(0, point), Err(Refused::Point));
        }
        assert_eq!(split(1, MIDDLE), Err(Refused::NotOpen(1)));
        assert_eq!(split(0, 2), Ok([1, 2]));
        assert_eq!(split(0, MIDDLE), Err(Refused::NotOpen(0)));
        assert_eq!(split(2, MIDDLE), Err(Refused::NoPlace));
        let merge = |one, other| shards.merge(ME, one, other, |_| true);
        assert_eq!(merge(1, 1), Err(Refused::Apart));
        assert_eq!(merge(2, 1), Ok(3));
        assert_eq!(memory.states(), [Open, Closed, Closed]);
        assert_ne!(memory.states()[1], Vacant);
    });
}

/// Somebody reserves the tail of a shard that is split: the split is refused, or the tail is given
/// back. What is put meanwhile is before the children's.
fn reserved(is_changing: fn(&Memory) -> bool) {
    let memory = Memory::new();
    let holder = spawn(&memory, move |memory| {
        let log = memory.log(0).unwrap();
        let is_there = || memory.places[0].card.name().id() == 0;
        let Ok(mut mine) = log.reserve(log.hint(), OTHER, 1, None, is_there) else {
            return false;
        };
        let kept = !is_changing(memory);
        if kept {
            log.append(&mut mine, 1, |at| memory.write(0, at, 1));
        } else {
            log.release(mine);
            memory.shards().complete().unwrap();
        }
        kept // and held: nobody gives it back
    });
    let split = memory.shards().split(ME, 0, MIDDLE, |_| true);
    let kept = holder.join().unwrap();
    match split {
        Ok(_) => {
            assert!(!kept, "a shard that is split is reserved");
            assert_eq!(memory.states(), [Closed, Open, Open]);
        }
        Err(refused) => assert_eq!(refused, Refused::Reserved(OTHER)),
    }
}

#[test]
fn a_reserved_shard_is_not_split() {
    check_within(3, || reserved(|memory| memory.shards().is_changing()));
}

#[test]
fn twin_a_reserved_shard_is_not_split() {
    must_fail_within(
        3,
        "shards: the tail reserved without a look at the change",
        || reserved(|_| false),
    );
}
