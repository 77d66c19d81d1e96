//! A participant that forks in the midst of its work: the child has everything its parent holds,
//! may do nothing with it, and takes part on its own afterwards.

use super::board::Op;
use super::faults::Fault;
use super::hand::{Desk, Hand, Message, Named, Room, VISIBILITY_MS_MAX};
use super::ledger::{Kind, Record};
use super::os::{self, Birth};
use super::roles;
use ringmain::{Batch, Error, Mapped, Queue, Receipt};
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a forker holds when it forks.
struct Held<'d, 'r> {
    singles: Vec<Message<'d, 'r>>,
    batches: Vec<Batch<'d, &'r Mapped, super::board::Tick>>,
    rooms: Vec<(u64, u64, Room<'d, 'r>)>,
}

/// Forks once, early, while it holds messages and claims; then goes on as a worker does.
pub fn fork(hand: &mut Hand) -> i32 {
    let Some((region, attachment)) = hand.open() else {
        return 0;
    };
    let region = ManuallyDrop::new(region);
    if let Some(desk) = hand.desk(&region) {
        at_desk(hand, &region, &desk, attachment);
    }
    hand.close(ManuallyDrop::into_inner(region), attachment);
    0
}

fn at_desk<'r>(hand: &mut Hand, region: &'r ManuallyDrop<Mapped>, desk: &Desk<'r>, attachment: u8) {
    let mut held = Some(gather(hand, desk, attachment));
    if let Some((index, number)) = hand.spare.take() {
        hand.log(&Record::new(Kind::ForkBegin, 0, os::now_ns()));
        let seed = hand.numbers.next();
        let (tools, parent) = (hand.tools.clone(), &*hand);
        let forked = parent.at(Op::Fork, || {
            os::spawn(Birth::default(), || {
                let mut hand = Hand::new(tools, index, number, seed);
                hand.life.pid.store(os::own_pid() as u64, Ordering::SeqCst);
                if let Some(held) = held.take() {
                    refused(&hand, region, desk, held);
                }
                // SAFETY: this process never goes back to the frame that owns the region: it ends
                // in `spawn`. What it held is gone, and the queue, which has no drop, is not used
                // again.
                drop(unsafe { std::ptr::read(&raw const **region) });
                match hand.below(2) {
                    0 => roles::work(&mut hand),
                    _ => roles::produce(&mut hand),
                }
            })
        });
        if let Err(error) = forked {
            hand.fault(Fault::Error, 0, 0, 0, &format!("fork: {error}"));
        }
    }
    if let Some(held) = held {
        let_go(hand, held);
    }
    while hand.goes_on() {
        let held = gather(hand, desk, attachment);
        let_go(hand, held);
    }
}

fn gather<'d, 'r>(hand: &mut Hand, desk: &'d Desk<'r>, attachment: u8) -> Held<'d, 'r> {
    let mut held = Held {
        singles: Vec::new(),
        batches: Vec::new(),
        rooms: Vec::new(),
    };
    let visibility = Duration::from_millis(VISIBILITY_MS_MAX);
    for _ in 0..3 {
        if hand.tools.board.permit(1) {
            held.rooms.extend(hand.claim(desk));
            hand.send_batch(desk, 4);
        }
        let call = || desk.receive_batch_for(5, visibility);
        let batch = hand.receiving(Op::ReceiveBatch, 5, VISIBILITY_MS_MAX, attachment, call);
        held.singles.extend(batch.into_iter().flatten());
        let call = || desk.receive_batch_for(3, visibility);
        let batch = hand.receiving(Op::ReceiveBatch, 3, VISIBILITY_MS_MAX, attachment, call);
        held.batches.extend(batch);
    }
    held
}

fn let_go(hand: &mut Hand, held: Held<'_, '_>) {
    for room in held.rooms {
        match hand.below(3) {
            0 => hand.abort(room),
            _ => hand.commit(room),
        }
    }
    for message in held
        .singles
        .into_iter()
        .chain(held.batches.into_iter().flatten())
    {
        hand.look_again(&message);
        let named = Named::of(&message);
        match hand.below(4) {
            0 => hand.at(Op::Drop, || drop(message)),
            1 => drop(hand.settle(Op::Release, named, || message.release())),
            _ => drop(hand.settle(Op::Delete, named, || message.delete())),
        }
    }
}

