//! Batches: 1 to 10 entries, each with its own outcome.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Receipt, Region};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

pub fn batches_have_one_to_ten_entries<R: Region>(on: &Ground<'_, R>) {
    on.send(b"there");
    let receipt = on.receive().detach();
    on.queue.release(&receipt).expect("a release");
    for len in [0, 11, 1000] {
        let error = Err(Error::BatchSize { len });
        let receipts = vec![receipt; len];
        assert_eq!(on.queue.send_batch(&vec![b"x"; len]).map(|_| ()), error);
        assert_eq!(on.queue.receive_batch(len).map(|_| ()), error);
        assert_eq!(on.queue.receive_batch_for(len, MINUTE).map(|_| ()), error);
        assert_eq!(on.queue.delete_batch(&receipts).map(|_| ()), error);
        assert_eq!(on.queue.extend_batch(&receipts, MINUTE).map(|_| ()), error);
        assert_eq!(on.queue.release_batch(&receipts).map(|_| ()), error);
        assert_eq!(on.counts(), (1, 0));
    }
    assert!(on.queue.receive_batch(usize::MAX).is_err());
    let said = Error::BatchSize { len: 11 }.to_string();
    assert!(said.contains("11") && said.contains("1 to 10"), "{said}");
    on.receive().delete().expect("a delete");
}

pub fn a_batch_carries_each_entry<R: Region>(on: &Ground<'_, R>) {
    for len in [1usize, 2, 9, 10] {
        let bodies: Vec<Vec<u8>> = (0..len).map(|i| body(i as u64, 8 + i)).collect();
        let sent = on.queue.send_batch(&bodies).expect("a batch");
        assert_eq!(sent.len(), len);
        let mut left: Vec<_> = sent
            .into_iter()
            .map(|id| id.expect("room"))
            .zip(&bodies)
            .collect();
        while !left.is_empty() {
            let batch = on.queue.receive_batch(left.len()).expect("a batch");
            assert!(!batch.is_empty(), "{} are visible", left.len());
            for received in &batch {
                let at = left.iter().position(|(id, _)| *id == received.id());
                let (_, body) = left.swap_remove(at.expect("one that was sent, once"));
                assert_eq!(received.body(), &body[..]);
            }
            assert!(batch.delete().iter().all(|outcome| outcome.is_ok()));
        }
        on.settled();
    }
}

pub fn an_entry_fails_alone<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let long = vec![1; max + 1];
    let entries: [&[u8]; 4] = [b"first", &long, b"", b"last"];
    let outcomes = on.queue.send_batch(&entries).expect("a batch");
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
    assert_eq!(outcomes[1], Err(Error::BodyTooLong { len: max + 1, max }));
    assert_eq!(outcomes[2], Err(Error::BodyEmpty));
    for expected in [b"first".as_slice(), b"last"] {
        let received = on.receive();
        assert_eq!(received.body(), expected);
        received.delete().expect("a delete");
    }
}

pub fn a_batch_fills_what_room_there_is<R: Region>(on: &Ground<'_, R>) {
    let capacity = on.queue.capacity();
    for _ in 0..capacity - 3 {
        on.send(b"filler");
    }
    let outcomes = on.queue.send_batch(&[b"entry"; 10]).expect("a batch");
    assert!(outcomes[..3].iter().all(|outcome| outcome.is_ok()));
    assert!(
        outcomes[3..]
            .iter()
            .all(|outcome| *outcome == Err(Error::Full))
    );
    assert_eq!(on.slots_free(), 0);
    assert_eq!(on.queue.purge(), Ok(capacity as u64));
}

pub fn receipts_fail_alone<R: Region>(on: &Ground<'_, R>) {
    on.queue.send_batch(&[b"a", b"b", b"c"]).expect("a batch");
    let mut receipts: Vec<Receipt> = (0..3).map(|_| on.receive().detach()).collect();
    on.queue.delete(&receipts[1]).expect("a delete");
    on.queue.release(&receipts[2]).expect("a release");
    let stale = receipts[2];
    receipts.push(on.receive().detach());
    let extended = on.queue.extend_batch(&receipts, MINUTE).expect("a batch");
    let expected = [
        Ok(()),
        Err(Error::NotInFlight),
        Err(Error::StaleReceipt),
        Ok(()),
    ];
    assert_eq!(&extended[..], &expected);
    on.pass(VISIBILITY);
    on.nothing();
    let released = on.queue.release_batch(&receipts).expect("a batch");
    assert_eq!(&released[..], &expected);
    assert_eq!(on.counts(), (2, 0));
    let deleted = on.queue.delete_batch(&receipts).expect("a batch");
    assert_eq!(
        &deleted[..],
        &[Ok(()), Ok(()), Err(Error::StaleReceipt), Ok(())]
    );
    assert_eq!(on.queue.delete(&stale), Ok(()), "gone is gone");
}

pub fn batches_settle_by_handle<R: Region>(on: &Ground<'_, R>) {
    on.queue.send_batch(&[b"a"; 10]).expect("a batch");
    let mut batch = on.queue.receive_batch(10).expect("a batch");
    assert!(!batch.is_empty());
    let len = batch.len() as u64;
    assert!(batch.extend(MINUTE).iter().all(|outcome| outcome.is_ok()));
    on.pass(MINUTE - Duration::from_millis(1));
    assert_eq!(on.counts(), (10 - len, len));
    assert!(
        batch
            .extend(Duration::from_secs(3600 * 13))
            .iter()
            .all(|outcome| outcome.is_err())
    );
    let first = batch.pop().expect("a message");
    first.delete().expect("a delete");
    assert!(batch.release().iter().all(|outcome| outcome.is_ok()));
    assert_eq!(on.counts(), (9, 0));
    // Dropped, they stay in flight until their time is over.
    drop(on.queue.receive_batch(5).expect("a batch"));
    let flying = on.counts().1;
    assert!(flying > 0);
    on.pass(VISIBILITY);
    assert_eq!(on.counts(), (9, 0));
    while on.counts().0 > 0 {
        assert!(
            on.queue
                .receive_batch(10)
                .expect("a batch")
                .delete()
                .iter()
                .all(|o| o.is_ok())
        );
    }
}
