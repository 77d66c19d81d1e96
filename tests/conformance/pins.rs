//! Bodies that are read in place while their messages go on without the reader.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Region};
use std::time::Duration;

/// Fills each slot that is free with other bytes, looks at `check`, and empties the queue again.
fn while_full<R: Region>(on: &Ground<'_, R>, check: impl Fn()) {
    let room = on.slots_free();
    for number in 0..room {
        on.send(&body(number + 1000, 88));
    }
    assert_eq!(on.queue.send(b"more"), Err(Error::Full));
    check();
    let mut seen = 0;
    while let Some(message) = on.queue.receive().expect("a receive") {
        message.delete().expect("a delete");
        seen += 1;
    }
    assert_eq!(
        seen, room,
        "the slot of the borrowed body was not given out"
    );
    check();
}

pub fn a_borrowed_body_outlives_its_message<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(1, 88);
    on.send(&bytes);
    let reader = on.receive();
    let slots = on.slots_free();
    on.pass(VISIBILITY);
    let second = on.receive();
    assert_eq!(second.body(), &bytes[..]);
    second.delete().expect("a delete");
    assert_eq!(on.slots_free(), slots, "the reader keeps the slot");
    while_full(on, || assert_eq!(reader.body(), &bytes[..]));
    drop(reader);
    assert_eq!(on.slots_free(), slots + 1);
}

pub fn two_former_readers_read_at_once<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(2, 80);
    on.send(&bytes);
    let first = on.receive();
    on.pass(VISIBILITY);
    let second = on.receive();
    on.pass(VISIBILITY);
    let third = on.receive();
    assert_eq!(third.receive_count(), 3);
    let slots = on.slots_free();
    third.delete().expect("a delete");
    while_full(on, || {
        assert_eq!(first.body(), &bytes[..]);
        assert_eq!(second.body(), &bytes[..]);
    });
    drop(first);
    assert_eq!(on.slots_free(), slots, "one still reads");
    while_full(on, || assert_eq!(second.body(), &bytes[..]));
    assert_eq!(second.delete(), Ok(()), "gone already");
    assert_eq!(on.slots_free(), slots + 1);
}

pub fn a_third_reader_waits_for_a_former_one<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(3, 80);
    on.send(&bytes);
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(on.receive());
        on.pass(VISIBILITY);
    }
    // All three read: the message stays with the third.
    on.nothing();
    on.pass(VISIBILITY);
    on.nothing();
    let third = readers[2].receipt();
    assert_eq!(on.queue.delete(&third), Err(Error::Pinned { max: 2 }));
    assert!(on.queue.release(&third).is_err());
    for reader in &readers {
        assert_eq!(reader.body(), &bytes[..]);
    }
    drop(readers.remove(0));
    on.pass_ms(10);
    let fourth = on.receive();
    assert_eq!((fourth.receive_count(), fourth.body()), (4, &bytes[..]));
    fourth.delete().expect("a delete");
    while_full(on, || {
        for reader in &readers {
            assert_eq!(reader.body(), &bytes[..]);
        }
    });
    drop(readers);
}

pub fn a_body_deleted_by_receipt_is_still_read<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(4, 88);
    on.send(&bytes);
    let mut reader = on.receive();
    let slots = on.slots_free();
    on.queue.delete(&reader.receipt()).expect("a delete");
    assert_eq!(on.counts(), (0, 0));
    while_full(on, || assert_eq!(reader.body(), &bytes[..]));
    assert_eq!(
        reader.extend(Duration::from_secs(1)),
        Err(Error::NotInFlight)
    );
    assert_eq!(reader.body(), &bytes[..]);
    assert_eq!(reader.delete(), Ok(()));
    assert_eq!(on.slots_free(), slots + 1);
}

pub fn a_body_released_by_receipt_is_still_read<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(5, 88);
    on.send(&bytes);
    let reader = on.receive();
    let slots = on.slots_free();
    on.queue.release(&reader.receipt()).expect("a release");
    let other = on.receive();
    assert_eq!((other.receive_count(), other.body()), (2, &bytes[..]));
    other.delete().expect("a delete");
    while_full(on, || assert_eq!(reader.body(), &bytes[..]));
    assert_eq!(reader.release(), Err(Error::NotInFlight));
    assert_eq!(on.slots_free(), slots + 1);
}

/// What is refused by receipt does not end the reading by handle.
pub fn a_refused_release_leaves_the_reader_its_bytes<R: Region>(on: &Ground<'_, R>) {
    let bytes = body(8, 88);
    on.send(&bytes);
    let reader = on.receive();
    let (receipt, slots) = (reader.receipt(), on.slots_free());
    on.pass(VISIBILITY);
    assert_eq!(on.queue.release(&receipt), Err(Error::NotInFlight));
    assert_eq!(
        on.queue.extend(&receipt, VISIBILITY),
        Err(Error::NotInFlight)
    );
    assert_eq!(on.queue.delete(&receipt), Ok(()));
    while_full(on, || assert_eq!(reader.body(), &bytes[..]));
    assert_eq!(on.slots_free(), slots);
    drop(reader);
    assert_eq!(on.slots_free(), slots + 1);
}

/// A former reader that settles late is told, its pin goes, and the present holder reads on.
pub fn former_readers_may_settle_late<R: Region>(on: &Ground<'_, R>) {
    for way in 0..5 {
        let bytes = body(6, 88);
        on.send(&bytes);
        let former = on.receive();
        on.pass(VISIBILITY);
        let present = on.receive();
        let slots = on.slots_free();
        match way {
            0 => assert_eq!(former.delete(), Err(Error::StaleReceipt)),
            1 => assert_eq!(former.release(), Err(Error::StaleReceipt)),
            2 => drop(former),
            3 => assert_eq!(on.queue.delete(&former.detach()), Err(Error::StaleReceipt)),
            _ => {
                let mut former = former;
                assert_eq!(former.extend(VISIBILITY), Err(Error::StaleReceipt));
            }
        }
        assert_eq!(on.counts(), (0, 1));
        assert_eq!(present.body(), &bytes[..]);
        present.delete().expect("a delete");
        assert_eq!(on.slots_free(), slots + 1, "way {way}");
    }
}

pub fn purge_leaves_readers_their_bytes<R: Region>(on: &Ground<'_, R>) {
    let bytes: Vec<Vec<u8>> = (0..3).map(|i| body(7 + i, 88)).collect();
    for bytes in &bytes {
        on.send(bytes);
    }
    let former = on.receive();
    assert_eq!(former.body(), &bytes[0][..]);
    on.pass(VISIBILITY);
    let present = on.receive();
    let count = on.counts();
    assert_eq!(count.0 + count.1, 3);
    assert_eq!(on.queue.purge(), Ok(3));
    assert_eq!(on.counts(), (0, 0));
    let present_bytes = present.body().to_vec();
    while_full(on, || {
        assert_eq!(former.body(), &bytes[0][..]);
        assert_eq!(present.body(), &present_bytes[..]);
    });
    assert_eq!(former.delete(), Ok(()));
    assert_eq!(present.delete(), Ok(()));
}
