//! Consumers of a stream: registered and removed; subscriptions.

use super::super::super::ground::Image;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Streamed;
use super::super::consumers::{ADDED, CONSUMERS, FIRST, MORTAL, NAMED, REMOVED, names, note};
use super::super::ground::{Log, Maker};
use super::{PLAIN, may_be, opened, some};
use ringmain::{Error, ShardId, Start, wait_any};
use std::time::Duration;

const ZERO: ShardId = ShardId::from_number(0);
/// Where the roster's word lies in the file.
const ROSTER: usize = 20_480 + 144;

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream register_consumer",
        prepare: |maker| with(maker, &[FIRST]),
        operate: |stage| register(stage, NAMED),
        does: |_, stream| names(stream) == [FIRST, NAMED],
        ..PLAIN
    },
    Streamed {
        name: "Stream register_consumer, completing a dead one's",
        prepare: |maker| {
            with(maker, &[FIRST]);
            let path = maker.path;
            let announced = |_: &Log| Image::of(path).word(ROSTER) & 3 == 1;
            let [_, announced] = maker.dies(|stage| register(stage, MORTAL), &announced);
            Some(announced)
        },
        operate: |stage| register(stage, NAMED),
        does: |_, stream| names(stream) == [FIRST, MORTAL, NAMED],
        ..PLAIN
    },
    Streamed {
        name: "Stream register_consumer, in a dead one's seat",
        prepare: |maker| {
            let others = ["second", "third"];
            with(maker, &[FIRST, others[0], others[1]]);
            assert_eq!(CONSUMERS, 4, "one more");
            let path = maker.path;
            let announced = |_: &Log| Image::of(path).word(ROSTER) & 3 == 1;
            let [claimed, _] = maker.dies(|stage| register(stage, MORTAL), &announced);
            Some(claimed)
        },
        operate: |stage| register(stage, NAMED),
        does: |_, stream| names(stream).contains(&NAMED.to_owned()),
        ..PLAIN
    },
    Streamed {
        name: "Stream deregister_consumer",
        prepare: |maker| with(maker, &[FIRST, NAMED]),
        operate: |stage| {
            let stream = opened(stage);
            begin();
            let removed = stream.deregister_consumer(NAMED);
            note(stage.board, removed.is_ok(), REMOVED);
            end();
            if let Err(error) = removed {
                may_be(stage, 0, &error);
            }
        },
        does: |_, stream| names(stream) == [FIRST],
        ..PLAIN
    },
    Streamed {
        name: "Stream consumers",
        prepare: |maker| with(maker, &[FIRST, NAMED]),
        operate: |stage| {
            let stream = opened(stage);
            begin();
            let found = stream.consumer(NAMED).map(drop);
            let count = stream.consumers().map(Iterator::count);
            end();
            if let Err(error) = found.and(count) {
                may_be(stage, 0, &error);
            }
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream subscribe",
        prepare: |maker| with(maker, &[FIRST, NAMED]),
        operate: subscribe,
        ..PLAIN
    },
    Streamed {
        name: "Stream subscribe, after a subscriber's death",
        prepare: |maker| {
            with(maker, &[FIRST, NAMED]);
            let is_refused = |stream: &Log| {
                let consumer = stream.consumer(NAMED).expect("registered");
                let subscribed = consumer.subscribe(ZERO, Start::Oldest);
                matches!(subscribed, Err(Error::Subscribed { .. }))
            };
            let [_, subscribed] = maker.dies(subscribe, &is_refused);
            Some(subscribed)
        },
        operate: subscribe,
        ..PLAIN
    },
    Streamed {
        name: "Stream drop of a Subscription",
        prepare: |maker| with(maker, &[FIRST, NAMED]),
        operate: |stage| {
            let stream = opened(stage);
            let consumer = stream.consumer(NAMED).expect("registered");
            let subscription = consumer.subscribe(ZERO, Start::Oldest).expect("free");
            begin();
            drop(subscription);
            end();
        },
        does: |_, stream| {
            let consumer = stream.consumer(NAMED).expect("registered");
            consumer.subscribe(ZERO, Start::Oldest).is_ok()
        },
        ..PLAIN
    },
];

/// Some records, and these consumers.
fn with(maker: &Maker<'_>, names: &[&str]) -> Option<Image> {
    for name in names {
        maker.stream.register_consumer(name).expect("a seat");
    }
    some(maker)
}

fn register(stage: &Stage<'_>, name: &str) {
    let stream = opened(stage);
    begin();
    let registered = stream.register_consumer(name).map(drop);
    note(stage.board, registered.is_ok() && name == NAMED, ADDED);
    end();
    if let Err(error) = registered {
        may_be(stage, 0, &error);
    }
}

fn subscribe(stage: &Stage<'_>) {
    let stream = opened(stage);
    let consumer = stream.consumer(NAMED).expect("registered");
    begin();
    let subscribed = consumer.subscribe(ZERO, Start::Oldest);
    end();
    match subscribed {
        Ok(mut subscription) => {
            // It would wait if all is old by now.
            let there = wait_any(&[&subscription], Duration::ZERO);
            let read = |_| subscription.next_records().map(drop);
            if let Err(error) = there.and_then(|there| there.map_or(Ok(()), read)) {
                may_be(stage, 0, &error);
            }
        }
        Err(error) => may_be(stage, 0, &error),
    }
}
