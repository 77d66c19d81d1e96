//! Commits: over a disk that fails, at the end of the ring, and with slots that fill frames.

use super::bench::{Bench, PAGE};
use crate::error::Error;
use crate::region::word::{Phase, Word};
use crate::sync::Ordering;

const LONG: &[u8] = &[3; 300]; // three slots

fn is_clean(bench: &Bench) -> bool {
    let store = bench.memory.store();
    let words = |block: &crate::ring::blocks::Block| {
        block.dirty.load(Ordering::Relaxed)
            | block.unsynced.load(Ordering::Relaxed)
            | block.copying.load(Ordering::Relaxed)
    };
    store.blocks().iter().all(|block| words(block) == 0)
}

#[test]
fn what_a_failing_disk_refused_is_written_by_the_next_commit() {
    let mut bench = Bench::small("refused");
    bench.memory.send(1, b"there before");
    bench.memory.send(2, b"deleted while the disk failed");
    bench.commit();
    let failing = bench.failing(701);
    let read_only = bench.read_only();
    bench.memory.send(3, b"sent while the disk failed");
    bench.memory.send(64, LONG);
    bench.memory.delete(2);
    for round in 0..3 {
        let begun = bench.memory.store().position();
        let refused = bench.commit_to(&failing);
        assert_eq!(
            refused,
            Err(Error::NotDurable { errno: libc::EIO }),
            "{round}"
        );
        let refused = bench.commit_to(&read_only);
        assert_eq!(
            refused,
            Err(Error::NotDurable { errno: libc::EBADF }),
            "{round}"
        );
        assert!(bench.memory.store().durable_position() < begun);
        assert_eq!(bench.memory.slots(), [1, 3, 64], "the queue has them");
    }
    bench.commit();
    assert!(is_clean(&bench), "nothing is left to be written");
    bench.restart();
    assert_eq!(bench.memory.slots(), [1, 3, 64]);
}

/// A frame that was written and given up after the ring's end had been skipped. The next one is
/// shorter and would fit before the end, where its position would be the lesser one.
#[test]
fn a_frame_that_was_given_up_does_not_outrank_a_later_one() {
    let mut bench = Bench::small("outrank");
    let sizes = bench.journal.sizes;
    let store = bench.memory.store();
    let end = sizes.ring - 2 * PAGE;
    store
        .head()
        .seldom
        .journal_end
        .store(end, Ordering::Relaxed);
    let visits = sizes.visits_at(sizes.ring + PAGE, store.blocks().len() as u64);
    store.head().seldom.swept.store(visits, Ordering::Relaxed);
    bench.memory.send(5, b"deleted");
    bench.memory.send(64, &[1; 10_000]);
    bench.memory.send(200, b"replaced");
    let failing = bench.failing(702);
    let refused = bench.commit_to(&failing);
    assert_eq!(refused, Err(Error::NotDurable { errno: libc::EIO }));
    assert_eq!(
        bench.read(8, sizes.ring),
        b"RINGFRAM",
        "the ring's end was skipped"
    );
    bench.memory.delete(5);
    bench.memory.delete(64);
    bench.memory.delete(200);
    bench.memory.send(200, b"kept");
    bench.commit();
    bench.restart();
    assert_eq!(bench.memory.slots(), [200]);
    assert_eq!(bench.memory.messages(), [(200, b"kept".to_vec())]);
}

/// The same, given up by a death between the write and the sync: the file has all of it.
#[test]
fn a_dead_committer_is_told_from_the_region_alone() {
    let mut bench = Bench::small("dead");
    bench.memory.send(5, b"deleted");
    bench.memory.send(6, b"kept");
    bench.commit();
    bench.memory.delete(5);
    bench.memory.send(7, b"sent");
    // It took the marks, began to copy, and died.
    let store = bench.memory.store();
    store.begin_commit();
    for block in 0..store.blocks().len() {
        store.take_marks(block);
    }
    store.blocks()[0].copying.store(1 << 9, Ordering::SeqCst);
    assert!(
        store.claim(9, 1, 1).is_none(),
        "a slot that is copied is nobody's"
    );
    bench.commit();
    assert!(is_clean(&bench));
    assert!(store.claim(9, 1, 1).is_some(), "free again");
    bench.restart();
    assert_eq!(bench.memory.slots(), [6, 7]);
}

/// A message that has been taken out by one who stopped, or died, before it marked the slot.
#[test]
fn all_is_marked_where_a_purge_has_been() {
    let mut bench = Bench::small("purged");
    bench.memory.send(5, b"taken out");
    bench.memory.send(6, b"there");
    bench.commit();
    let store = bench.memory.store();
    let word = &store.words()[5];
    assert_eq!(Word(word.load(Ordering::Relaxed)).phase(), Phase::Ready);
    word.store(Word::free(9).0, Ordering::Release);
    store.mark_all();
    bench.commit();
    bench.restart();
    assert_eq!(bench.memory.slots(), [6]);
}

