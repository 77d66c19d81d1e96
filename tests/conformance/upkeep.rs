//! Purge, retention, figures.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Region};
use std::time::Duration;

const DAYS_4: Duration = Duration::from_secs(4 * 86_400);
const MS: Duration = Duration::from_millis(1);

pub fn purge_removes_everything_sent<R: Region>(on: &Ground<'_, R>) {
    assert_eq!(on.queue.purge(), Ok(0));
    on.pass(Duration::from_secs(60)); // until the next one
    for number in 0..30 {
        on.send(&body(number, 88));
    }
    let borrowed = on.receive();
    let receipt = on.receive().detach();
    on.receive().release().expect("a release");
    drop(on.receive());
    on.pass(VISIBILITY);
    let again = on.receive();
    assert_eq!(on.queue.purge(), Ok(30));
    on.nothing();
    assert_eq!(on.counts(), (0, 0));
    assert_eq!(on.queue.delete(&receipt), Ok(()));
    assert_eq!(on.queue.extend(&receipt, MS), Err(Error::NotInFlight));
    assert_eq!(on.queue.release(&receipt), Err(Error::NotInFlight));
    assert_eq!(again.release(), Err(Error::NotInFlight));
    drop(borrowed);
    on.settled();
    on.send(b"after");
    on.pass(VISIBILITY);
    assert_eq!(on.receive().delete(), Ok(()));
}

pub fn retention_drops_what_is_old<R: Region>(on: &Ground<'_, R>) {
    let expired = || on.queue.stat().expect("figures").expired;
    let before = expired();
    on.send(b"as old as may be");
    on.pass(DAYS_4);
    let received = on.receive();
    received.release().expect("a release");
    on.pass(MS);
    on.nothing();
    assert_eq!(expired(), before + 1);
    on.settled();
    // In flight it is dropped when it comes back, and its receipt deletes nothing else.
    on.send(&body(1, on.queue.max_body().min(1000)));
    let receipt = on.receive().detach();
    on.pass(DAYS_4 + MS);
    on.nothing();
    assert_eq!(expired(), before + 2);
    assert_eq!(on.queue.delete(&receipt), Ok(()));
}

pub fn old_messages_do_not_hide_a_new_one<R: Region>(on: &Ground<'_, R>) {
    for number in 0..25 {
        on.send(&body(number, 88));
    }
    on.pass(DAYS_4 + MS);
    on.send(b"fresh");
    let received = on.queue.receive().expect("a receive");
    let received = received.expect("the fresh message is visible");
    assert_eq!(received.body(), b"fresh");
    received.delete().expect("a delete");
    on.queue.purge().expect("a purge");
}

pub fn stat_tells_what_is_there<R: Region>(on: &Ground<'_, R>) {
    let stat = on.queue.stat().expect("figures");
    assert_eq!(stat.slots, on.queue.capacity() as u64);
    assert_eq!(stat.body_bytes_max, on.queue.max_body() as u64);
    assert_eq!(stat.visibility, VISIBILITY);
    assert_eq!((stat.attachments, stat.damaged), (1, 0));
    for number in 0..20u32 {
        on.send(&number.to_le_bytes());
    }
    let held: Vec<_> = (0..7).map(|_| on.receive()).collect();
    let stat = on.queue.stat().expect("figures");
    assert_eq!((stat.visible, stat.in_flight), (13, 7));
    assert_eq!(stat.slots_free, stat.slots - 20);
    drop(held);
    on.pass(VISIBILITY);
    let stat = on.queue.stat().expect("figures");
    assert_eq!(
        (stat.visible, stat.in_flight),
        (20, 0),
        "also when nobody has looked"
    );
    assert_eq!(on.queue.purge(), Ok(20));
}
