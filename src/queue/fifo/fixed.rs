//! FIFO queues that come with their memory.

use super::options::FifoOptions;
use super::queue::FifoQueue;
use crate::queue::Queue;
use crate::region::FixedFifo;
use crate::region::layout::DURABILITY_PROCESS;
use crate::time::Clock;

impl<
    const N: usize,
    const B: usize,
    const IDS: usize,
    const BLOCKS: usize,
    const SETS: usize,
    C: Clock,
> FifoQueue<FixedFifo<N, B, IDS, BLOCKS, SETS>, C>
{
    /// A FIFO queue that comes with its memory, for a `static`: no heap, no initialising call.
    ///
    /// `FixedFifo` says how many messages, how long, and how many ids: `typical_body`, `max_body`,
    /// `dedup_ids` and `attempts` do not apply. Groups, ids and receipts go by its address: do not
    /// move it once something was sent.
    ///
    /// # Panics
    ///
    /// At compile time, in a `static` or `const`, if an option is outside its range.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{FifoOptions, FifoQueue, FixedFifo, ManualClock};
    /// use std::time::Duration;
    ///
    /// static CLOCK: ManualClock = ManualClock::new(0);
    /// static ORDERS: FifoQueue<FixedFifo<16, 32, 64>, &ManualClock> = FifoQueue::fixed(
    ///     &CLOCK,
    ///     FifoOptions::new().dedup_interval(Duration::from_secs(10)),
    /// );
    /// ORDERS.send("valve-3", "1", b"open")?;
    /// assert!(ORDERS.send("valve-3", "1", b"open")?.is_duplicate);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub const fn fixed(clock: C, options: FifoOptions) -> Self {
        let settings = match options.settings() {
            Ok(settings) => settings,
            Err(_) => panic!("an option of the queue is outside its range"),
        };
        if settings.durability != DURABILITY_PROCESS {
            panic!("a queue in a static has no journal");
        }
        let settings = FixedFifo::<N, B, IDS, BLOCKS, SETS>::settings(settings);
        let place = FixedFifo::<N, B, IDS, BLOCKS, SETS>::place_of(settings);
        let region = FixedFifo::with(settings);
        Self {
            queue: Queue::in_place(region, place, settings.nonce, clock),
        }
    }
}
