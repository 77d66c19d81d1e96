//! What is there again when the machine has stopped.

use crate::common::{Numbers, body};
use crate::machine::{Machine, all, open, records};
use ringmain::{Durability, FullPolicy, ShardId, Start, Stream, StreamOptions};
use std::os::unix::fs::FileExt;

fn options() -> StreamOptions {
    StreamOptions::new()
        .full(FullPolicy::Evict)
        .segment(8192)
        .durability(Durability::BeforeOk)
}

const FIRST: ShardId = ShardId::from_number(0);

/// The ring goes round many times, with restarts in between; what is kept is the end of what was
/// put, byte for byte.
#[test]
fn the_end_of_the_stream_is_there() {
    let mut machine = Machine::new("again-rounds", 1 << 18, options());
    let mut numbers = Numbers(5);
    let mut put: Vec<(u64, Vec<u8>)> = Vec::new();
    for boot in 0..12 {
        {
            let region = machine.open();
            let stream = Stream::open(&region).expect("the stream");
            let found = records(&stream, FIRST);
            assert!(
                boot == 0 || found.len() > 20,
                "{} in boot {boot}",
                found.len()
            );
            let end = &put[put.len() - found.len()..];
            for ((sequence, data), (_, at, _, read)) in end.iter().zip(&found) {
                assert_eq!((sequence, data), (at, read), "boot {boot}");
            }
            assert_eq!(stream.stat(FIRST).expect("figures").damaged, 0);
            let process = stream.at(Durability::Process).expect("a level");
            for _ in 0..(20 + numbers.below(300)) {
                let data = body(numbers.next(), numbers.below(3000) as usize);
                let handle = numbers.below(4);
                let key = "one key";
                let at = match handle {
                    0 => stream.put(key, &data).expect("the disk"),
                    _ => process.put(key, &data).expect("room"),
                };
                put.push((at.sequence.as_u64(), data));
                if numbers.below(20) == 0 {
                    drop(
                        stream
                            .claim(key, numbers.below(4000) as usize)
                            .expect("room"),
                    );
                }
            }
            stream.sync().expect("the disk");
        }
        machine.stop();
    }
}

/// What was not on the disk is cut at the end, and what comes next does not mix with it.
#[test]
fn what_was_not_durable_is_cut_at_the_end() {
    let mut machine = Machine::new("again-cut", 1 << 18, options());
    let (before, put) = {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        stream.put("a", b"durable").expect("the disk");
        let process = stream.at(Durability::Process).expect("a level");
        let put = process.put("a", b"not durable").expect("room");
        (machine.copy("again-cut-copy"), put)
    };
    drop(before);
    machine.stop();
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(all(&stream).len(), 1);
    let again = stream.put("a", b"another").expect("the disk");
    assert_eq!(again.sequence, put.sequence, "its place is free");
    assert_eq!(all(&stream)[1].3, b"another");
}

/// Behind a cut lie whole blocks of the commit that was cut. What is written before them later does
/// not bring them back.
#[test]
fn what_was_cut_stays_away() {
    let options = StreamOptions::new()
        .segment(65_536)
        .durability(Durability::BeforeOk);
    let mut machine = Machine::new("again-away", 1 << 20, options);
    // A granule each, and a block has 63.
    let data = |n: u64| body(n, 20);
    {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        let process = stream.at(Durability::Process).expect("a level");
        for n in 0..5 * 63 {
            process.put("a", &data(n)).expect("room");
        }
        stream.sync().expect("the disk");
    }
    // The second of the blocks, which one commit has written, did not reach the disk.
    let first = 4096 + 2 * 4096 + 2 * 4096;
    let file = open(&machine.mirror());
    file.write_all_at(&[0; 4096], first + 4096)
        .expect("a torn commit");
    machine.stop();
    for (before, after) in [(63, 126), (126, 189)] {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        let found = all(&stream);
        assert_eq!(found.len(), before, "what was cut is back");
        assert_eq!(stream.stat(FIRST).expect("figures").damaged, 0);
        for n in before as u64..after {
            stream.put("a", &data(n)).expect("room");
        }
        drop(region);
        machine.stop();
    }
}

