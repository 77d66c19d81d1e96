//! What a ring has to offer to be measured.

/// A batch has this many.
pub const TEN: usize = 10;

/// How many numbers went through, and their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their wrapping sum.
    pub sum: u64,
}

impl Tally {
    /// Counts one.
    #[inline(always)]
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// Counts ten whose sum is known.
    #[inline(always)]
    pub fn add_ten(&mut self, sum: u64) {
        self.count += TEN as u64;
        self.sum = self.sum.wrapping_add(sum);
    }

    /// Counts several; says how many.
    #[inline(always)]
    pub fn add_all(&mut self, values: &[u64]) -> usize {
        for &value in values {
            self.sum = self.sum.wrapping_add(value);
        }
        self.count += values.len() as u64;
        values.len()
    }

    /// Both together.
    pub fn join(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum.wrapping_add(other.sum),
        }
    }
}

/// The sending side of a ring.
pub trait Sender: Send {
    /// Whether there was room for it.
    fn push(&mut self, value: u64) -> bool;

    /// How many of the first of `values`, at most ten, there was room for.
    #[inline(always)]
    fn push_many(&mut self, values: &[u64]) -> usize {
        values.iter().take_while(|&&value| self.push(value)).count()
    }
}

/// The receiving side of a ring.
pub trait Receiver: Send {
    /// The oldest, if there is one.
    fn pop(&mut self) -> Option<u64>;

    /// Takes up to ten into `tally` and says how many.
    #[inline(always)]
    fn pop_many(&mut self, tally: &mut Tally) -> usize {
        for popped in 0..TEN {
            let Some(value) = self.pop() else {
                return popped;
            };
            tally.add(value);
        }
        TEN
    }
}

/// A ring that can be measured.
pub trait Peer: 'static {
    /// Its name and version in the table, with `*` where it has no batch call.
    const NAME: &'static str;
    /// Its sending side.
    type Sender: Sender;
    /// Its receiving side.
    type Receiver: Receiver;

    /// A ring of `capacity` with as many senders and receivers as asked for.
    fn open(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender>, Vec<Self::Receiver>);
}

/// `side` as often as asked for, by cloning.
pub fn clones<T: Clone>(side: T, count: usize) -> Vec<T> {
    vec![side; count]
}

/// A peer whose two sides are one shared queue.
#[macro_export]
macro_rules! shared_peer {
    (
        $peer:ident, $name:literal, $queue:ty, |$capacity:ident| $new:expr,
        |$to:ident, $value:ident| $push:expr, |$from:ident| $pop:expr
    ) => {
        pub struct $peer;

        #[derive(Clone)]
        pub struct Side(std::sync::Arc<$queue>);

        impl $crate::rings::peer::Sender for Side {
            #[inline(always)]
            fn push(&mut self, $value: u64) -> bool {
                let $to = &*self.0;
                $push
            }
        }

        impl $crate::rings::peer::Receiver for Side {
            #[inline(always)]
            fn pop(&mut self) -> Option<u64> {
                let $from = &*self.0;
                $pop
            }
        }

        impl $crate::rings::peer::Peer for $peer {
            const NAME: &'static str = $name;
            type Sender = Side;
            type Receiver = Side;

            fn open($capacity: usize, senders: usize, receivers: usize) -> (Vec<Side>, Vec<Side>) {
                let side = Side(std::sync::Arc::new($new));
                (vec![side.clone(); senders], vec![side; receivers])
            }
        }
    };
}
