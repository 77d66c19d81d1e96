//! Delays, of a queue and of a message.

use super::common::body;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Error, Message, QueueOptions, Receipt, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTES_15: Duration = Duration::from_secs(900);

/// Gives the queue a delay, and takes it away again.
fn with_delay<R: Region>(on: &Ground<'_, R>, delay: Duration, act: impl FnOnce()) {
    let options = on.queue.options();
    on.queue.reconfigure(options.delay(delay)).expect("a delay");
    act();
    on.queue.reconfigure(options).expect("as it was");
}

fn send_after<R: Region>(on: &Ground<'_, R>, bytes: &[u8], delay: Duration) {
    let message = Message::new(bytes).delay(delay);
    on.queue.send_message(&message).expect("room");
}

fn delayed<R: Region>(on: &Ground<'_, R>) -> u64 {
    on.queue.stat().expect("figures").delayed
}

pub fn delays_are_exact_to_the_millisecond<R: Region>(on: &Ground<'_, R>) {
    for delay in [MS, SECOND, MINUTES_15] {
        send_after(on, b"later", delay);
        on.nothing();
        assert_eq!(
            (on.counts(), delayed(on)),
            ((0, 0), 1),
            "neither visible nor in flight"
        );
        on.pass(delay - MS);
        on.nothing();
        on.pass(MS);
        assert_eq!((on.counts(), delayed(on)), ((1, 0), 0));
        let received = on.receive();
        assert_eq!(
            (received.body(), received.receive_count()),
            (&b"later"[..], 1)
        );
        assert_eq!(received.first_received_ms(), received.received_ms());
        received.delete().expect("a delete");
    }
    on.settled();
}

pub fn a_message_may_have_its_own_delay<R: Region>(on: &Ground<'_, R>) {
    with_delay(on, SECOND, || {
        send_after(on, b"now", Duration::ZERO);
        send_after(on, b"much later", 3 * SECOND);
        on.send(b"the queue's");
        on.queue
            .send_message(&Message::new("the queue's too"))
            .expect("room");
    });
    // What is delayed keeps its delay, whatever the queue's is now.
    assert_eq!(on.receive().body(), b"now");
    on.nothing();
    on.pass(SECOND);
    for _ in 0..2 {
        let received = on.receive();
        assert!(received.body().starts_with(b"the queue's"));
        received.delete().expect("a delete");
    }
    on.nothing();
    on.pass(2 * SECOND);
    on.receive().delete().expect("a delete");
    on.pass(VISIBILITY);
    on.receive().delete().expect("a delete"); // the first, which was dropped
}

pub fn every_way_to_send_is_delayed<R: Region>(on: &Ground<'_, R>) {
    let long = on.queue.max_body().min(500);
    with_delay(on, SECOND, || {
        on.send(&body(1, long));
        let bodies = [body(2, 20), body(3, long), body(4, 20)];
        let sent = on.queue.send_batch(&bodies).expect("a batch");
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
        let singles = [body(5, 8), body(6, 8)];
        on.queue.send_batch(&singles).expect("a batch");
        let mut claim = on.queue.claim(20).expect("room");
        claim.copy_from_slice(&body(7, 20));
        claim.commit();
        let messages = [body(8, 20), body(9, long)];
        let messages = messages.each_ref().map(Message::new);
        let sent = on.queue.send_messages(&messages).expect("a batch");
        assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    });
    assert_eq!((on.counts(), delayed(on)), ((0, 0), 9));
    on.pass(SECOND - MS);
    on.nothing();
    on.pass(MS);
    let mut came = 0;
    while let Some(received) = on.queue.receive().expect("a receive") {
        assert_eq!(received.receive_count(), 1);
        received.delete().expect("a delete");
        came += 1;
    }
    assert_eq!(came, 9);
    on.settled();
}

pub fn a_delayed_message_has_no_receipt<R: Region>(on: &Ground<'_, R>) {
    on.send(b"a receipt's form");
    let text = on.receive().detach().to_string();
    send_after(on, b"later", MINUTES_15);
    // The other's slot and stamp are guessed right, and the generation is that of the send.
    let later = {
        let message = Message::new("guessed").delay(MINUTES_15);
        on.queue.send_message(&message).expect("room").to_string()
    };
    let generation = u64::from_str_radix(&later[16..], 16).expect("a number") >> 44;
    let received = u64::from_str_radix(&text[32..], 16).expect("a number") & ((1 << 44) - 1);
    let forged: Receipt = format!("{later}{:016x}", received | generation << 44)
        .parse()
        .expect("the form of a receipt");
    assert_eq!(on.queue.delete(&forged), Err(Error::MalformedReceipt));
    assert_eq!(on.queue.release(&forged), Err(Error::MalformedReceipt));
    assert_eq!(on.queue.extend(&forged, MS), Err(Error::MalformedReceipt));
    assert_eq!(delayed(on), 2);
    assert_eq!(on.queue.purge(), Ok(3), "purge takes the delayed too");
    on.settled();
}

pub fn delays_out_of_range_are_refused<R: Region>(on: &Ground<'_, R>) {
    let refused = |error: Error, what: &str| {
        let text = error.to_string();
        for word in [what, "0", "900000", "900001"] {
            assert!(text.contains(word), "{text:?} lacks {word:?}");
        }
    };
    let too_long = Message::new("x").delay(MINUTES_15 + MS);
    refused(
        on.queue.send_message(&too_long).expect_err("too long"),
        "delay (ms)",
    );
    let options: QueueOptions = on.queue.options().delay(MINUTES_15 + MS);
    refused(
        on.queue.reconfigure(options).expect_err("too long"),
        "delay (ms)",
    );
    let outcomes = on
        .queue
        .send_messages(&[Message::new("in order"), too_long]);
    let outcomes = outcomes.expect("entry by entry");
    assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    on.receive().delete().expect("a delete");
    on.settled();
}
