//! Consumers: receive in each way, log what they got, and settle it in time, late, in part, in any
//! order, or not at all. And the drainer, who takes what is left at the end.

use super::board::{Record, Tick, Which};
use super::common::seed_of;
use super::hand::{Hand, Queue, VISIBILITY_MS, VISIBILITY_MS_MAX, number};
use super::history::{Answer, Deed, Hold, NEVER, Place};
use super::os;
use ringmain::{Error, Mapped, Receipt, Received};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

type Got<'q> = Received<'q, Mapped, Tick>;

/// What a drainer ends with.
pub const DRAINED: i32 = 0;
pub const MORE: i32 = 7;
pub const STUCK: i32 = 8;

/// How long a drainer tries.
const DRAIN: Duration = Duration::from_secs(15);

/// Receives until it is stopped, or its log is full.
pub fn consume(mut hand: Hand) {
    let queue = hand.open();
    while hand.goes_on() {
        if hand.tools.board.lazy.load(Ordering::Relaxed) != 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
        let got = receive(&mut hand, &queue);
        if !got.is_empty() {
            settle(&mut hand, &queue, got);
        }
    }
    hand.close(queue);
}

fn receive<'q>(hand: &mut Hand, queue: &'q Queue) -> Vec<Got<'q>> {
    let max = hand.below(10) as usize + 1;
    let mut visibility_ms = VISIBILITY_MS;
    let (way, wait) = (hand.below(8), Duration::from_millis(hand.below(20)));
    if way == 1 {
        visibility_ms = 1 + hand.below(VISIBILITY_MS_MAX);
    }
    let visibility = Duration::from_millis(visibility_ms);
    let from = os::now_ns();
    let got = match way {
        0 => hand.inside(|| queue.receive()).map(Vec::from_iter),
        1 => {
            let call = || queue.receive_batch_for(max, visibility);
            hand.inside(call).map(Vec::from_iter)
        }
        2 => {
            let call = || queue.receive_timeout(wait);
            hand.asleep(call).map(Vec::from_iter)
        }
        3..6 => {
            let call = || queue.receive_batch(max);
            hand.inside(call).map(Vec::from_iter)
        }
        _ => {
            let call = || queue.receive_batch_timeout(max, wait);
            hand.asleep(call).map(Vec::from_iter)
        }
    };
    let to = os::now_ns();
    let got = got.expect("a receive");
    log(hand, &got, (from, to), visibility_ms);
    got
}

