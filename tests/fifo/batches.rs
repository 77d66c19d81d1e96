//! Batches: 1 to 10 entries, what refuses the whole of one, and what fails alone.

use super::homes::{Ground, OPTIONS, bodies_of, delete};
use ringmain::{
    Error, FifoEntry, FifoOptions, FifoQueue, FifoSent, Heap, Message, Receipt, Region,
};
use std::time::Duration;

const IDS: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];

fn entries(count: usize) -> Vec<FifoEntry<'static>> {
    let entry = |id: &&'static str| FifoEntry::new("g", *id).id(id);
    IDS[..count].iter().map(entry).collect()
}

pub fn a_batch_has_1_to_10_entries<R: Region>(on: &Ground<'_, R>) {
    for len in [0, 11] {
        let refused = on.queue.send_batch(&entries(len));
        assert_eq!(refused, Err(Error::BatchSize { len }));
        let refused = on.queue.receive_batch(len).map(|_| ());
        assert_eq!(refused, Err(Error::BatchSize { len }));
    }
    let sent = on.queue.send_batch(&entries(10)).expect("a batch");
    let sent: Vec<FifoSent> = sent.into_iter().map(|one| one.expect("room")).collect();
    assert!(sent.windows(2).all(|two| two[0].sequence < two[1].sequence));
    let again = on.queue.send_batch(&entries(10)).expect("accepted");
    for (again, first) in again.iter().zip(&sent) {
        let again = again.as_ref().expect("accepted");
        assert!(again.is_duplicate && again.sequence == first.sequence);
    }
    delete(on.receive_these(10, &IDS[..10]));
}

pub fn what_names_nothing_refuses_all<R: Region>(on: &Ground<'_, R>) {
    let bad = [
        FifoEntry::new("g", "x"),
        FifoEntry::new("", "x").id("x"),
        FifoEntry::new("g g", "x").id("x"),
        FifoEntry::new("g", "x").id(""),
        FifoEntry::new("g", "x").id("é"),
    ];
    for entry in bad {
        let mut batch = entries(9);
        batch.push(entry);
        let refused = on.queue.send_batch(&batch).expect_err("refused");
        let expected = match (entry.id, entry.group) {
            (None, _) => matches!(refused, Error::NoDeduplicationId),
            (_, "g") => matches!(refused, Error::DeduplicationId { at: 0, .. }),
            _ => matches!(refused, Error::GroupId { .. }),
        };
        assert!(expected, "{refused:?}");
    }
    let message = |id| Message::new("x").group("g").deduplication_id(id);
    let refused = [
        Message::new("x").deduplication_id("y"),
        message("y").delay(Duration::ZERO),
        message("y").delay(Duration::from_secs(1)),
    ];
    for (at, bad) in refused.into_iter().enumerate() {
        let refused = on.queue.send_messages(&[message("x"), bad.clone()]);
        let alone = on.queue.send_message(&bad);
        match at {
            0 => assert!(matches!(refused, Err(Error::Group { .. })), "{refused:?}"),
            _ => {
                let said = refused.clone().expect_err("a delay").to_string();
                assert!(
                    said.contains("delay of a message in a FIFO queue"),
                    "{said}"
                );
            }
        }
        assert_eq!(alone.map(|_| ()), refused.map(|_| ()));
    }
    assert_eq!(on.stat().sent, 0);
    assert!(!on.send("g", "0").is_duplicate, "nothing was remembered");
}

pub fn an_entry_fails_alone<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.max_body(1000).dedup_ids(8), |on| {
        let long = [b'x'; 1001];
        let batch = [
            FifoEntry::new("g", "1").id("1"),
            FifoEntry::new("g", &long).id("2"),
            FifoEntry::new("g", "").id("3"),
            FifoEntry::new("h", &long[..1000]).id("4"),
            FifoEntry::new("g", "1").id("1"),
            FifoEntry::new("g", "5").id("5"),
        ];
        let sent = on.queue.send_batch(&batch).expect("a batch");
        let too_long = Error::BodyTooLong {
            len: 1001,
            max: 1000,
        };
        assert_eq!(sent[1], Err(too_long));
        assert_eq!(sent[2], Err(Error::BodyEmpty));
        let first = sent[0].as_ref().expect("sent");
        let again = sent[4].as_ref().expect("accepted");
        assert!(again.is_duplicate && again.sequence == first.sequence);
        assert!(sent[3].is_ok() && sent[5].is_ok());
        delete(on.receive_these(2, &["1", "5"]));
        let received = on.receive(10);
        assert_eq!(bodies_of(&received), ["x".repeat(1000)]);
        delete(received);
        // What failed is not remembered; and when the table is full, the rest fails alone.
        let sent = on.queue.send_batch(&entries(10)).expect("a batch");
        let full = Error::DeduplicationFull { max: 8 };
        let outcomes: Vec<_> = sent
            .iter()
            .map(|one| one.as_ref().map(|sent| sent.is_duplicate))
            .collect();
        let (new, old, none) = (Ok(false), Ok(true), Err(&full));
        // 1, 4 and 5 are remembered, so there is room for five more.
        assert_eq!(
            outcomes,
            [new, old, new, new, old, old, new, new, none, none]
        );
        delete(on.receive_these(10, &["0", "2", "3", "6", "7"]));
    });
}

