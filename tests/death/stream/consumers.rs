//! What survivors ask of the roster of consumers and of subscriptions.

use super::super::board::{Board, Fault};
use super::ground::Log;
use super::ledger::TRACED;
use super::survivor::Survivor;
use ringmain::Start;
use std::sync::atomic::Ordering::SeqCst;

/// Seats.
pub const CONSUMERS: u32 = 4;
/// Whom the survivor removes and registers; whom the traced one; and whom one who dies before.
pub const FIRST: &str = "first";
pub const NAMED: &str = "named";
pub const MORTAL: &str = "mortal";
/// What the ledger says of [`NAMED`] when the call has returned.
pub const ADDED: u32 = 11;
pub const REMOVED: u32 = 12;

/// The traced one has been told that its call is done.
pub fn note(board: &Board, is_done: bool, what: u32) {
    if is_done {
        board.known(TRACED).holder.store(what, SeqCst);
    }
}

/// The names that are registered, sorted. One that cannot be read is `?`.
pub fn names(stream: &Log) -> Vec<String> {
    let Ok(consumers) = stream.consumers() else {
        return vec!["?".to_owned()];
    };
    let name = |told: Result<ringmain::ConsumerInfo, _>| match told {
        Ok(told) => told.name.to_string(),
        Err(_) => "?".to_owned(),
    };
    let mut names: Vec<_> = consumers.map(name).collect();
    names.sort_unstable();
    names
}

impl Survivor<'_> {
    /// A name goes and comes at once, whatever the traced one has left.
    pub fn consumers_go_on(&self) {
        let stream = self.stream;
        let was = names(stream).iter().any(|name| name == FIRST);
        let steps: [&dyn Fn() -> Result<(), ringmain::Error>; 2] =
            [&|| stream.deregister_consumer(FIRST), &|| {
                stream.register_consumer(FIRST).map(drop)
            }];
        let [remove, register] = steps;
        let done = match was {
            true => remove().and_then(|()| register()),
            false => register().and_then(|()| remove()),
        };
        if let Err(error) = done {
            eprintln!("consumers: {error}");
            self.fault(
                Fault::Stuck,
                0,
                "a consumer cannot be registered or removed",
            );
        }
    }

    /// After the death is repaired: names are whole, and what was acknowledged holds; no seat and
    /// no subscription is held by the dead.
    pub fn consumers_are_sound(&self) {
        let stream = self.stream;
        let all = names(stream);
        let known = [FIRST, NAMED, MORTAL, "second", "third"];
        let mut once = all.clone();
        once.dedup();
        if once != all || all.iter().any(|name| !known.contains(&&**name)) {
            eprintln!("consumers: {all:?}");
            self.fault(Fault::Damaged, 0, "the names of consumers");
        }
        let is_there = all.iter().any(|name| name == NAMED);
        match self.board.known(TRACED).holder.load(SeqCst) {
            ADDED if !is_there => self.fault(Fault::Lost, 0, "a consumer is gone"),
            REMOVED if is_there => self.fault(Fault::Doubled, 0, "a consumer is back"),
            _ => {}
        }
        for name in &all {
            self.subscriptions_are_free(name);
            if stream.deregister_consumer(name).is_err() {
                self.fault(Fault::Stuck, 0, "a consumer cannot be removed");
            }
        }
        let each = |n: u32| format!("consumer-{n}");
        for n in 0..CONSUMERS {
            if let Err(error) = stream.register_consumer(&each(n)).map(drop) {
                eprintln!("consumer {n}: {error}");
                self.fault(Fault::Leaked, n.into(), "a seat is not free");
            }
        }
        for n in 0..CONSUMERS {
            let _ = stream.deregister_consumer(&each(n));
        }
        if !names(stream).is_empty() {
            self.fault(Fault::Damaged, 0, "a consumer stays");
        }
    }

    /// The consumer can be subscribed to each shard, at once.
    fn subscriptions_are_free(&self, name: &str) {
        let Ok(consumer) = self.stream.consumer(name) else {
            return self.fault(Fault::Lost, 0, "a consumer is not found");
        };
        for shard in self.stream.shards() {
            if let Err(error) = consumer.subscribe(shard, Start::Latest) {
                eprintln!("{name}, {shard}: {error}");
                let number = shard.number().into();
                self.fault(Fault::Leaked, number, "a subscription is not free");
            }
        }
    }
}
