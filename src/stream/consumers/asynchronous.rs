//! A subscription's records as futures.

use super::subscription::{RECORDS_MAX, Subscription, SubscriptionEnd};
use crate::error::Error;
use crate::region::Region;
use crate::stream::Records;
use crate::time::Clock;

impl<R: Region, C: Clock> Subscription<'_, R, C> {
    /// The next records, in place; waits for them. `None`: it has ended, and
    /// [`end`](Subscription::end) says why.
    ///
    /// What wakes it is what wakes `next_records`. There is no timer in a future of this library:
    /// that its 5 minutes are over it finds when it is polled, which the next record sees to; and a
    /// quota that is used up is an error. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::ProvisionedThroughputExceeded`] with the time to wait; [`Error::Lost`],
    /// [`Error::RecordDamaged`]: the next call goes on behind that; those of
    /// [`read_async`](crate::Cursor::read_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{DefaultClock, Heap};
    /// # type Error = ringmain::Error;
    /// # type Subscription<'s> = ringmain::Subscription<'s, Heap, DefaultClock>;
    /// # async fn work(subscription: &mut Subscription<'_>) -> Result<(), Error> {
    /// while let Some(records) = subscription.next_records_async().await? {
    ///     for record in &records {
    ///         println!("{}: {:?}", record.key()?, record.data());
    ///     }
    /// }
    /// println!("{:?}", subscription.end());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next_records_async(&mut self) -> Result<Option<Records<'_, R, C>>, Error> {
        if self.end().is_some() {
            return Ok(None);
        }
        let Self { cursor, end } = self;
        SubscriptionEnd::note(end, cursor.read_async(RECORDS_MAX).await)
    }
}
