//! What a receipt may do: its own receive, and nothing else.

use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Heap, ManualClock, Queue, QueueOptions, Receipt, Region};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub fn a_late_delete_is_good_until_received_again<R: Region>(on: &Ground<'_, R>) {
    // By handle and by receipt, before anybody has looked and after.
    for (by_handle, looked) in [(true, false), (true, true), (false, false), (false, true)] {
        on.send(b"late");
        let received = on.receive();
        on.pass(VISIBILITY * 3);
        if looked {
            // Another receive sweeps what is due, and takes another message.
            on.send(b"other");
            let mut batch = on.queue.receive_batch(1).expect("a batch");
            if let Some(other) = batch.pop() {
                let was_late = other.body() == b"late";
                other.delete().expect("a delete");
                on.receive().delete().expect("a delete");
                assert_eq!(received.delete(), Ok(()), "gone already: {was_late}");
                on.settled();
                continue;
            }
        }
        if by_handle {
            assert_eq!(received.delete(), Ok(()));
        } else {
            assert_eq!(on.queue.delete(&received.detach()), Ok(()));
        }
        on.nothing();
        on.settled();
    }
}

pub fn a_stale_receipt_deletes_nothing<R: Region>(on: &Ground<'_, R>) {
    on.send(b"twice");
    let first = on.receive();
    let stale = first.receipt();
    on.pass(VISIBILITY);
    let second = on.receive();
    assert_ne!(second.receipt(), stale);
    assert_eq!(on.queue.delete(&stale), Err(Error::StaleReceipt));
    assert_eq!(on.queue.extend(&stale, MINUTE), Err(Error::StaleReceipt));
    assert_eq!(on.queue.release(&stale), Err(Error::StaleReceipt));
    assert_eq!(first.delete(), Err(Error::StaleReceipt));
    assert_eq!(on.counts(), (0, 1));
    // Also after the second receive has run out: it is that one's to delete.
    on.pass(VISIBILITY);
    assert_eq!(on.queue.delete(&stale), Err(Error::StaleReceipt));
    assert_eq!(on.counts(), (1, 0));
    assert_eq!(second.delete(), Ok(()));
    assert_eq!(on.queue.delete(&stale), Ok(()), "gone is gone");
}

pub fn deleting_twice_is_no_error<R: Region>(on: &Ground<'_, R>) {
    on.send(b"once");
    let receipt = on.receive().detach();
    for _ in 0..3 {
        assert_eq!(on.queue.delete(&receipt), Ok(()));
        on.settled();
    }
    // Nor when the slot has a new message, which stays.
    for _ in 0..on.queue.capacity() {
        on.send(b"new");
    }
    assert_eq!(on.queue.delete(&receipt), Ok(()));
    assert_eq!(on.counts(), (on.queue.capacity() as u64, 0));
    assert_eq!(on.queue.purge(), Ok(on.queue.capacity() as u64));
}

pub fn a_deleted_message_is_not_extended<R: Region>(on: &Ground<'_, R>) {
    on.send(b"gone");
    let mut received = on.receive();
    let receipt = received.receipt();
    on.queue.delete(&receipt).expect("a delete");
    assert_eq!(received.extend(MINUTE), Err(Error::NotInFlight));
    assert_eq!(on.queue.extend(&receipt, MINUTE), Err(Error::NotInFlight));
    assert_eq!(on.queue.release(&receipt), Err(Error::NotInFlight));
    assert_eq!(received.release(), Err(Error::NotInFlight));
    on.settled();
    on.send(b"in its place");
    assert_eq!(on.queue.extend(&receipt, MINUTE), Err(Error::NotInFlight));
    on.receive().delete().expect("a delete");
}

pub fn foreign_receipts_are_refused<R: Region>(on: &Ground<'_, R>) {
    let clock = ManualClock::new(1);
    let region = Heap::new(1 << 16).expect("memory");
    let other = Queue::create_with(region, QueueOptions::new(), &clock).expect("a queue");
    other.send(b"elsewhere").expect("room");
    let foreign = other
        .receive()
        .expect("a receive")
        .expect("a message")
        .detach();
    on.send(b"here");
    let received = on.receive();
    assert_eq!(on.queue.delete(&foreign), Err(Error::ForeignReceipt));
    assert_eq!(
        on.queue.extend(&foreign, MINUTE),
        Err(Error::ForeignReceipt)
    );
    assert_eq!(on.queue.release(&foreign), Err(Error::ForeignReceipt));
    assert_eq!(
        other.delete(&received.receipt()),
        Err(Error::ForeignReceipt)
    );
    assert_eq!(on.counts(), (0, 1));
    received.delete().expect("a delete");
}