#[test]
fn frames_that_are_full_lose_no_mark() {
    let mut bench = Bench::new("full", 400 << 10, 4064, 4064);
    let slots = bench.shape().slots;
    let frame = bench.journal.sizes.frame_max;
    assert!(frame < 64 * 4096, "a block takes several frames");
    for round in 0..3 {
        for slot in 0..slots {
            bench.memory.send(slot, &[round; 4064]);
        }
        bench.commit();
        assert!(is_clean(&bench), "round {round}");
        assert_eq!(bench.recovered().len(), slots);
        for slot in (0..slots).filter(|slot| slot % 3 != 0) {
            bench.memory.delete(slot);
        }
        bench.commit();
        assert!(is_clean(&bench), "round {round}");
        assert_eq!(bench.restart().messages, slots.div_ceil(3) as u64);
        for slot in bench.memory.slots() {
            bench.memory.delete(slot);
        }
        bench.commit();
        assert!(bench.recovered().is_empty());
    }
}

/// The first of several frames is on the disk, the second is refused: what it had is still marked.
#[test]
fn a_commit_that_fails_half_way_goes_on_with_the_next() {
    let mut bench = Bench::new("half", 400 << 10, 4064, 4064);
    let slots = bench.shape().slots;
    for slot in 0..slots {
        bench.memory.send(slot, &[1; 4064]);
    }
    let failing = bench.failing_later(703);
    let refused = bench.commit_to(&failing);
    assert_eq!(refused, Err(Error::NotDurable { errno: libc::EIO }));
    let first = bench.recovered().len();
    assert!(
        first > 0 && first < 64,
        "{first} messages in the first frame"
    );
    let durable = bench.memory.store().durable_position();
    assert_eq!(durable, 0, "nobody was told that it is durable");
    bench.commit();
    assert!(is_clean(&bench));
    assert_eq!(bench.restart().messages, slots as u64);
}

/// The slots of a bench in which messages stay, and those that are sent to anew all the time.
struct Churn {
    name: &'static str,
    bytes: usize,
    typical: usize,
    body: usize,
    /// Of 64 slots, these stay.
    stays: fn(usize) -> bool,
}

/// Records of messages that stay are written anew before they fall out of the window: then at each
/// moment there is one on the disk that counts.
#[test]
fn what_stays_is_written_anew_in_time() {
    let churns = [
        Churn {
            name: "pages",
            bytes: 300 << 10,
            typical: 4064,
            body: 4064,
            stays: |slot| slot % 64 == 63 || slot % 64 == 0,
        },
        Churn {
            name: "small",
            bytes: 64 << 10,
            typical: 96,
            body: 96,
            stays: |slot| slot % 16 == 5,
        },
        Churn {
            name: "middle",
            bytes: 200 << 10,
            typical: 992,
            body: 900,
            stays: |slot| slot % 64 == 63,
        },
        Churn {
            name: "few and large",
            bytes: 1 << 20,
            typical: 100_000,
            body: 100_000,
            stays: |slot| slot == 7,
        },
    ];
    for churn in churns {
        keeps_in_window(&churn);
    }
}

fn keeps_in_window(churn: &Churn) {
    let bench = Bench::new("window-kept", churn.bytes, churn.typical, churn.body);
    let sizes = bench.journal.sizes;
    let slots = bench.shape().slots;
    let blocks = bench.shape().blocks() as u64;
    let (stay, moves): (Vec<usize>, Vec<usize>) = (0..slots).partition(|&s| (churn.stays)(s));
    let mut records: Vec<Vec<u64>> = vec![Vec::new(); stay.len()];
    let look = |records: &mut Vec<Vec<u64>>| {
        let found = bench.positions_of(&stay);
        records
            .iter_mut()
            .zip(found)
            .for_each(|(all, some)| all.extend(some));
    };
    stay.iter()
        .for_each(|&slot| bench.memory.send(slot, &vec![1; churn.body]));
    let mut looked = 0;
    for round in 0..4 {
        // Short commits while the sweep goes round twice: the last records of what stays are as
        // early as can be. Then, just before a visit is due, all the rest at once.
        let visits = |position| sizes.visits_at(position, blocks);
        let enough = visits(bench.end()) + 2 * blocks + round % blocks;
        while visits(bench.end() + 2 * PAGE) < enough {
            bench.memory.send(moves[0], b"came");
            bench.memory.delete(moves[0]);
            bench.commit();
            // Looked at before any of it is overwritten.
            if bench.end() - looked > sizes.ring / 4 {
                look(&mut records);
                looked = bench.end();
            }
        }
        moves
            .iter()
            .for_each(|&slot| bench.memory.send(slot, &vec![2; churn.body]));
        bench.commit();
        look(&mut records);
        moves.iter().for_each(|&slot| bench.memory.delete(slot));
        bench.commit();
        look(&mut records);
        looked = bench.end();
    }
    for (slot, mut records) in stay.iter().zip(records) {
        records.sort_unstable();
        records.dedup();
        let gaps = records.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().expect("written more than once");
        let end = bench.end() - records[records.len() - 1];
        assert!(
            longest.max(end) <= sizes.window(),
            "{}, slot {slot}: {longest} between records, then {end}, of {sizes:?}, window {}",
            churn.name,
            sizes.window()
        );
    }
}
