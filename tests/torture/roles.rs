//! The roles: producers, workers, holders who are late, pairs of attachments in one process, those
//! who come and go, and the purger. The forker, the drainer, the shipped program and the rogue have
//! files of their own.

use super::board::{Mood, Op};
use super::body::BODY_BYTES_MAX;
use super::hand::{Desk, Hand, Message, Named, VISIBILITY_MS, VISIBILITY_MS_MAX};
use super::ledger::{Answer, Kind, Record};
use super::os;
use crate::common::Minutes;
use ringmain::{Error, Mapped, Queue};
use std::time::Duration;

/// What a participant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Producer,
    Worker,
    Holder,
    Pair,
    Comer,
    Purger,
    Forker,
    /// The child that a forker makes.
    Forked,
    Crowd,
    Drainer,
    ProgramSend,
    ProgramReceive,
    Stranger,
    Rogue,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Worker => "worker",
            Role::Holder => "holder",
            Role::Pair => "pair",
            Role::Comer => "comer",
            Role::Purger => "purger",
            Role::Forker => "forker",
            Role::Forked => "forked child",
            Role::Crowd => "crowd",
            Role::Drainer => "drainer",
            Role::ProgramSend => "ringmain send",
            Role::ProgramReceive => "ringmain receive",
            Role::Stranger => "stranger",
            Role::Rogue => "rogue",
        }
    }

    /// Whether it is the shipped program, which keeps no ledger while it runs.
    pub fn is_program(self) -> bool {
        matches!(self, Role::ProgramSend | Role::ProgramReceive)
    }
}