#[test]
fn a_batch_counts_together() {
    const MAX: usize = 256 << 10;
    let region = Heap::new(4 << 20).expect("memory");
    let queue = FifoQueue::create(region, FifoOptions::new()).expect("a queue");
    assert_eq!(queue.max_body(), MAX);
    let body = vec![7; MAX];
    let batch = |lens: [usize; 2]| {
        let entries = [
            FifoEntry::new("g", &body[..lens[0]]).id("1"),
            FifoEntry::new("g", &body[..lens[1]]).id("2"),
        ];
        queue.send_batch(&entries)
    };
    let len = MAX + 1;
    let too_long = Error::BatchTooLong { len, max: MAX };
    assert_eq!(batch([MAX, 1]), Err(too_long));
    assert_eq!(queue.stat().expect("figures").sent, 0);
    let sent = batch([MAX - 1, 1]).expect("as long as may be");
    assert!(sent.iter().all(|one| one.is_ok()));
    // An attribute counts: its name, type and value are 1 + 6 + 1 bytes.
    let long = Message::new(&body[..MAX - 8])
        .group("g")
        .deduplication_id("3");
    let long = long.string("a", "b").expect("an attribute");
    let short = Message::new("x").group("g").deduplication_id("4");
    let refused = queue.send_messages(&[long.clone(), short]);
    assert_eq!(refused, Err(Error::BatchTooLong { len, max: MAX }));
    assert!(queue.send_message(&long).is_ok(), "names do not count");
}

pub fn receipts_are_settled_one_by_one<R: Region>(on: &Ground<'_, R>) {
    on.queue.send_batch(&entries(5)).expect("a batch");
    let received = on.receive_these(10, &IDS[..5]);
    let receipts: Vec<Receipt> = received.into_iter().map(|got| got.detach()).collect();
    let minute = Duration::from_secs(60);
    assert_eq!(
        on.queue.delete_batch(&[]).map(|_| ()),
        Err(Error::BatchSize { len: 0 })
    );
    assert_eq!(on.queue.delete(&receipts[2]), Ok(()));
    let all = |outcomes: Vec<Result<(), Error>>| {
        assert_eq!(outcomes[2], Err(Error::NotInFlight));
        assert_eq!(outcomes.iter().filter(|one| one.is_ok()).count(), 4);
    };
    let extended = on.queue.extend_batch(&receipts, minute).expect("a batch");
    all(extended.into_iter().collect());
    on.pass(minute - Duration::from_millis(1));
    on.receive_these(10, &[]);
    let released = on.queue.release_batch(&receipts).expect("a batch");
    all(released.into_iter().collect());
    let deleted = on.queue.delete_batch(&receipts).expect("a batch");
    for (at, outcome) in deleted.into_iter().enumerate() {
        let expected = match at {
            2 => Ok(()),
            _ => Err(Error::ExpiredReceipt),
        };
        assert_eq!(outcome, expected);
    }
    let batch = on.queue.receive_batch(10).expect("a receive");
    assert_eq!(batch.len(), 4);
    assert!(batch.delete().iter().all(|one| one.is_ok()));
}

pub fn a_foreign_receipt_is_refused<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "1");
    let receipt = on.receive_these(1, &["1"]).remove(0).detach();
    on.with(OPTIONS, |other| {
        other.send("g", "1");
        let foreign = Err(Error::ForeignReceipt);
        assert_eq!(other.queue.delete(&receipt), foreign);
        assert_eq!(other.queue.release(&receipt), foreign);
        let extended = other.queue.extend(&receipt, Duration::ZERO);
        assert_eq!(extended, foreign);
    });
    assert!("nonsense".parse::<Receipt>().is_err());
    let again: Receipt = receipt.to_string().parse().expect("its own text");
    assert_eq!(on.queue.delete(&again), Ok(()));
}
