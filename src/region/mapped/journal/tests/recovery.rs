//! What recovery believes: frames and records that were placed by hand.

use super::super::frame::{Frame, POSITION_MAX};
use super::bench::{Bench, Memory, PAGE, Written, one};
use crate::error::Error;
use crate::hash::checksum;
use crate::region::arena::stamp;
use crate::region::body::seed;
use crate::region::marks::Look;
use crate::region::word::{Phase, Word};
use crate::sync::Ordering;

const LONG: &[u8] = &[3; 300]; // three slots

#[test]
fn a_message_under_a_newer_one_stays_away() {
    let bench = Bench::small("under");
    let next = bench.put(0, &[one(5, b"under"), one(8, b"beside")], &[]);
    bench.put(next, &[one(4, LONG)], &[]);
    assert_eq!(bench.recovered(), [4, 8], "a run over a message");

    let bench = Bench::small("over");
    let next = bench.put(0, &[one(4, LONG), one(70, LONG)], &[]);
    let next = bench.put(next, &[one(6, b"on its end")], &[]);
    bench.put(next, &[one(70, b"on its start")], &[]);
    assert_eq!(bench.recovered(), [6, 70], "messages over a run");
}

#[test]
fn a_message_under_a_newer_one_stays_away_for_good() {
    let mut bench = Bench::small("for-good");
    let next = bench.put(0, &[one(64, b"under")], &[]);
    bench.put(next, &[one(63, LONG)], &[]);
    bench.restart();
    assert_eq!(bench.memory.slots(), [63]);
    bench.memory.delete(63);
    bench.commit();
    bench.restart();
    let back = bench.memory.slots();
    assert!(
        back.is_empty(),
        "what recovery left out came back: {back:?}"
    );
}

#[test]
fn no_message_in_a_slot_spares_the_run_that_lies_over_it() {
    let bench = Bench::small("spares");
    let next = bench.put(0, &[one(4, LONG)], &[]);
    let next = bench.put(next, &[], &[5, 6]);
    assert_eq!(bench.recovered(), [4]);
    bench.put(next, &[], &[4]);
    assert!(bench.recovered().is_empty());
}

#[test]
fn the_later_record_decides_also_within_a_frame() {
    let bench = Bench::small("within");
    let again = Written {
        slot: 9,
        generation: 2,
        body: b"second",
    };
    let next = bench.put(0, &[one(9, b"first"), again, one(10, b"gone")], &[10]);
    bench.put(next, &[], &[11]);
    let mut bench = bench;
    bench.restart();
    assert_eq!(bench.memory.messages(), [(9, b"second".to_vec())]);
}

/// A frame in the skipped end of the ring, whose successor was overwritten, says what is no more.
#[test]
fn what_lies_behind_the_window_is_not_believed() {
    let sizes = Bench::small("window").journal.sizes;
    // The newest frame ends just where the older one begins to count, and a page later.
    for (more, believed) in [(0, true), (PAGE, false)] {
        let bench = Bench::small("window");
        let old = sizes.ring - PAGE;
        bench.put(old, &[one(7, b"old")], &[]);
        bench.put(old + sizes.window() - PAGE + more, &[one(8, b"new")], &[]);
        let wanted: &[usize] = if believed { &[7, 8] } else { &[8] };
        assert_eq!(bench.recovered(), wanted, "{more} bytes behind");
    }
    let both = sizes.ring - sizes.window();
    assert!(both >= 2 * sizes.frame_max as u64, "being written: {both}");
}

#[test]
fn a_torn_frame_counts_for_nothing_and_is_overwritten() {
    let mut bench = Bench::small("torn");
    let durable = bench.put(0, &[one(1, b"durable"), one(2, b"deleted later")], &[]);
    let bytes = bench.frame(durable, &[one(3, &[9; 5000])], &[2]);
    let before = bench.read(bytes.len(), durable);
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .expect("it has bytes");
    for whole in (0..used).step_by(8) {
        let torn = [&bytes[..whole], &before[whole..]].concat();
        bench.write(&torn, durable);
        assert_eq!(bench.recovered(), [1, 2], "{whole} bytes of {used}");
    }
    assert_eq!(bench.restart().messages, 2);
    assert_eq!(bench.end(), durable, "its place is the next one's");
    bench.memory.send(4, b"after");
    bench.commit();
    bench.restart();
    assert_eq!(bench.memory.slots(), [1, 2, 4]);
}

