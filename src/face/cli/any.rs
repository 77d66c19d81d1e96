//! A queue of the command line: a standard one or a FIFO queue, whichever its region holds.

use std::sync::Arc;
use std::time::Duration;

use crate::region::layout::KIND_FIFO;
use crate::time::DefaultClock;
use crate::{
    Batch, Durability, Error, FifoQueue, FifoSent, FifoStats, Message, MessageId, Outcomes, Peeks,
    Queue, QueueOptions, QueueStats, Receipt, Region,
};

/// A region, wherever it lies.
pub(super) type AnyRegion = Arc<dyn Region + Send + Sync>;

/// What was received at once.
pub(super) type Received<'q> = Batch<'q, AnyRegion, DefaultClock>;

/// What most verbs need of a queue, whatever its kind.
pub(super) enum AnyQueue {
    Standard(Queue<AnyRegion>),
    Fifo(FifoQueue<AnyRegion>),
}

/// Calls that both kinds have.
macro_rules! of_either {
    ($(pub(super) fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        $(
            pub(super) fn $name(&self $(, $arg: $type)*) -> $result {
                match self {
                    Self::Standard(queue) => queue.$name($($arg),*),
                    Self::Fifo(queue) => queue.$name($($arg),*),
                }
            }
        )*
    };
}

impl AnyQueue {
    /// Opens the queue of a region, whichever it is.
    pub(super) fn open(region: AnyRegion) -> Result<Self, Error> {
        match Queue::open(Arc::clone(&region)) {
            Err(Error::Kind {
                found: KIND_FIFO, ..
            }) => FifoQueue::open(region).map(Self::Fifo),
            queue => queue.map(Self::Standard),
        }
    }

    of_either! {
        pub(super) fn release_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error>;
        pub(super) fn extend(&self, receipt: &Receipt, by: Duration) -> Result<(), Error>;
        pub(super) fn extend_batch(
            &self, receipts: &[Receipt], by: Duration
        ) -> Result<Outcomes<()>, Error>;
        pub(super) fn purge(&self) -> Result<u64, Error>;
        pub(super) fn peeks(&self) -> Peeks<'_, AnyRegion, DefaultClock>;
        pub(super) fn stat(&self) -> Result<QueueStats, Error>;
        pub(super) fn max_body(&self) -> usize;
        pub(super) fn time_ms(&self) -> u64;
    }

    /// The same queue, whose receives never ask who has died.
    pub(super) fn leave_tending(self) -> Self {
        match self {
            Self::Standard(queue) => Self::Standard(queue.leave_tending()),
            Self::Fifo(queue) => Self::Fifo(queue.leave_tending()),
        }
    }

    /// What the groups are up to, if it is a FIFO queue.
    pub(super) fn groups(&self) -> Result<Option<FifoStats>, Error> {
        self.fifo().map(FifoQueue::groups).transpose()
    }

    /// Receives up to `max` messages.
    pub(super) fn receive_batch(&self, max: usize) -> Result<Received<'_>, Error> {
        patiently(|| match self {
            Self::Standard(queue) => queue.receive_batch(max),
            Self::Fifo(queue) => queue.receive_batch(max),
        })
    }

    /// Receives up to `max` messages, and waits for the first one.
    pub(super) fn receive_batch_timeout(
        &self,
        max: usize,
        timeout: Duration,
    ) -> Result<Received<'_>, Error> {
        patiently(|| match self {
            Self::Standard(queue) => queue.receive_batch_timeout(max, timeout),
            Self::Fifo(queue) => queue.receive_batch_timeout(max, timeout),
        })
    }

    /// Deletes up to ten messages.
    pub(super) fn delete_batch(&self, receipts: &[Receipt]) -> Result<Outcomes<()>, Error> {
        patiently(|| match self {
            Self::Standard(queue) => queue.delete_batch(receipts),
            Self::Fifo(queue) => queue.delete_batch(receipts),
        })
    }

    /// Sends up to ten messages. Of a FIFO queue's each comes back with its place.
    pub(super) fn send_messages(
        &self,
        messages: &[Message<'_>],
    ) -> Result<Outcomes<Option<FifoSent>>, Error> {
        match self {
            Self::Standard(queue) => queue.send_messages(messages).map(without_place),
            Self::Fifo(queue) => {
                let outcomes = queue.send_messages(messages)?.into_iter();
                Ok(outcomes.map(|outcome| outcome.map(Some)).collect())
            }
        }
    }

    /// Sends up to ten bodies to a standard queue.
    pub(super) fn send_bodies(
        &self,
        bodies: &[&[u8]],
    ) -> Result<Outcomes<Option<FifoSent>>, Error> {
        match self {
            Self::Standard(queue) => queue.send_batch(bodies).map(without_place),
            Self::Fifo(_) => Err(Error::Group {
                problem: "a message of a FIFO queue has a group",
            }),
        }
    }

    /// The FIFO queue, if it is one.
    pub(super) fn fifo(&self) -> Option<&FifoQueue<AnyRegion>> {
        match self {
            Self::Standard(_) => None,
            Self::Fifo(queue) => Some(queue),
        }
    }

    /// The options that both kinds have.
    pub(super) fn options(&self) -> QueueOptions {
        match self {
            Self::Standard(queue) => queue.options(),
            Self::Fifo(queue) => *queue.options().get_queue(),
        }
    }

    /// Changes options that both kinds have.
    pub(super) fn reconfigure(
        &self,
        mut change: impl FnMut(QueueOptions) -> QueueOptions,
    ) -> Result<(), Error> {
        match self {
            Self::Standard(queue) => queue.reconfigure(change),
            Self::Fifo(queue) => {
                queue.reconfigure(|options| options.with_queue(change(*options.get_queue())))
            }
        }
    }

    /// What survives the machine.
    pub(super) fn durability(&self) -> Durability {
        self.options().get_durability()
    }

    /// The latest commit on the disk and that of what is done now; `None` without a journal.
    pub(super) fn positions(&self) -> (Option<u64>, Option<u64>) {
        let (durable, now) = match self {
            Self::Standard(queue) => (queue.durable_position(), queue.position()),
            Self::Fifo(queue) => (queue.durable_position(), queue.position()),
        };
        let number = crate::Position::as_u64;
        (durable.ok().map(number), now.ok().map(number))
    }
}

fn without_place(outcomes: Outcomes<MessageId>) -> Outcomes<Option<FifoSent>> {
    let outcomes = outcomes.into_iter();
    outcomes.map(|outcome| outcome.map(|_| None)).collect()
}

/// Receives up to ten messages of a FIFO queue by an attempt id.
pub(super) fn receive_attempt<'q>(
    queue: &'q FifoQueue<AnyRegion>,
    max: usize,
    id: &str,
) -> Result<Received<'q>, Error> {
    patiently(|| queue.receive_batch_attempt(max, id))
}

/// Does a call again as soon as the queue's quota allows it.
fn patiently<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    loop {
        match call() {
            Err(Error::Throttled { wait_ms, .. }) => {
                std::thread::sleep(Duration::from_millis(wait_ms))
            }
            outcome => return outcome,
        }
    }
}
