//! The log of a shard: claims that race and sleep for laps, readers against who reclaims, deaths.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use ringmain::internals::log::{
    Claim, Header, Kept, Log, Pin, Position, Positions, Refusal, Shape, State, Step,
};
use ringmain::sync::{AtomicU64, Ordering};

use crate::twin::{check, must_fail};

/// Two segments of four granules.
const SHAPE: Shape = Shape {
    segment: 4,
    granules: 8,
};

pub struct Memory {
    positions: Positions,
    headers: Vec<AtomicU64>,
    pins: Vec<Pin>,
    /// What lies in the granules.
    cells: Vec<UnsafeCell<u64>>,
}

// SAFETY: what the models are to find out; loom watches each access.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

pub const ME: u32 = 1;
pub const OTHER: u32 = 2;

impl Memory {
    pub fn new() -> Arc<Self> {
        let first = || AtomicU64::new(Position::FIRST.0);
        let pin = |owner| Pin {
            owner: AtomicU64::new(owner),
            at: AtomicU64::new(0),
        };
        Arc::new(Self {
            positions: Positions {
                tail: first(),
                floor: first(),
                freed: first(),
                settled: first(),
            },
            headers: (0..SHAPE.granules).map(|_| AtomicU64::new(0)).collect(),
            pins: vec![pin(ME as u64)],
            cells: (0..SHAPE.granules).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    pub fn log(&self) -> Log<'_> {
        Log {
            shape: SHAPE,
            positions: &self.positions,
            headers: &self.headers,
            pins: &self.pins,
        }
    }

    pub fn header(&self, index: u32) -> &AtomicU64 {
        &self.headers[index as usize]
    }

    pub fn write(&self, at: Position, value: u64) {
        // SAFETY: claimed, which is what the models are to find out.
        self.cells[at.index() as usize].with_mut(|cell| unsafe { *cell = value });
    }

    fn read(&self, at: Position) -> u64 {
        // SAFETY: pinned, as above.
        self.cells[at.index() as usize].with(|cell| unsafe { *cell })
    }

    pub fn claim(&self, owner: u32, granules: u32) -> Result<Claim, Refusal> {
        self.log().claim(Position::FIRST, owner, granules, || true)
    }

    /// Appends a record of so many granules.
    pub fn put(&self, owner: u32, granules: u32, value: u64) -> Result<Position, Refusal> {
        let claim = self.claim(owner, granules)?;
        let at = claim.at;
        self.write(at, value);
        self.log().commit(claim);
        Ok(at)
    }

    /// What is in the log from the oldest segment on, read alone, and how it ends.
    pub fn rest(&self) -> (Vec<(Position, u64)>, Step) {
        let (mut row, mut at) = (Vec::new(), self.log().floor());
        loop {
            match self.log().step(at) {
                Step::Record { next, .. } => {
                    row.push((at, self.read(at)));
                    at = next;
                }
                Step::Skip(next) => at = next,
                end => return (row, end),
            }
        }
    }

    pub fn values(&self) -> Vec<u64> {
        self.rest().0.into_iter().map(|(_, value)| value).collect()
    }
}

fn spawn<T: 'static>(
    memory: &Arc<Memory>,
    act: impl FnOnce(&Memory) -> T + 'static,
) -> thread::JoinHandle<T> {
    let memory = Arc::clone(memory);
    thread::spawn(move || act(&memory))
}

/// Two append: each record is there once, and each one's records are in its order.
#[test]
fn two_append() {
    check(|| {
        let memory = Memory::new();
        let other = spawn(&memory, |memory| memory.put(OTHER, 1, 9));
        for value in [1, 2] {
            memory.put(ME, 1, value).unwrap();
        }
        other.join().unwrap().unwrap();
        let mut values = memory.values();
        values.retain(|value| *value != 9);
        assert_eq!(values, [1, 2]);
        assert_eq!(memory.values().len(), 3);
    });
}

/// A reader reads what is written meanwhile. It is the second thread: the model checker overlooks a
/// thread that loads a word itself before it changes what another one has loaded.
fn read_meanwhile(put: fn(&Memory)) {
    let memory = Memory::new();
    let reader = spawn(&memory, |memory| {
        let log = memory.log();
        assert!(log.enter(&memory.pins[0], Position::FIRST));
        let mut at = Position::FIRST;
        let mut seen = 0;
        while let Step::Record { next, .. } = log.step(at) {
            seen += 1;
            assert_eq!(memory.read(at), seen, "half a record");
            at = next;
        }
        // The same records again, and perhaps more by now.
        let (mut records, mut again) = (log.committed(Position::FIRST), 0);
        while let Some((at, _)) = records.next() {
            again += 1;
            assert_eq!(memory.read(at), again, "half a record");
        }
        assert!(again >= seen);
    });
    put(&memory);
    reader.join().unwrap();
    assert_eq!(memory.values(), [1, 2]);
}

#[test]
fn records_are_seen_whole() {
    check(|| {
        read_meanwhile(|memory| {
            memory.put(OTHER, 2, 1).unwrap();
            memory.put(OTHER, 1, 2).unwrap();
        })
    });
}

#[test]
fn twin_records_are_seen_whole() {
    must_fail("log: a record committed before it is written", || {
        read_meanwhile(|memory| {
            let claim = memory.claim(OTHER, 2).unwrap();
            let at = claim.at;
            memory.log().commit(claim);
            memory.write(at, 1);
            memory.put(OTHER, 1, 2).unwrap();
        })
    });
}

/// A batch is there at once, with all that is in it.
fn batch_meanwhile(commit: fn(&Memory, Claim)) {
    let memory = Memory::new();
    let reader = spawn(&memory, |memory| {
        let log = memory.log();
        assert!(log.enter(&memory.pins[0], Position::FIRST));
        if let Step::Record { next, .. } = log.step(Position::FIRST) {
            assert_eq!(memory.read(Position::FIRST), 1);
            assert!(matches!(log.step(next), Step::Record { .. }), "half");
            assert_eq!(memory.read(next), 2);
        }
    });
    let claim = memory.claim(OTHER, 3).unwrap();
    memory.write(claim.at, 1);
    memory.write(SHAPE.plus(claim.at, 1).unwrap(), 2);
    commit(&memory, claim);
    reader.join().unwrap();
    assert_eq!(memory.values(), [1, 2]);
}

#[test]
fn a_batch_is_there_at_once() {
    check(|| batch_meanwhile(|memory, claim| memory.log().commit_batch(claim, [1, 2].into_iter())));
}

#[test]
fn twin_a_batch_is_there_at_once() {
    must_fail("log: a batch whose first record is committed first", || {
        batch_meanwhile(|memory, claim| {
            let log = memory.log();
            let inner = SHAPE.plus(claim.at, 1).unwrap();
            let first = Header::new(State::Committed, 0, 1, claim.at.lap());
            let second = Header::new(State::Committed, 0, 2, claim.at.lap());
            log.headers[claim.at.index() as usize].store(first.0, Ordering::Release);
            log.headers[inner.index() as usize].store(second.0, Ordering::Release);
        })
    });
}

/// A full ring: a record in each segment.
fn full() -> Arc<Memory> {
    let memory = Memory::new();
    for value in [1, 2] {
        memory.put(ME, 3, value).unwrap();
    }
    assert_eq!(memory.put(ME, 3, 3), Err(Refusal::Full));
    memory
}

/// One reads in the oldest segment while it is reclaimed and written anew.
fn reclaimed(read: fn(&Memory, &Pin) -> bool, reclaim: fn(&Memory) -> bool) {
    let memory = full();
    let other = spawn(&memory, move |memory| {
        if reclaim(memory) {
            memory.put(OTHER, 3, 3).unwrap();
        }
    });
    let pin = &memory.pins[0];
    if read(&memory, pin) {
        assert_eq!(memory.read(Position::FIRST), 1, "overwritten under a pin");
        pin.rest(Position::FIRST);
        if pin.go_on(Position::FIRST) {
            assert_eq!(memory.read(Position::FIRST), 1, "overwritten under a pin");
            pin.rest(Position::FIRST);
        }
    }
    other.join().unwrap();
    // Nobody reads any more.
    let _ = memory.log().reclaim(Position::FIRST);
    assert!(memory.log().oldest() > Position::FIRST);
    let values = memory.values();
    assert!(values == [2, 3] || values == [2], "{values:?}");
}

fn enter(memory: &Memory, pin: &Pin) -> bool {
    memory.log().enter(pin, Position::FIRST)
}

fn reclaim(memory: &Memory) -> bool {
    match memory.log().reclaim(Position::FIRST) {
        Ok(mine) => mine,
        Err(kept) => {
            assert_eq!(kept, Kept::Pinned(ME));
            false
        }
    }
}

#[test]
fn a_segment_is_reclaimed_under_a_reader() {
    check(|| reclaimed(enter, reclaim));
}

#[test]
fn twin_a_reader_looks_before_it_pins() {
    must_fail(
        "log: a reader that looks at the floor before it pins",
        || {
            let read = |memory: &Memory, pin: &Pin| {
                let may = memory.log().floor() <= Position::FIRST;
                if may {
                    pin.at.store(Position::FIRST.0 | 1, Ordering::SeqCst);
                }
                may
            };
            reclaimed(read, reclaim)
        },
    );
}

#[test]
fn twin_pins_are_looked_at_first() {
    must_fail(
        "log: pins that are looked at before the floor moves",
        || {
            reclaimed(enter, |memory| {
                let next = SHAPE.next(Position::FIRST).unwrap().0;
                if memory.pins[0].at.load(Ordering::SeqCst) == Position::FIRST.0 | 1 {
                    return false;
                }
                memory.positions.floor.store(next, Ordering::SeqCst);
                memory.positions.freed.store(next, Ordering::SeqCst);
                true
            })
        },
    );
}

#[test]
fn twin_a_resting_pin_goes_on_unasked() {
    must_fail("log: a resting pin that goes on by a store", || {
        let read = |memory: &Memory, pin: &Pin| {
            let entered = enter(memory, pin);
            if entered {
                pin.rest(Position::FIRST);
                pin.at.store(Position::FIRST.0 | 1, Ordering::SeqCst);
            }
            entered
        };
        reclaimed(read, reclaim)
    });
}

/// Two reclaim at once.
#[test]
fn two_reclaim() {
    check(|| {
        let memory = full();
        let act = |memory: &Memory| {
            memory.log().reclaim(Position::FIRST).unwrap();
            memory.put(OTHER, 1, 3).unwrap();
        };
        let other = spawn(&memory, act);
        act(&memory);
        other.join().unwrap();
        assert_eq!(memory.values(), [2, 3, 3]);
        let second = SHAPE.next(Position::FIRST).unwrap();
        assert_eq!(memory.log().oldest(), second);
    });
}

/// One is about to claim while the other goes once round the ring and more.
fn a_lap_late(claim: fn(&Memory) -> Option<Claim>) {
    let memory = Memory::new();
    let other = spawn(&memory, move |memory| {
        let claim = claim(memory)?;
        let at = claim.at;
        memory.write(at, 9);
        memory.log().commit(claim);
        Some(at)
    });
    let mut mine = Vec::new();
    for value in 1..=3 {
        match memory.put(ME, 3, value) {
            Ok(at) => mine.push((at, value)),
            Err(refusal) => assert_eq!(refusal, Refusal::Full),
        }
        let _ = memory.log().reclaim(memory.log().oldest());
    }
    let theirs = other.join().unwrap();
    mine.extend(theirs.map(|at| (at, 9)));
    mine.retain(|(at, _)| *at >= memory.log().floor());
    mine.sort();
    assert_eq!(memory.rest(), (mine, Step::Empty));
}

#[test]
fn a_claimant_sleeps_for_a_lap() {
    check(|| a_lap_late(|memory| memory.claim(OTHER, 1).ok()));
}

#[test]
fn twin_a_claimant_sleeps_for_a_lap() {
    must_fail("log: headers without laps", || {
        a_lap_late(|memory| {
            let log = memory.log();
            let word = &log.headers[0];
            let free = Header(word.load(Ordering::SeqCst)).lap() < 1;
            let now = word.load(Ordering::SeqCst); // whatever it is by now
            let claimed = Header::new(State::Claimed, OTHER, 1, 1).0;
            if free
                && word
                    .compare_exchange(now, claimed, Ordering::SeqCst, Ordering::SeqCst)
                    .is_ok()
            {
                let (at, end) = (Position::FIRST, SHAPE.plus(Position::FIRST, 1).unwrap());
                return Some(Claim {
                    at,
                    granules: 1,
                    end,
                });
            }
            memory.claim(OTHER, 1).ok()
        })
    });
}

/// Two find no room in a segment at once: it is sealed once, and the ring is full for nobody.
#[test]
fn two_seal() {
    check(|| {
        let memory = Memory::new();
        memory.put(ME, 2, 1).unwrap();
        let other = spawn(&memory, |memory| memory.put(OTHER, 2, 2));
        let mine = memory.put(ME, 1, 3);
        other.join().unwrap().unwrap();
        mine.unwrap();
        let values = memory.values();
        assert!(values == [1, 2, 3] || values == [1, 3, 2], "{values:?}");
    });
}

/// A claimant dies at one of its steps; the other one goes on at once, and so do readers when the
/// death is known.
fn a_death(step: u32, repair: fn(&Memory)) {
    let memory = Memory::new();
    let other = spawn(&memory, move |memory| {
        if step == 0 {
            return;
        }
        let claim = memory.claim(OTHER, 2).unwrap();
        if step == 1 {
            return; // dies here
        }
        memory.write(claim.at, 9);
        if step == 2 {
            return; // or here
        }
        memory.log().commit(claim);
    });
    memory.put(ME, 1, 1).unwrap();
    other.join().unwrap();
    let survivor = spawn(&memory, repair);
    memory.put(ME, 2, 2).unwrap();
    repair(&memory);
    survivor.join().unwrap();
    let (mut values, end) = (memory.values(), memory.rest().1);
    assert_eq!(
        end,
        Step::Empty,
        "readers stand before what a dead one claimed"
    );
    values.retain(|value| *value != 9);
    assert_eq!(values, [1, 2]);
    assert_eq!(memory.values().len(), 2 + (step == 3) as usize);
    // What is over can be reclaimed.
    while memory.log().oldest() == Position::FIRST {
        match memory.log().reclaim(Position::FIRST) {
            Ok(_) => {}
            Err(kept) => {
                assert_eq!(kept, Kept::Open);
                memory.put(ME, 3, 3).unwrap();
            }
        }
    }
}

#[test]
fn a_claimant_dies() {
    for step in 0..4 {
        check(move || a_death(step, |memory| _ = memory.log().repair(OTHER)));
    }
}

#[test]
fn twin_a_claimant_dies() {
    must_fail(
        "log: a repair that looks at the first boundary alone",
        || {
            a_death(1, |memory| {
                let word = &memory.headers[0];
                let seen = Header(word.load(Ordering::SeqCst));
                if seen.state() == State::Claimed && seen.owner() == OTHER {
                    word.store(
                        Header::new(State::Padding, 0, seen.granules(), 1).0,
                        Ordering::SeqCst,
                    );
                }
            })
        },
    );
}

/// A slow claimant is no dead one: what it commits is read.
fn slow(repair: u32) {
    let memory = Memory::new();
    let claim = memory.claim(OTHER, 1).unwrap();
    let at = claim.at;
    let other = spawn(&memory, move |memory| memory.log().repair(repair));
    memory.write(at, 9);
    memory.log().commit(claim);
    other.join().unwrap();
    assert_eq!(memory.values(), [9], "taken from the living");
}

#[test]
fn a_slow_claimant_keeps_its_claim() {
    check(|| slow(ME));
}

#[test]
fn twin_a_slow_claimant_keeps_its_claim() {
    must_fail("log: a claim taken from a slow one", || slow(OTHER));
}

/// One closes the log while another appends: the record is before the end, or refused.
fn closed(close: fn(&Memory) -> Position) {
    let memory = Memory::new();
    let other = spawn(&memory, |memory| memory.put(OTHER, 1, 9));
    let end = close(&memory);
    let theirs = other.join().unwrap();
    match theirs {
        Ok(at) => assert!(at < end),
        Err(refusal) => assert_eq!(refusal, Refusal::Closed(end)),
    }
    let expected = theirs.iter().map(|at| (*at, 9)).collect();
    assert_eq!(memory.rest(), (expected, Step::End));
    assert_eq!(memory.log().close(Position::FIRST, || true), Ok(end));
    assert_eq!(memory.put(ME, 1, 1), Err(Refusal::Closed(end)));
}

#[test]
fn a_log_is_closed() {
    check(|| closed(|memory| memory.log().close(Position::FIRST, || true).unwrap()));
}

#[test]
fn twin_a_log_is_closed() {
    must_fail("log: an end that is stored", || {
        closed(|memory| {
            let at = memory.log().tail(Position::FIRST).unwrap();
            let end = Header::new(State::End, 0, 1, at.lap());
            memory.headers[at.index() as usize].store(end.0, Ordering::SeqCst);
            at
        })
    });
}

/// Each looks at a clock of its own, and none of them goes back in the log.
fn times(put: fn(&Memory, &AtomicU64, u64)) {
    let memory = Memory::new();
    let latest = Arc::new(AtomicU64::new(0));
    let other = {
        let latest = Arc::clone(&latest);
        spawn(&memory, move |memory| put(memory, &latest, 7))
    };
    put(&memory, &latest, 5);
    other.join().unwrap();
    let values = memory.values();
    assert!(values.is_sorted() && values.len() == 2, "{values:?}");
}

#[test]
fn times_do_not_go_back() {
    check(|| {
        times(|memory, latest, now| {
            let mut time = 0;
            let before = || {
                let seen = latest.fetch_max(now, Ordering::SeqCst);
                time = seen.max(now);
                true
            };
            let claim = memory.log().claim(Position::FIRST, ME, 1, before).unwrap();
            memory.write(claim.at, time);
            memory.log().commit(claim);
        })
    });
}

#[test]
fn twin_times_do_not_go_back() {
    must_fail(
        "log: a time that is settled before the tail is found",
        || {
            times(|memory, latest, now| {
                let time = latest.fetch_max(now, Ordering::SeqCst).max(now);
                memory.put(ME, 1, time).unwrap();
            })
        },
    );
}
