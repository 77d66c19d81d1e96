//! Deleting what was received, by the receive itself.

use super::quota::Call;
use super::turn::outcome_of;
use crate::error::Error;
use crate::queue::Queue;
use crate::queue::batch::Outcomes;
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

impl<R: Region, C: Clock> Queue<R, C> {
    /// [`Batch::delete`](crate::Batch::delete) in a FIFO queue: one call of a quota. What came of
    /// each is written where the caller has it. `true`: none of them is to be dropped; `false`:
    /// none was looked at.
    #[inline(never)]
    pub(in crate::queue) fn delete_from_groups(
        &self,
        messages: &[Received<'_, R, C>],
        outcomes: &mut Outcomes<()>,
    ) -> bool {
        let usable = self
            .admit_call_now(Call::Delete)
            .and_then(|()| self.check());
        if let Err(error) = usable {
            outcomes.extend(messages.iter().map(|_| Err(error.clone())));
            return false;
        }
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let mut settling = Settling::new(store, now_ms, self.region.owner());
        for received in messages {
            let deleted = settling.delete(&received.hold, received.run());
            let _ = match outcome_of(deleted) {
                Ok(()) => outcomes.push(Ok(())), // as a constant: the error's bytes are not moved
                Err(error) => outcomes.push(Err(error)),
            };
        }
        settling.finish();
        self.notify_turn(&store, messages.len() as u32);
        self.make_all_durable(outcomes);
        true
    }
}