#[test]
fn a_frame_that_was_damaged_hides_no_other() {
    let bench = Bench::small("damaged");
    let first = bench.put(0, &[one(1, b"one")], &[]);
    let second = bench.put(first, &[one(100, &[2; 10_000])], &[]);
    bench.put(second, &[one(3, b"three")], &[]);
    let bytes = bench.read((second - first) as usize, first);
    for at in [0, 8, 16, 20, 24, 32, 40, 48, 56, 64, 4096, 9000] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        bench.write(&damaged, first);
        assert_eq!(bench.recovered(), [1, 3], "byte {at}");
    }
    bench.write(&bytes, first);
    assert_eq!(bench.recovered(), [1, 3, 100]);
}

#[test]
fn a_frame_elsewhere_than_its_position_is_none() {
    let bench = Bench::small("elsewhere");
    let next = bench.put(0, &[one(1, b"one")], &[]);
    let ring = bench.journal.sizes.ring;
    for position in [
        next + PAGE,
        ring,
        ring - PAGE,
        u64::MAX,
        u64::MAX - PAGE + 1,
    ] {
        let bytes = bench.frame(position, &[one(2, b"two")], &[1]);
        bench.write(&bytes, next);
        assert_eq!(bench.recovered(), [1], "position {position}");
    }
    // Another queue's journal has another seed.
    let other = Bench::small("elsewhere-other");
    bench.write(&other.frame(next, &[one(2, b"two")], &[1]), next);
    assert_eq!(bench.recovered(), [1], "a frame of another journal");
}

/// None of these can come from a commit; a file may have been made to hold them.
#[test]
fn records_that_cannot_be_do_no_harm() {
    let bench = Bench::small("hostile");
    let slots = bench.shape().slots as u32;
    let long = vec![1; bench.shape().stored_bytes_max() + 1];
    let messages = [
        one(slots, b"beyond the last slot"),
        one(u32::MAX, b"far beyond"),
        one(slots - 1, LONG), // ends beyond the last slot
        one(20, &long),
        one(1, b"one"),
    ];
    let next = bench.put(0, &messages, &[slots, u32::MAX, slots - 2]);
    assert_eq!(bench.recovered(), [1]);

    // A body whose checksum does not hold.
    let mut frame = Frame::default();
    frame.clear();
    let look = Look {
        word: Word::ready(1, 0),
        stamp: stamp(1, 1),
        size: 5,
        attributes: 0,
    };
    assert!(frame.push(2, (&look, None), b"wrong", usize::MAX));
    let bytes = frame.seal(next, 1, 0, bench.journal.seed).to_vec();
    bench.write(&bytes, next);
    assert_eq!(bench.recovered(), [1]);

    // Records that are cut by the end of their frame: the head says a length, the seal agrees.
    let whole = bench.frame(next, &[one(3, b"three"), one(4, b"four")], &[]);
    for len in 0..=64 + 2 * 32 {
        let mut cut = whole.clone();
        cut[16..20].copy_from_slice(&(len as u32).to_le_bytes());
        reseal(&bench, &mut cut, len);
        bench.write(&cut, next);
        let found = bench.recovered();
        let wanted: &[usize] = match len {
            0..96 => &[1],
            96..128 => &[1, 3],
            _ => &[1, 3, 4],
        };
        assert_eq!(found, wanted, "a frame of {len} bytes");
    }
    for len in [bench.journal.sizes.frame_max as u32 + 1, u32::MAX] {
        let mut long = whole.clone();
        long[16..20].copy_from_slice(&len.to_le_bytes());
        bench.write(&long, next);
        assert_eq!(bench.recovered(), [1], "a frame of {len} bytes");
    }
}

fn damaged(bench: &Bench) -> u64 {
    bench
        .memory
        .store()
        .head()
        .counters
        .damaged
        .load(Ordering::Relaxed)
}

/// What lies between whole frames has been on the disk, and its loss is counted.
#[test]
fn frames_that_are_missing_between_others_are_told() {
    let mut bench = Bench::small("missing");
    let frames = 6;
    for slot in 0..frames {
        bench.memory.send(slot, b"one of six");
        bench.commit();
    }
    let whole = bench.read(PAGE as usize * frames, 0);
    bench.restart();
    assert_eq!(damaged(&bench), 0);
    for (lost, count) in [
        (&[2][..], 1),
        (&[0], 1),
        (&[1, 2], 1),
        (&[1, 3], 2),
        (&[5], 0),
    ] {
        for &frame in lost {
            bench.write(&[0xff; 100], frame as u64 * PAGE);
        }
        bench.restart();
        let there: Vec<usize> = (0..frames).filter(|slot| !lost.contains(slot)).collect();
        assert_eq!(bench.memory.slots(), there);
        assert_eq!(damaged(&bench), count, "{lost:?}");
        bench.write(&whole, 0);
    }
}