fn log(hand: &mut Hand, got: &[Got<'_>], (from, to): (u64, u64), visibility_ms: u64) {
    hand.calls += 1;
    let base_ms = hand.tools.board.base_ms.load(Ordering::Relaxed);
    for received in got {
        let sequence = received.sequence_number().expect("a sequence number");
        let received_ms = received.received_ms() - base_ms;
        hand.life.append(&Record::Got(Hold {
            life: 0,
            call: hand.calls,
            group: number(received.group()) as u32,
            id: number(received.deduplication_id()),
            token: token(received),
            place: Place {
                id: received.id().as_u128(),
                sequence: sequence.as_u128() as u64,
            },
            count: received.receive_count(),
            from,
            to,
            received_ms,
            due_ms: received_ms + visibility_ms,
            settles: Vec::new(),
            alive_to: NEVER,
        }));
    }
}

fn token(received: &Got<'_>) -> u64 {
    seed_of(received.body()).expect("the bytes that were sent")
}

fn which(received: &Got<'_>) -> Which {
    (token(received), received.receive_count())
}

/// Does something to receives, and logs it.
fn deed<I>(hand: &Hand, of: &[Which], deed: Deed, call: impl FnOnce() -> I)
where
    I: IntoIterator<Item = Result<(), Error>>,
{
    let from = os::now_ns();
    for &which in of {
        hand.life.append(&Record::Begin(which, deed, from));
    }
    let outcomes: Vec<_> = hand.inside(|| call().into_iter().collect());
    let to = os::now_ns();
    assert_eq!(outcomes.len(), of.len(), "an outcome for each");
    for (&which, outcome) in of.iter().zip(outcomes) {
        let answer = match outcome {
            Ok(()) => Answer::Ok,
            Err(Error::ExpiredReceipt) => Answer::Expired,
            Err(Error::StaleReceipt) => Answer::Stale,
            Err(Error::NotInFlight) => Answer::NotInFlight,
            Err(Error::Pinned { .. }) => Answer::Pinned,
            Err(_) => Answer::Other,
        };
        hand.life.append(&Record::End(which, answer, to));
    }
}

fn delete(hand: &Hand, received: Got<'_>) {
    deed(hand, &[which(&received)], Deed::Delete, || {
        [received.delete()]
    });
}

fn release(hand: &Hand, received: Got<'_>) {
    deed(hand, &[which(&received)], Deed::Release, || {
        [received.release()]
    });
}

fn detach(hand: &Hand, received: Got<'_>) -> (Which, Receipt) {
    let of = which(&received);
    let mut receipt = None;
    deed(hand, &[of], Deed::Detach, || {
        receipt = Some(received.detach());
        [Ok(())]
    });
    (of, receipt.expect("made just now"))
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn settle(hand: &mut Hand, queue: &Queue, mut got: Vec<Got<'_>>) {
    match hand.below(120) {
        // Too late, or near it.
        0..2 => pause(VISIBILITY_MS + 5 + hand.below(20)),
        2..4 => pause(VISIBILITY_MS - 3 + hand.below(5)),
        4..8 => return, // forgets them
        8..14 => return got.drain(..).for_each(|got| release(hand, got)),
        14..18 => {
            let by_ms = 1 + hand.below(VISIBILITY_MS_MAX);
            for received in &mut got {
                let by = Duration::from_millis(by_ms);
                deed(hand, &[which(received)], Deed::Extend(by_ms), || {
                    [received.extend(by)]
                });
            }
            pause(hand.below(20));
        }
        18..22 => {
            // Of some it keeps nothing but the receipt.
            let kept = hand.below(got.len() as u64 + 1) as usize;
            let detached = got.drain(kept..).map(|got| detach(hand, got));
            let (of, receipts): (Vec<_>, Vec<_>) = detached.collect();
            if hand.once_in(2) && !of.is_empty() {
                deed(hand, &of, Deed::Delete, || {
                    queue.delete_batch(&receipts).expect("a batch")
                });
            }
        }
        22..30 => {
            let some = hand.below(got.len() as u64 + 1) as usize;
            got.truncate(some); // and the rest comes back
        }
        30..34 => {
            let first = got.remove(0);
            release(hand, first);
        }
        _ => {}
    }
    match hand.below(6) {
        0 => got.reverse(),
        1 => {
            let by = hand.below(got.len() as u64 + 1) as usize;
            got.rotate_left(by);
        }
        2..4 => {
            let of: Vec<Which> = got.iter().map(which).collect();
            let receipts: Vec<_> = got.iter().map(|got| got.receipt()).collect();
            if !of.is_empty() {
                deed(hand, &of, Deed::Delete, || {
                    queue.delete_batch(&receipts).expect("a batch")
                });
            }
            return;
        }
        _ => {}
    }
    got.into_iter().for_each(|got| delete(hand, got));
}

/// Takes what is left, until every slot is free. How that went.
pub fn drain(mut hand: Hand) -> i32 {
    let queue = hand.open();
    let begun = Instant::now();
    let status = loop {
        if !hand.life.has_room() {
            break MORE;
        }
        let from = os::now_ns();
        let got = queue.receive_batch_timeout(10, Duration::from_millis(20));
        let to = os::now_ns();
        let got: Vec<Got<'_>> = got.expect("a receive").into_iter().collect();
        log(&mut hand, &got, (from, to), VISIBILITY_MS);
        let empty = got.is_empty();
        got.into_iter().for_each(|got| delete(&hand, got));
        if !empty {
            continue;
        }
        queue.tend().expect("a look after the dead");
        let stat = queue.stat().expect("figures");
        let there = stat.visible + stat.in_flight + stat.delayed;
        if there == 0 && stat.slots_free == stat.slots {
            let figures = &hand.tools.board.figures;
            let now = [stat.sent, stat.received, stat.deleted];
            for (figure, now) in figures.iter().zip(now) {
                figure.store(now, Ordering::SeqCst);
            }
            break DRAINED;
        }
        if begun.elapsed() > DRAIN {
            eprintln!("fifo torture: not drained: {stat:?}");
            break STUCK;
        }
    };
    hand.close(queue);
    status
}
