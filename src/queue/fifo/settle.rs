//! Deleting what was received, by the receive itself.

use super::quota::Call;
use super::turn::outcome_of;
use crate::error::Error;
use crate::queue::batch::{Batch, Outcomes};
use crate::queue::received::Received;
use crate::region::Region;
use crate::region::fifo::settle::Settling;
use crate::time::Clock;
use core::mem::ManuallyDrop;

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// [`delete`](Received::delete) in a FIFO queue. Beyond a quota nothing is deleted: the message
    /// stays in flight, and its receipt good.
    pub(in crate::queue) fn delete_from_group(self) -> Result<(), Error> {
        self.queue.admit_call_now(Call::Delete)?;
        let this = ManuallyDrop::new(self);
        let queue = this.queue;
        queue.check()?;
        let store = queue.store();
        queue.delete_in_turn(&store, &this.hold, this.run(), queue.now_ms(&store))?;
        queue.notify_turn(&store, 1);
        queue.make_durable()
    }
}

impl<R: Region, C: Clock> Batch<'_, R, C> {
    /// [`delete`](Batch::delete) in a FIFO queue: one call of a quota.
    pub(in crate::queue) fn delete_from_groups(self) -> Outcomes<()> {
        let queue = self.queue;
        let usable = queue
            .admit_call_now(Call::Delete)
            .and_then(|()| queue.check());
        if let Err(error) = usable {
            return self.messages.iter().map(|_| Err(error.clone())).collect();
        }
        let this = ManuallyDrop::new(self); // each is settled here
        let store = queue.store();
        let now_ms = queue.now_ms(&store);
        let mut settling = Settling::new(store, now_ms, queue.region.owner());
        let mut outcomes = Outcomes::new();
        for received in this.messages.iter() {
            let deleted = settling.delete(&received.hold, received.run());
            let _ = match outcome_of(deleted) {
                Ok(()) => outcomes.push(Ok(())), // as a constant: the error's bytes are not moved
                Err(error) => outcomes.push(Err(error)),
            };
        }
        settling.finish();
        queue.notify_turn(&store, this.messages.len() as u32);
        queue.make_all_durable(&mut outcomes);
        outcomes
    }
}