/// Attaches, does `work` at the queue until it returns, and detaches.
fn attached(hand: &mut Hand, work: impl FnOnce(&mut Hand, &Desk<'_>, u8)) -> i32 {
    let Some((region, attachment)) = hand.open() else {
        return 0;
    };
    if let Some(desk) = hand.desk(&region) {
        work(hand, &desk, attachment);
    }
    hand.close(region, attachment);
    0
}

// ---- producers

pub fn produce(hand: &mut Hand) -> i32 {
    attached(hand, |hand, desk, _| {
        while hand.goes_on() {
            produce_some(hand, desk);
        }
    })
}

fn produce_some(hand: &mut Hand, desk: &Desk<'_>) {
    let n = 1 + hand.below(10) as usize;
    let ebb = hand.tools.board.mood() == Mood::Ebb && hand.below(16) != 0;
    if ebb || !hand.tools.board.permit(n as i64) {
        return idle(hand, desk);
    }
    let last = match hand.below(10) {
        0..3 => (0..n).map(|_| hand.send(desk)).next_back(),
        3..7 => Some(hand.send_batch(desk, n)),
        _ => claim_some(hand, desk, n),
    };
    if last == Some(Answer::Full) {
        idle(hand, desk);
        std::thread::yield_now();
    }
}

/// Has several claims open at once, and commits or aborts them in another order.
fn claim_some(hand: &mut Hand, desk: &Desk<'_>, n: usize) -> Option<Answer> {
    let mut rooms = Vec::new();
    let mut last = Answer::Ok;
    for _ in 0..n {
        match hand.claim(desk) {
            Some(room) => rooms.push(room),
            None => last = Answer::Full,
        }
    }
    while !rooms.is_empty() {
        let at = hand.below(rooms.len() as u64) as usize;
        let room = rooms.swap_remove(at);
        if hand.below(6) == 0 {
            hand.abort(room);
        } else {
            hand.commit(room);
        }
    }
    Some(last)
}

/// What a producer does while it may not send: claims that come to nothing, and looks around.
fn idle(hand: &mut Hand, desk: &Desk<'_>) {
    match hand.below(200) {
        0..2 => drop(hand.at(Op::Tend, || desk.tend())),
        2 => drop(hand.at(Op::Stat, || desk.stat())),
        3..10 => std::thread::yield_now(),
        _ => {
            let longest = if hand.below(8) == 0 {
                BODY_BYTES_MAX
            } else {
                200
            };
            let len = 1 + hand.below((longest as u64).min(desk.max_body() as u64)) as usize;
            if let Ok(room) = hand.at(Op::Claim, || desk.claim(len)) {
                hand.at(Op::Abort, || room.abort());
            }
        }
    }
}

// ---- workers

pub fn work(hand: &mut Hand) -> i32 {
    attached(hand, |hand, desk, attachment| {
        let mut kept = Vec::new();
        while hand.goes_on() {
            let flood = hand.tools.board.mood() == Mood::Flood;
            if flood && hand.below(16) != 0 {
                std::thread::yield_now();
                continue;
            }
            work_some(hand, desk, attachment, &mut kept);
        }
        for message in kept {
            hand.at(Op::Drop, || drop(message));
        }
    })
}

fn work_some<'d, 'r>(
    hand: &mut Hand,
    desk: &'d Desk<'r>,
    attachment: u8,
    kept: &mut Vec<Message<'d, 'r>>,
) {
    match hand.below(20) {
        0..4 => by_mail(hand, desk),
        4..6 => copied(hand, desk, attachment),
        6..8 => {
            let wait = Duration::from_millis(hand.below(25));
            let call = || desk.receive_timeout(wait).map(Vec::from_iter);
            let one = hand.receiving(Op::Wait, 1, VISIBILITY_MS, attachment, call);
            one.into_iter()
                .flatten()
                .for_each(|message| settle(hand, desk, message, kept));
        }
        8..12 => {
            let call = || desk.receive().map(Vec::from_iter);
            let one = hand.receiving(Op::Receive, 1, VISIBILITY_MS, attachment, call);
            one.into_iter()
                .flatten()
                .for_each(|message| settle(hand, desk, message, kept));
        }
        12..15 => whole_batch(hand, desk, attachment),
        _ => {
            let max = 1 + hand.below(10) as usize;
            // Long ones come back by a death alone; short ones are often late.
            let visibility_ms =
                [VISIBILITY_MS_MAX, VISIBILITY_MS_MAX, 400, 30, 0][hand.below(5) as usize];
            let visibility = Duration::from_millis(visibility_ms);
            let call = || desk.receive_batch_for(max, visibility);
            let batch = hand.receiving(Op::ReceiveBatch, max, visibility_ms, attachment, call);
            for message in batch.into_iter().flatten() {
                settle(hand, desk, message, kept);
            }
        }
    }
    if kept.len() > 20 {
        let at = hand.below(kept.len() as u64) as usize;
        let message = kept.swap_remove(at);
        hand.look_again(&message);
        let named = Named::of(&message);
        hand.settle(Op::Delete, named, || message.delete());
    }
}

/// Settles one message in one of many ways.
fn settle<'d, 'r>(
    hand: &mut Hand,
    desk: &'d Desk<'r>,
    message: Message<'d, 'r>,
    kept: &mut Vec<Message<'d, 'r>>,
) {
    let named = Named::of(&message);
    match hand.below(100) {
        0..55 => drop(hand.settle(Op::Delete, named, || message.delete())),
        55..65 => {
            // By receipt, while it is read in place: the bytes stay until the reader is done.
            let receipt = message.receipt();
            hand.settle(Op::DeleteReceipt, named, || desk.delete(&receipt));
            hand.look_again(&message);
            hand.at(Op::Drop, || drop(message));
        }
        65..72 => drop(hand.settle(Op::Release, named, || message.release())),
        72..80 => {
            let mut message = message;
            let ms = [0, 20, 200, VISIBILITY_MS_MAX][hand.below(4) as usize];
            hand.extend(named, ms, |visibility| message.extend(visibility));
            if hand.below(2) == 0 {
                hand.settle(Op::Delete, named, || message.delete());
            } else {
                kept.push(message);
            }
        }
        80..90 => hand.mail(message),
        90..94 => hand.at(Op::Drop, || drop(message)),
        _ => kept.push(message),
    }
}

/// Settles what a sibling received and sent the receipt of.
fn by_mail(hand: &mut Hand, desk: &Desk<'_>) {
    let mut batch: Vec<(Named, ringmain::Receipt)> = Vec::new();
    while batch.len() < 4 {
        match hand.fetch() {
            Some(letter) => batch.push(letter),
            None => break,
        }
    }
    if batch.len() > 2 && hand.below(2) == 0 {
        let receipts: Vec<ringmain::Receipt> = batch.iter().map(|(_, receipt)| *receipt).collect();
        let t0: Vec<u64> = batch
            .iter()
            .map(|(named, _)| hand.settling(Op::DeleteBatch, *named, 0))
            .collect();
        if let Ok(outcomes) = hand.at(Op::DeleteBatch, || desk.delete_batch(&receipts)) {
            for (((named, _), t0), outcome) in batch.iter().zip(t0).zip(outcomes) {
                hand.settled(Op::DeleteBatch, *named, t0, outcome);
            }
        }
        return;
    }
    for (named, receipt) in batch {
        match hand.below(8) {
            0 => drop(hand.settle(Op::Release, named, || desk.release(&receipt))),
            1 => {
                let ms = [0, 50, 300][hand.below(3) as usize];
                hand.extend(named, ms, |visibility| desk.extend(&receipt, visibility));
                hand.post(named, &receipt);
            }
            _ => drop(hand.settle(Op::DeleteReceipt, named, || desk.delete(&receipt))),
        }
    }
}

fn copied(hand: &mut Hand, desk: &Desk<'_>, attachment: u8) {
    let mut buffer = [0; BODY_BYTES_MAX];
    let len = if hand.below(12) == 0 {
        20
    } else {
        BODY_BYTES_MAX
    };
    let Some((named, receipt)) = hand.receive_into(desk, attachment, &mut buffer[..len]) else {
        return;
    };
    match hand.below(8) {
        0 => {}
        1 => drop(hand.settle(Op::Release, named, || desk.release(&receipt))),
        2 => drop(hand.extend(named, 200, |visibility| desk.extend(&receipt, visibility))),
        _ => drop(hand.settle(Op::DeleteReceipt, named, || desk.delete(&receipt))),
    }
}

/// A batch that is settled with one call.
fn whole_batch(hand: &mut Hand, desk: &Desk<'_>, attachment: u8) {
    let max = 1 + hand.below(10) as usize;
    let wait = Duration::from_millis(hand.below(10));
    let call = || desk.receive_batch_timeout(max, wait);
    let Some(mut batch) = hand.receiving(Op::Wait, max, VISIBILITY_MS, attachment, call) else {
        return;
    };
    let names: Vec<Named> = batch.iter().map(Named::of).collect();
    if hand.below(6) == 0 {
        let due_ms = hand.tools.raw.reached_ms() + 300;
        let t0: Vec<u64> = names
            .iter()
            .map(|named| hand.settling(Op::Extend, *named, due_ms))
            .collect();
        let outcomes = hand.at(Op::Extend, || batch.extend(Duration::from_millis(300)));
        for ((named, t0), outcome) in names.iter().zip(t0).zip(outcomes) {
            hand.settled(Op::Extend, *named, t0, outcome);
        }
    }
    let op = if hand.below(8) == 0 {
        Op::Release
    } else {
        Op::DeleteBatch
    };
    let t0: Vec<u64> = names
        .iter()
        .map(|named| hand.settling(op, *named, 0))
        .collect();
    let outcomes = match op {
        Op::Release => hand.at(op, || batch.release()),
        _ => hand.at(op, || batch.delete()),
    };
    for ((named, t0), outcome) in names.iter().zip(t0).zip(outcomes) {
        hand.settled(op, *named, t0, outcome);
    }
}

// ---- holders

/// Holds messages past their time, while others receive and delete them, and reads them late.
pub fn hold(hand: &mut Hand) -> i32 {
    attached(hand, |hand, desk, attachment| {
        let mut held: Vec<(Message<'_, '_>, u64)> = Vec::new();
        while hand.goes_on() {
            if held.len() < 12 {
                let visibility_ms = hand.below(40);
                let visibility = Duration::from_millis(visibility_ms);
                let call = || desk.receive_batch_for(3, visibility);
                let batch = hand.receiving(Op::ReceiveBatch, 3, visibility_ms, attachment, call);
                for message in batch.into_iter().flatten() {
                    let late_ns = (visibility_ms + hand.below(150)) * 1_000_000;
                    held.push((message, os::now_ns() + late_ns));
                }
            }
            let now = os::now_ns();
            while let Some(at) = held.iter().position(|(_, until)| *until < now) {
                let (message, _) = held.swap_remove(at);
                hand.look_again(&message);
                let named = Named::of(&message);
                match hand.below(4) {
                    0 => hand.at(Op::Drop, || drop(message)),
                    1 => drop(hand.settle(Op::Release, named, || message.release())),
                    2 => hand.mail(message),
                    _ => drop(hand.settle(Op::Delete, named, || message.delete())),
                }
            }
            std::thread::yield_now();
        }
        for (message, _) in held {
            hand.look_again(&message);
            hand.at(Op::Drop, || drop(message));
        }
    })
}

// ---- two attachments, and those who come and go

/// Has two attachments at once: one receives, the other settles, and the first goes while the
/// other goes on.
pub fn pair(hand: &mut Hand) -> i32 {
    let Some((second, second_number)) = hand.open() else {
        return 0;
    };
    if let Some(second_desk) = hand.desk(&second) {
        while hand.goes_on() && !hand.is_worn() {
            let Some((first, number)) = hand.open() else {
                break;
            };
            if let Some(desk) = hand.desk(&first) {
                for _ in 0..hand.below(30) {
                    hand_over(hand, (&desk, number), &second_desk);
                }
            }
            hand.close(first, number);
        }
    }
    hand.close(second, second_number);
    0
}

fn hand_over(hand: &mut Hand, (first, number): (&Desk<'_>, u8), second: &Desk<'_>) {
    if hand.goes_on() && hand.tools.board.permit(1) {
        hand.send(second);
    }
    let visibility = Duration::from_millis(VISIBILITY_MS_MAX);
    let call = || first.receive_batch_for(2, visibility);
    let batch = hand.receiving(Op::ReceiveBatch, 2, VISIBILITY_MS_MAX, number, call);
    for message in batch.into_iter().flatten() {
        let (named, receipt) = (Named::of(&message), message.receipt());
        match hand.below(5) {
            // Left to the first attachment's end, which brings it back.
            0 => hand.at(Op::Drop, || drop(message)),
            1 => {
                let t0 = hand.settling(Op::Detach, named, 0);
                let receipt = hand.at(Op::Detach, || message.detach());
                hand.settled(Op::Detach, named, t0, Ok(()));
                hand.settle(Op::DeleteReceipt, named, || second.delete(&receipt));
            }
            2 => {
                hand.settle(Op::Release, named, || second.release(&receipt));
                hand.look_again(&message);
                hand.at(Op::Drop, || drop(message));
            }
            _ => {
                hand.settle(Op::DeleteReceipt, named, || second.delete(&receipt));
                hand.look_again(&message);
                hand.at(Op::Drop, || drop(message));
            }
        }
    }
}

/// Attaches and detaches in a loop, with a few calls in between and something left in its hands.
pub fn come_and_go(hand: &mut Hand) -> i32 {
    while hand.goes_on() && !hand.is_worn() {
        attached(hand, |hand, desk, attachment| {
            if hand.tools.board.permit(3) {
                hand.send_batch(desk, 3);
            }
            let visibility = Duration::from_millis(VISIBILITY_MS_MAX);
            let call = || desk.receive_batch_for(4, visibility);
            let batch = hand.receiving(Op::ReceiveBatch, 4, VISIBILITY_MS_MAX, attachment, call);
            for message in batch.into_iter().flatten() {
                if hand.below(3) == 0 {
                    hand.at(Op::Drop, || drop(message));
                } else {
                    let named = Named::of(&message);
                    hand.settle(Op::Delete, named, || message.delete());
                }
            }
        });
    }
    0
}

/// Takes every attachment that is left, is refused the next, and goes. Only the limit may refuse.
pub fn crowd(hand: &mut Hand) -> i32 {
    os::raise_descriptors();
    let mut regions = Vec::new();
    let refused = loop {
        if regions.len() > 1022 {
            break None;
        }
        match hand.at(Op::Open, || Mapped::open(&hand.tools.path)) {
            Ok(region) => regions.push(region),
            Err(error) => break Some(error),
        }
    };
    let expected = Some(ringmain::Error::Attachments { max: 1022 });
    let descriptors = matches!(
        refused,
        Some(ringmain::Error::Os {
            errno: libc::EMFILE | libc::ENFILE,
            ..
        })
    );
    if descriptors {
        eprintln!(
            "the crowd stops at {} descriptors, the limit here",
            regions.len()
        );
    } else if refused != expected || regions.len() < 900 {
        let text = format!("{} attachments, then {refused:?}", regions.len());
        let fault = super::faults::Fault::Error;
        hand.fault(fault, 0, regions.len() as u64, 0, &text);
    }
    while let Some(region) = regions.pop() {
        hand.at(Op::Close, || drop(region));
    }
    0
}

/// Removes everything, now and then: by a clock on which a minute is over soon.
pub fn purge(hand: &mut Hand) -> i32 {
    attached(hand, |hand, desk, _| {
        let Ok(desk) = Queue::open_with(*desk.region(), Minutes) else {
            return; // full of those who come and go
        };
        while hand.goes_on() {
            let wait = os::now_ns() + hand.below(40_000_000);
            while os::now_ns() < wait && hand.goes_on() {
                std::thread::yield_now();
            }
            let t0 = os::now_ns();
            hand.log(&Record::new(Kind::PurgeBegin, 0, t0));
            let mut purged = hand.at(Op::Purge, || desk.purge());
            while matches!(purged, Err(Error::PurgedRecently { .. })) {
                std::thread::yield_now(); // a purger that was killed has just begun
                purged = hand.at(Op::Purge, || desk.purge());
            }
            if purged.is_ok() {
                let mut record = Record::new(Kind::PurgeEnd, 0, t0);
                record.t1 = os::now_ns();
                hand.log(&record);
            }
        }
    })
}
