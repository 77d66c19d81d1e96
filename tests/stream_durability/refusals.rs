//! Mirrors that are not as they must be.

use crate::machine::{Machine, SECTION_OFFSET, all, open};
use ringmain::{Durability, Error, Mapped, Stream, StreamOptions};
use std::os::unix::fs::FileExt;

fn machine(name: &str) -> Machine {
    let options = StreamOptions::new().durability(Durability::BeforeOk);
    let machine = Machine::new(name, 1 << 20, options);
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    stream.put("a", b"1").expect("room");
    stream.put("a", b"2").expect("room");
    machine
}

fn refused(machine: &Machine) -> Error {
    match Mapped::open(machine.path()) {
        Ok(_) => panic!("it is opened"),
        Err(error) => error,
    }
}

#[test]
fn a_missing_mirror_is_told() {
    let mut machine = machine("mirror-missing");
    std::fs::remove_file(machine.mirror()).expect("it");
    for _ in 0..2 {
        let error = refused(&machine);
        assert!(matches!(error, Error::Mirror { .. }), "{error}");
        assert!(error.to_string().contains("missing"), "{error}");
        machine.stop();
    }
}

#[test]
fn the_mirror_of_another_is_told() {
    let (one, other) = (machine("mirror-one"), machine("mirror-other"));
    std::fs::copy(other.mirror(), one.mirror()).expect("copied");
    let error = refused(&one);
    assert!(error.to_string().contains("another region"), "{error}");
}

#[test]
fn a_damaged_or_newer_page_is_told() {
    let machine = machine("mirror-page");
    let file = open(&machine.mirror());
    for at in 0..128 {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        file.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
        let error = refused(&machine);
        match at {
            8..=11 => assert!(matches!(error, Error::Version { .. }), "{at}: {error}"),
            _ => assert!(matches!(error, Error::Mirror { .. }), "{at}: {error}"),
        }
        file.write_all_at(&byte, at).expect("a byte");
    }
    drop(machine.open());
    let len = file.metadata().expect("a length").len();
    file.set_len(len - 1).expect("cut");
    assert!(matches!(refused(&machine), Error::Truncated { .. }));
}

#[test]
fn both_ledgers_damaged_are_told() {
    let mut machine = machine("mirror-ledgers");
    machine.stop();
    let file = open(&machine.mirror());
    let whole = std::fs::read(machine.mirror()).expect("the mirror");
    for at in [4096 + 9, 8192 + 9] {
        file.write_all_at(&[0xa5; 4], at).expect("damage");
    }
    let error = refused(&machine);
    assert!(error.to_string().contains("ledgers"), "{error}");
    // One of them is enough, if it is the latest.
    file.write_all_at(&whole, 0).expect("whole again");
    let region = machine.open();
    assert_eq!(all(&Stream::open(&region).expect("it")).len(), 2);
}

/// The region's copy of the configuration may be damaged: the mirror has it too.
#[test]
fn a_damaged_head_is_mended() {
    let mut machine = machine("mirror-mends");
    machine.stop();
    let file = open(&machine.path());
    file.write_all_at(&[0xa5; 128], SECTION_OFFSET)
        .expect("damage");
    let region = machine.open();
    let stream = Stream::open(&region).expect("the stream");
    assert_eq!(all(&stream).len(), 2);
    stream.put("a", b"3").expect("room");
}

#[test]
fn a_stale_mirror_goes_and_anothers_stays() {
    let options = StreamOptions::new().durability(Durability::BeforeOk);
    let other = machine("mirror-stays");
    let path = other.path().with_file_name("t.ring");
    let mirror = other.path().with_file_name("t.ring.mirror");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    std::fs::copy(other.mirror(), &mirror).expect("copied");
    let made = Stream::create(&region, options);
    assert!(matches!(made.err(), Some(Error::Mirror { .. })));
    std::fs::remove_file(&mirror).expect("it");
    let stream = Stream::create(&region, options).expect("a stream");
    stream.put("a", b"1").expect("room");
}