/// Neither an end of the ring that was skipped nor what has been overwritten is a loss.
#[test]
fn a_ring_that_goes_round_lacks_nothing() {
    let mut bench = Bench::small("round");
    bench.memory.send(0, b"stays");
    let ring = bench.journal.sizes.ring;
    for round in 0..400 {
        bench
            .memory
            .send(1, &[1; 20_000][..500 + 7919 * round % 19_000]);
        bench.commit();
        bench.memory.delete(1);
        if round % 5 == 0 {
            let memory = Memory::new(64 << 10, 96, 20_000);
            bench.journal.recover(&memory.store()).expect("the journal");
            let damaged = memory
                .store()
                .head()
                .counters
                .damaged
                .load(Ordering::Relaxed);
            assert_eq!(damaged, 0, "round {round}");
        }
    }
    assert!(bench.end() > 3 * ring);
    // Long after it has wrapped a hole is seen all the same, anywhere in the window.
    bench.restart();
    let behind = bench.end() - bench.journal.sizes.window() / 2;
    let hole = behind / PAGE * PAGE;
    bench.write(&[0; 3 * PAGE as usize], hole);
    bench.restart();
    assert_eq!(damaged(&bench), 1);
}

#[test]
fn a_sector_that_cannot_be_read_is_a_frame_that_is_not_there() {
    let bench = Bench::small("unreadable");
    let next = bench.put(0, &[one(1, b"one")], &[]);
    let next = bench.put(next, &[one(2, b"two")], &[]);
    bench.put(next, &[one(3, b"three")], &[]);
    for (number, place, there) in [(711, PAGE, [1, 3]), (712, 2 * PAGE, [1, 2])] {
        let journal = bench.unreadable(number, place);
        let memory = Memory::new(64 << 10, 96, 20_000);
        journal.recover(&memory.store()).expect("the rest");
        assert_eq!(memory.slots(), there);
        let damaged = memory
            .store()
            .head()
            .counters
            .damaged
            .load(Ordering::Relaxed);
        assert_eq!(
            damaged,
            u64::from(there == [1, 3]),
            "a loss between others is told"
        );
    }
}

/// A head in the ring's last page that speaks of more bytes than are left.
#[test]
fn a_frame_ends_with_the_ring() {
    let bench = Bench::small("last-page");
    let last = bench.journal.sizes.ring - PAGE;
    bench.put(0, &[one(1, b"one")], &[]);
    let mut long = bench.frame(last, &[one(2, b"two")], &[]);
    long[16..20].copy_from_slice(&(2 * PAGE as u32).to_le_bytes());
    bench.write(&long, last);
    assert_eq!(bench.recovered(), [1]);
}

/// Numbers in a head that is sealed: a journal goes on from them, and what is sent is not lost.
#[test]
fn numbers_that_run_out_do_no_harm() {
    let mut bench = Bench::small("numbers");
    let forge = |bench: &Bench, at: usize, number: u64| {
        let mut frame = bench.frame(0, &[one(1, b"one")], &[]);
        frame[at..at + 8].copy_from_slice(&number.to_le_bytes());
        reseal(bench, &mut frame, 64 + 32);
        bench.write(&frame, 0);
    };
    let (commit, swept) = (24, 40);
    for (at, number) in [
        (commit, u64::MAX),
        (commit, u64::MAX - 1),
        (swept, u64::MAX),
    ] {
        forge(&bench, at, number);
        bench.restart();
        let ring = bench.journal.sizes.ring;
        // More than a round: without the sweep the messages that stay would be overwritten.
        bench.memory.send(2, b"stays");
        while bench.end() < 2 * ring {
            bench.memory.send(10, &[1; 20_000]);
            let end = bench.end();
            bench.commit();
            assert!(bench.end() > end, "nothing was written: {number} at {at}");
            bench.memory.delete(10);
        }
        bench.commit();
        bench.restart();
        assert_eq!(bench.memory.slots(), [1, 2], "{number} at {at}");
        bench.write(&vec![0; ring as usize], 0);
    }
}

#[test]
fn at_the_last_position_a_commit_says_that_it_cannot() {
    let mut bench = Bench::small("last-position");
    let ring = bench.journal.sizes.ring;
    let last = POSITION_MAX / ring * ring - ring;
    bench.put(last, &[one(1, b"one")], &[]);
    bench.restart();
    bench.memory.send(2, b"two");
    let refused = bench.commit_to(&bench.journal);
    assert_eq!(refused, Err(Error::NotDurable { errno: libc::EFBIG }));
    assert_eq!(bench.memory.slots(), [1, 2], "the queue has them");
    bench.restart();
    assert_eq!(bench.memory.slots(), [1]);
}

/// Makes the checksum of a frame of `len` bytes hold.
fn reseal(bench: &Bench, frame: &mut [u8], len: usize) {
    if len >= 64 {
        frame[56..64].fill(0);
        let check = crate::hash::xxh3_64_seeded(&frame[..len], bench.journal.seed);
        frame[56..64].copy_from_slice(&check.to_le_bytes());
    }
}

