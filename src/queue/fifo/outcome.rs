//! What the sender of a message gets.

use super::entry::{FifoSent, SequenceNumber};
use crate::error::Error;
use crate::queue::{MessageId, Queue};
use crate::region::Region;
use crate::region::fifo::ids::{First, IdKey};
use crate::region::fifo::send::Sent;
use crate::region::store::Store;
use crate::time::Clock;

impl<R: Region, C: Clock> Queue<R, C> {
    /// What the sender of a message in this slot gets.
    #[cold]
    #[inline(never)]
    pub(super) fn outcome(
        &self,
        store: &Store<'_>,
        slot: u32,
        sent: Sent,
    ) -> Result<FifoSent, Error> {
        match sent {
            Sent::New(stamp, sequence) => Ok(FifoSent {
                id: MessageId::new(self.name(store), slot, stamp),
                sequence: SequenceNumber(sequence),
                is_duplicate: false,
            }),
            Sent::Duplicate(first) => Ok(self.duplicate_of(store, &first)),
            Sent::IdsFull => Err(Error::DeduplicationFull {
                max: store.shape().fifo.ids as u64,
            }),
            Sent::GroupsFull => Err(Error::Full),
            Sent::Unfinished(_) => Err(Error::Damaged {
                field: "the list of a group",
            }),
        }
    }

    /// What the sender of a duplicate gets.
    fn duplicate_of(&self, store: &Store<'_>, first: &First) -> FifoSent {
        FifoSent {
            id: MessageId::new(self.name(store), first.slot, first.stamp),
            sequence: SequenceNumber(first.sequence),
            is_duplicate: true,
        }
    }

    /// In a queue without room: the first message with this id, if one was accepted.
    #[cold]
    pub(super) fn first_of(&self, store: &Store<'_>, id: &IdKey, now_ms: u64) -> Option<FifoSent> {
        let first = store.ids_table().look_up(id, now_ms)?;
        #[cfg(feature = "mapped")]
        store.mark_first(&first);
        Some(self.duplicate_of(store, &first))
    }
}
