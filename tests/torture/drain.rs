//! The end of a round: everybody is dead, and one participant empties the queue, looks that nothing
//! has leaked, and fills it to the last slot.

use super::board::Op;
use super::faults::Fault;
use super::hand::{Desk, Hand, Named, VISIBILITY_MS};
use super::ledger::Answer;
use super::os;
use std::sync::atomic::Ordering;

/// How long a drain may take, ns.
const PATIENCE_NS: u64 = 20_000_000_000;
/// The same where a twin has seen to it that it cannot be done, ns.
const TWIN_NS: u64 = 200_000_000;
/// The body of the messages that fill the queue: one slot in both shapes.
const FILLING: [u8; 16] = *b"to the last slot";

pub fn drain(hand: &mut Hand) -> i32 {
    let Some((region, attachment)) = hand.open() else {
        hand.fault(Fault::Error, 0, 0, 0, "the drainer cannot open the region");
        return 0;
    };
    if let Some(desk) = hand.desk(&region) {
        // Nobody else lives, so this takes back what every dead one held.
        if let Err(error) = hand.at(Op::Tend, || desk.tend()) {
            hand.fault(Fault::Error, 0, 0, 0, &format!("tend: {error}"));
        }
        if empty(hand, &desk, attachment) {
            fill(hand, &desk);
            is_whole(hand, &desk);
        }
    }
    hand.close(region, attachment);
    0
}

/// Receives and deletes until every slot is free.
fn empty(hand: &mut Hand, desk: &Desk<'_>, attachment: u8) -> bool {
    let begun = os::now_ns();
    loop {
        let call = || desk.receive_batch(10);
        let batch = hand.receiving(Op::ReceiveBatch, 10, VISIBILITY_MS, attachment, call);
        let batch: Vec<_> = batch.into_iter().flatten().collect();
        let none = batch.is_empty();
        for message in batch {
            let named = Named::of(&message);
            let answer = hand.settle(Op::Delete, named, || message.delete());
            if answer != Answer::Ok {
                let text = format!("the drainer's delete: {answer:?}");
                hand.fault(Fault::Answer, named.seed, 0, 0, &text);
            }
        }
        if !hand.life.ledger.has_room() {
            hand.tools.board.more.store(1, Ordering::SeqCst);
            return false;
        }
        if none && is_empty(hand, desk) {
            return true;
        }
        let patience_ns = if hand.tools.twin {
            TWIN_NS
        } else {
            PATIENCE_NS
        };
        if os::now_ns() - begun > patience_ns {
            let text = match desk.stat() {
                Ok(stat) => format!("the queue does not get empty: {stat:?}"),
                Err(error) => format!("stat: {error}"),
            };
            hand.fault(Fault::Leak, 0, 0, 0, &text);
            return false;
        }
    }
}

fn is_empty(hand: &Hand, desk: &Desk<'_>) -> bool {
    let stat = hand.at(Op::Stat, || desk.stat());
    stat.is_ok_and(|stat| stat.slots_free == stat.slots)
}

/// Sends until the queue is full, which it must be with its last slot and not before; takes
/// everything out again.
fn fill(hand: &mut Hand, desk: &Desk<'_>) {
    let mut sent = 0;
    let refused = loop {
        match desk.send_batch(&[FILLING; 10]) {
            Ok(outcomes) => {
                sent += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
                if let Some(Err(error)) = outcomes.into_iter().find(|outcome| outcome.is_err()) {
                    break error;
                }
            }
            Err(error) => break error,
        }
    };
    if refused != ringmain::Error::Full || sent != desk.capacity() {
        let text = format!("{sent} of {} slots, then: {refused}", desk.capacity());
        hand.fault(Fault::Leak, 0, sent as u64, desk.capacity() as u64, &text);
    }
    let mut received = 0;
    while let Ok(batch) = desk.receive_batch(10) {
        if batch.is_empty() {
            break;
        }
        received += batch
            .iter()
            .filter(|message| message.body() == FILLING)
            .count();
        for outcome in batch.delete() {
            if let Err(error) = outcome {
                hand.fault(Fault::Error, 0, 0, 0, &format!("delete: {error}"));
            }
        }
    }
    if received != sent {
        let text = format!("{received} of {sent} messages came back out");
        hand.fault(Fault::Lost, 0, received as u64, sent as u64, &text);
    }
}

fn is_whole(hand: &mut Hand, desk: &Desk<'_>) {
    let stat = match desk.stat() {
        Ok(stat) => stat,
        Err(error) => return hand.fault(Fault::Error, 0, 0, 0, &format!("stat: {error}")),
    };
    let text = format!("at the end: {stat:?}");
    if stat.slots_free != stat.slots || stat.visible != 0 || stat.in_flight != 0 {
        hand.fault(Fault::Leak, 0, stat.slots_free, stat.slots, &text);
    }
    if stat.damaged != 0 || stat.expired != 0 {
        hand.fault(Fault::Damaged, 0, stat.damaged, stat.expired, &text);
    }
    if stat.attachments != 1 {
        hand.fault(Fault::Leak, 0, stat.attachments, 1, &text);
    }
}