pub fn malformed_receipts_are_refused<R: Region>(on: &Ground<'_, R>) {
    on.send(b"safe");
    let received = on.receive();
    let good = received.receipt().to_string();
    assert_eq!(good.len(), 48);
    let mut bad: Vec<String> = (0..48).map(|len| good[..len].to_string()).collect();
    bad.push(format!("{good}0"));
    bad.push("z".repeat(48));
    bad.push("é".repeat(24));
    bad.push(format!("+{}", &good[1..]));
    bad.push(format!("{}f{}", &good[..32], &good[33..])); // bits that a receipt does not have
    for text in bad {
        assert_eq!(
            text.parse::<Receipt>(),
            Err(Error::MalformedReceipt),
            "{text:?}"
        );
    }
    // Well formed, of this queue, but of a slot that does not exist: { queue:32, slot:32, .. }.
    let slot = on.queue.capacity();
    let receipt: Receipt = format!("{}{slot:08x}{}", &good[..8], &good[16..])
        .parse()
        .expect("digits");
    assert_eq!(on.queue.delete(&receipt), Err(Error::MalformedReceipt));
    assert_eq!(
        on.queue.extend(&receipt, MINUTE),
        Err(Error::MalformedReceipt)
    );
    assert_eq!(on.queue.release(&receipt), Err(Error::MalformedReceipt));
    assert_eq!(on.counts(), (0, 1));
    received.delete().expect("a delete");
}

/// A receipt that differs in one bit does nothing: not to its own message, nor to its neighbour.
pub fn forged_receipts_change_nothing<R: Region>(on: &Ground<'_, R>) {
    on.send(b"mine");
    on.pass_ms(3); // at the same millisecond, the neighbour's receipt may differ in one bit
    on.send(b"neighbour");
    let (mine, neighbour) = (on.receive(), on.receive());
    let good = mine.receipt().to_string();
    let id = u128::from_str_radix(&good[..32], 16).expect("digits");
    let receive = u64::from_str_radix(&good[32..], 16).expect("digits");
    for bit in 0..192u32 {
        let (id, receive) = match bit {
            0..128 => (id ^ (1 << bit), receive),
            _ => (id, receive ^ (1 << (bit - 128))),
        };
        let Ok(forged) = format!("{id:032x}{receive:016x}").parse::<Receipt>() else {
            continue;
        };
        if (128..172).contains(&bit) {
            continue; // the time of the receive: it names the same receive
        }
        let _ = on.queue.delete(&forged); // "gone already" is Ok
        assert!(on.queue.extend(&forged, MINUTE).is_err(), "bit {bit}");
        assert!(on.queue.release(&forged).is_err(), "bit {bit}");
        assert_eq!(on.counts(), (0, 2), "bit {bit}");
    }
    assert_eq!(
        (mine.body(), neighbour.body()),
        (&b"mine"[..], &b"neighbour"[..])
    );
    mine.delete().expect("a delete");
    neighbour.delete().expect("a delete");
}

pub fn receipts_survive_as_text<R: Region>(on: &Ground<'_, R>) {
    on.send(b"text");
    let receipt = on.receive().detach();
    let text = receipt.to_string();
    let read: Receipt = text.parse().expect("its own text");
    assert_eq!(read, receipt);
    assert_eq!(text.to_uppercase().parse(), Ok(receipt));
    assert_eq!(on.queue.delete(&read), Ok(()));
}

pub fn detach_gives_the_receipt<R: Region>(on: &Ground<'_, R>) {
    on.send(b"detached");
    let received = on.receive();
    let id = received.id();
    let receipt = received.detach();
    assert_eq!(receipt.id(), id);
    assert_eq!(on.counts(), (0, 1));
    on.pass(VISIBILITY - Duration::from_millis(1));
    on.nothing();
    on.queue.extend(&receipt, MINUTE).expect("an extend");
    on.pass(MINUTE);
    assert_eq!(on.counts(), (1, 0));
    on.queue.delete(&receipt).expect("a late delete");
}