/// What is kept of a block that was complete goes to a slot in recovery: the next commit may write
/// that block anew, and the power go meanwhile.
#[test]
fn the_end_is_in_a_slot_after_recovery() {
    let options = StreamOptions::new()
        .segment(65_536)
        .durability(Durability::BeforeOk);
    let mut machine = Machine::new("again-slot", 1 << 20, options);
    {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        let process = stream.at(Durability::Process).expect("a level");
        for n in 0..30 {
            process.put("a", &body(n, 20)).expect("room");
        }
        process.put("a", &body(30, 3800)).expect("room");
        stream.sync().expect("the disk");
    }
    let file = open(&machine.mirror());
    let slots = 4096 + 2 * 4096;
    // The first block is at home, and the rest of the last record did not reach its slot.
    file.write_all_at(&[0; 2 * 4096], slots)
        .expect("a torn commit");
    for _ in 0..2 {
        machine.stop();
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        assert_eq!(all(&stream).len(), 30);
        assert_eq!(stream.stat(FIRST).expect("figures").damaged, 0);
        drop(region);
        file.write_all_at(&[0xa5; 4096], slots + 2 * 4096)
            .expect("a torn block");
    }
}

/// A machine that stops in recovery, or after it, finds the same again.
#[test]
fn recovery_may_be_repeated() {
    let mut machine = Machine::new("again-again", 1 << 18, options());
    let expected = {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        for n in 0..300 {
            stream.put("a", &body(n, 700)).expect("room");
        }
        all(&stream)
    };
    for _ in 0..5 {
        machine.stop();
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        assert_eq!(all(&stream), expected);
    }
}

/// A block that is damaged before others that are whole is told, and nothing else is lost.
#[test]
fn damage_is_told_and_nothing_else_is_lost() {
    let mut machine = Machine::new("again-damage", 1 << 18, options());
    let expected = {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        for n in 0..100 {
            stream.put("a", &body(n, 300)).expect("room");
        }
        all(&stream)
    };
    let whole = std::fs::read(machine.mirror()).expect("the mirror");
    let is_block = |at: &usize| {
        let word = |from: usize| u64::from_le_bytes(whole[from..from + 8].try_into().expect("8"));
        word(*at) != 0 && word(at + 8) >> 30 == 1 && word(at + 48) as u32 == 63
    };
    let blocks: Vec<usize> = (12_288 + 8192..whole.len())
        .step_by(4096)
        .filter(is_block)
        .collect();
    assert!(blocks.len() > 5, "{} blocks", blocks.len());
    for at in &blocks {
        let file = open(&machine.mirror());
        file.write_all_at(&whole, 0).expect("whole");
        file.write_all_at(&[0xa5; 8], *at as u64 + 1000)
            .expect("damage");
        machine.stop();
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        let found = all(&stream);
        assert_eq!(stream.stat(FIRST).expect("figures").damaged, 1, "{at}");
        // 5 granules a record: a block of 63 has parts of 14 at most.
        assert!(
            found.len() >= expected.len() - 14 && found.len() < expected.len(),
            "{at}"
        );
        assert!(found.iter().all(|record| expected.contains(record)), "{at}");
        let put = stream.put("a", b"more").expect("room");
        assert!(
            put.sequence.as_u64() > expected[99].1,
            "no place is used again"
        );
    }
}

/// A place that was noted is where to go on, and times are found.
#[test]
fn cursors_go_on_after_a_restart() {
    let mut machine = Machine::new("again-cursor", 1 << 18, options());
    let at = {
        let region = machine.open();
        let stream = Stream::open(&region).expect("the stream");
        for n in 0..40 {
            stream.put("a", &body(n, 100)).expect("room");
        }
        let mut cursor = stream.cursor(FIRST, Start::Oldest).expect("a cursor");
        assert_eq!(cursor.read(25).expect("records").len(), 25);
        cursor.position()
    };
    machine.stop();
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    let mut cursor = stream.cursor(FIRST, Start::At(at)).expect("a cursor");
    let mut read = 0;
    loop {
        let records = cursor.read(100).expect("records");
        if records.is_empty() {
            break;
        }
        for record in &records {
            assert_eq!(record.data(), body(25 + read, 100));
            read += 1;
        }
    }
    assert_eq!(read, 15);
    let time = stream.time_ms();
    let put = stream.put("a", b"now").expect("room");
    let mut cursor = stream.cursor(FIRST, Start::Time(time)).expect("a cursor");
    let records = cursor.read(10).expect("records");
    assert_eq!(records.iter().next().expect("it").sequence(), put.sequence);
}
