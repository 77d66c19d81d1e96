//! Ours.

use std::sync::Arc;

use ringmain::ring::{self, BagBox, MpmcBox};

use super::{
    drive,
    peer::{Peer, Receiver, Sender, TEN, Tally},
};
use crate::sample::Row;

/// Adds them all.
pub fn add(rows: &mut Vec<Row>, capacity: usize) {
    drive::spsc::<Spsc>(rows, capacity, &["SPSC"]);
    drive::spsc_tens::<SpscInPlace>(rows, capacity, &["SPSC"]);
    drive::mpmc::<Mpmc>(rows, "MPMC", capacity, &["MPMC", "sharded"]);
    drive::mpmc::<Bag>(rows, "Bag", capacity, &["MPMC", "sharded", "SCQ"]);
}

struct Spsc;

impl Sender for ring::Producer<'static, u64> {
    #[inline(always)]
    fn push(&mut self, value: u64) -> bool {
        self.push(value).is_ok()
    }

    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        self.push_batch(values)
    }
}

impl Receiver for ring::Consumer<'static, u64> {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.pop()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let mut values = [0; TEN];
        let count = self.pop_batch(&mut values);
        tally.add_all(&values[..count])
    }
}

impl Peer for Spsc {
    const NAME: &'static str = "ringmain Spsc";
    type Sender = ring::Producer<'static, u64>;
    type Receiver = ring::Consumer<'static, u64>;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let sides = ring::spsc(capacity).ok();
        let (sender, receiver) = sides.unzip();
        (Vec::from_iter(sender), Vec::from_iter(receiver))
    }
}

/// Tens are looked at where they lie.
struct SpscInPlace;
struct InPlace(ring::Consumer<'static, u64>);

impl Receiver for InPlace {
    #[inline(always)]
    fn pop(&mut self) -> Option<u64> {
        self.0.pop()
    }

    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        let values = self.0.read(TEN);
        let (first, second) = values.as_slices();
        tally.add_all(first);
        tally.add_all(second);
        let count = values.len();
        values.commit(count)
    }
}

impl Peer for SpscInPlace {
    const NAME: &'static str = "ringmain Spsc, tens read in place";
    type Sender = ring::Producer<'static, u64>;
    type Receiver = InPlace;

    fn open(capacity: usize, _: usize, _: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
        let sides = ring::spsc(capacity).ok();
        let (sender, receiver) = sides.unzip();
        (
            Vec::from_iter(sender),
            Vec::from_iter(receiver.map(InPlace)),
        )
    }
}

/// A ring that its users share by reference.
macro_rules! shared {
    ($peer:ident, $name:literal, $ring:ty, $new:path) => {
        struct $peer;

        impl Sender for Arc<$ring> {
            #[inline(always)]
            fn push(&mut self, value: u64) -> bool {
                (**self).push(value).is_ok()
            }

            #[inline(always)]
            fn push_many(&mut self, values: &[u64]) -> usize {
                self.push_batch(values)
            }
        }

        impl Receiver for Arc<$ring> {
            #[inline(always)]
            fn pop(&mut self) -> Option<u64> {
                (**self).pop()
            }

            #[inline(always)]
            fn pop_many(&mut self, tally: &mut Tally) -> usize {
                let mut values = [0; TEN];
                let count = self.pop_batch(&mut values);
                tally.add_all(&values[..count])
            }
        }

        impl Peer for $peer {
            const NAME: &'static str = $name;
            type Sender = Arc<$ring>;
            type Receiver = Arc<$ring>;

            fn open(
                capacity: usize,
                senders: usize,
                receivers: usize,
            ) -> (Vec<Self::Sender>, Vec<Self::Receiver>) {
                let ring = $new(capacity).ok().map(Arc::new);
                let sides = |count| Vec::from_iter(ring.iter().cycle().take(count).cloned());
                (sides(senders), sides(receivers))
            }
        }
    };
}

shared!(Mpmc, "ringmain Mpmc", MpmcBox<u64>, ring::mpmc);
shared!(
    Bag,
    "ringmain Bag (a set: no order)",
    BagBox<u64>,
    ring::bag
);