/// A frame with one record that has attributes or a delay.
fn with_more(bench: &Bench, position: u64, more: [u64; 2], body: &[u8]) -> Vec<u8> {
    let [attributes, delay_ms] = more;
    let stamp = stamp(1000, 1);
    let sum = checksum(body, seed(stamp, attributes));
    let look = Look {
        word: match delay_ms {
            0 => Word::ready(1, 0),
            delay_ms => Word::held(0, 1, 0, false, delay_ms),
        },
        stamp,
        size: u64::from(sum) << 32 | body.len() as u64,
        attributes,
    };
    let mut frame = Frame::default();
    frame.clear();
    assert!(frame.push(2, (&look, None), body, usize::MAX));
    frame.seal(position, 1, 1000, bench.journal.seed).to_vec()
}

/// What a restart makes of such a frame: the slot's word and the attributes' word.
fn restarted(bench: &mut Bench) -> (Word, u64) {
    bench.restart();
    let store = bench.memory.store();
    let word = Word(store.words()[2].load(Ordering::Acquire));
    (word, store.slot(2).attributes.load(Ordering::Acquire))
}

/// Each byte of a record with its optional words: the frame is not believed, and hides no other.
#[test]
fn attributes_and_a_delay_come_back_whole_or_not_at_all() {
    for more in [[2 << 32 | 3, 0], [0, 5000], [2 << 32 | 3, 5000]] {
        let mut bench = Bench::small("more");
        let next = bench.put(0, &[one(1, b"one")], &[]);
        let whole = with_more(&bench, next, more, b"body and more");
        bench.write(&whole, next);
        let (word, attributes) = restarted(&mut bench);
        let phase = if more[1] == 0 {
            Phase::Ready
        } else {
            Phase::Held
        };
        assert_eq!(
            (word.phase(), word.due_ms(), word.owner()),
            (phase, more[1], 0)
        );
        assert_eq!(attributes, more[0]);
        for at in 64..64 + 24 + 16 + 16 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            bench.write(&damaged, next);
            let (word, _) = restarted(&mut bench);
            // The zeros behind the body belong to the frame as well.
            assert_eq!(word, Word::free(0), "byte {at}");
            assert_eq!(bench.memory.slots(), [1], "byte {at}");
        }
        // Cut by the end of its frame.
        for len in 64..64 + 24 + 16 + 16 {
            let mut cut = whole.clone();
            cut[16..20].copy_from_slice(&(len as u32).to_le_bytes());
            reseal(&bench, &mut cut, len);
            bench.write(&cut, next);
            let (word, _) = restarted(&mut bench);
            assert_eq!(word, Word::free(0), "a frame of {len} bytes");
        }
    }
}

/// Optional words that no commit writes: the message comes, is set aside, or is not there.
#[test]
fn optional_words_that_cannot_be_do_no_harm() {
    let body = b"body and more";
    let len = body.len() as u64;
    for attributes in [0, 1, len - 1, len, u64::from(u32::MAX), u64::MAX] {
        for delay_ms in [0, 1, (1 << 31) - 1] {
            let mut bench = Bench::small("more-hostile");
            let mut frame = with_more(&bench, 0, [attributes, delay_ms], body);
            if attributes | delay_ms != 0 {
                // The longest delay is more than a word can say.
                let delay = if delay_ms > 1 { u64::MAX } else { delay_ms };
                frame[96..104].copy_from_slice(&delay.to_le_bytes());
                reseal(&bench, &mut frame, 64 + 24 + 16 + 16);
            }
            bench.write(&frame, 0);
            let (word, _) = restarted(&mut bench);
            assert_ne!(word.phase(), Phase::Free, "its checksum holds");
            let store = bench.memory.store();
            store.expire_some((1 << 44) - 2, 0, 1);
            let hold = store.hold(2, 1, false, 0).expect("its delay is over");
            let stored = store.inspect(&hold, true);
            let sound = u64::from(attributes as u32) < len;
            assert_eq!(stored.is_some(), sound, "{attributes:#x}, {delay_ms}");
        }
    }
    // No message, but the mark of the optional words.
    let mut bench = Bench::small("more-none");
    let mut frame = bench.frame(0, &[one(1, b"one")], &[2]);
    let at = 64 + 24 + 8;
    frame[at..at + 8].copy_from_slice(&(1u64 << 31 | 2).to_le_bytes());
    reseal(&bench, &mut frame, at + 8);
    bench.write(&frame, 0);
    assert_eq!(restarted(&mut bench).0, Word::free(0));
    assert_eq!(bench.memory.slots(), [1]);
}