/// Counts the calls that were refused, and reports each that was not.
struct Refusals<'h> {
    hand: &'h Hand,
    refused: u32,
}

impl Refusals<'_> {
    fn note<T>(&mut self, call: &str, result: Result<T, Error>) {
        match result {
            Err(Error::Forked) => self.refused += 1,
            Err(error) => self.wrong(call, &error.to_string()),
            Ok(_) => self.wrong(call, "it did something"),
        }
    }

    fn each<T>(&mut self, call: &str, outcomes: impl IntoIterator<Item = Result<T, Error>>) {
        for outcome in outcomes {
            self.note(call, outcome);
        }
    }

    fn wrong(&self, call: &str, text: &str) {
        let text = format!("{call} in a forked child: {text}");
        self.hand.fault(Fault::Forked, 0, 0, 0, &text);
    }
}

/// Tries everything with what the parent holds. The parent goes on meanwhile, so nothing is read.
fn refused(hand: &Hand, region: &Mapped, desk: &Desk<'_>, held: Held<'_, '_>) {
    let mut refusals = Refusals { hand, refused: 0 };
    let each = &mut refusals;
    let receipts: Vec<Receipt> = held
        .singles
        .iter()
        .map(|message| message.receipt())
        .collect();
    queue_calls(each, desk, &receipts);
    each.note("Queue::open", Queue::open(region));
    for (at, mut message) in held.singles.into_iter().enumerate() {
        match at % 5 {
            0 => each.note("Received::delete", message.delete()),
            1 => each.note("Received::release", message.release()),
            2 => each.note("Received::extend", message.extend(Duration::ZERO)),
            3 => drop(message.detach()),
            _ => drop(message),
        }
    }
    for (at, mut batch) in held.batches.into_iter().enumerate() {
        match at {
            0 => each.each("Batch::delete", batch.delete()),
            1 => each.each("Batch::release", batch.release()),
            _ => each.each("Batch::extend", batch.extend(Duration::ZERO)),
        }
    }
    for (at, (_, _, room)) in held.rooms.into_iter().enumerate() {
        match at {
            0 => drop(room),
            1 => room.abort(),
            // Says nothing, but must send nothing: the claim is the parent's, who ends it.
            _ => drop(room.commit()),
        }
    }
    let mut record = Record::new(Kind::Refused, 0, os::now_ns());
    record.count = refusals.refused;
    hand.log(&record);
}

fn queue_calls(each: &mut Refusals<'_>, desk: &Desk<'_>, receipts: &[Receipt]) {
    each.note("send", desk.send(b"from a forked child"));
    each.note("send_batch", desk.send_batch(&["from a forked child"]));
    each.note("claim", desk.claim(8));
    each.note("receive", desk.receive());
    each.note("receive_batch", desk.receive_batch(10));
    each.note(
        "receive_batch_for",
        desk.receive_batch_for(10, Duration::ZERO),
    );
    each.note("receive_into", desk.receive_into(&mut [0; 64]));
    let wait = Duration::from_millis(1);
    each.note("receive_timeout", desk.receive_timeout(wait));
    each.note(
        "receive_batch_timeout",
        desk.receive_batch_timeout(10, wait),
    );
    each.note("purge", desk.purge());
    each.note("stat", desk.stat());
    each.note("tend", desk.tend());
    if let Some(receipt) = receipts.first() {
        each.note("delete", desk.delete(receipt));
        each.note("extend", desk.extend(receipt, Duration::ZERO));
        each.note("release", desk.release(receipt));
        let ten = &receipts[..receipts.len().min(10)];
        each.note("delete_batch", desk.delete_batch(ten));
        each.note("extend_batch", desk.extend_batch(ten, Duration::ZERO));
        each.note("release_batch", desk.release_batch(ten));
    }
    #[cfg(feature = "async")]
    {
        use std::future::Future;
        use std::task::{Context, Poll, Waker};
        let mut future = std::pin::pin!(desk.receive_async());
        let mut context = Context::from_waker(Waker::noop());
        match future.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => each.note("receive_async", outcome),
            Poll::Pending => each.wrong("receive_async", "it waits"),
        }
    }
}
