//! What a check stands on: an empty queue and its clock.

use ringmain::{ManualClock, MessageId, Queue, Received, Region};
use std::time::Duration;

/// The visibility timeout of each queue under test.
pub const VISIBILITY: Duration = Duration::from_secs(30);

/// A received message of a queue under test.
pub type Got<'a, R> = Received<'a, R, &'a ManualClock>;

/// An empty queue and its clock.
pub struct Ground<'a, R: Region> {
    pub queue: &'a Queue<R, &'a ManualClock>,
    pub clock: &'a ManualClock,
}

impl<'a, R: Region> Ground<'a, R> {
    pub fn send(&self, body: &[u8]) -> MessageId {
        self.queue.send(body).expect("room for a message")
    }

    /// Receives the message that must be there.
    pub fn receive(&self) -> Got<'a, R> {
        self.queue
            .receive()
            .expect("a receive")
            .expect("a visible message")
    }

    /// There is nothing to receive.
    #[track_caller]
    pub fn nothing(&self) {
        let received = self.queue.receive().expect("a receive");
        assert!(
            received.is_none(),
            "nothing should be visible, but {received:?} is"
        );
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub fn pass_ms(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    pub fn slots_free(&self) -> u64 {
        self.queue.stat().expect("figures").slots_free
    }

    /// `{ visible, in flight }`
    pub fn counts(&self) -> (u64, u64) {
        let stat = self.queue.stat().expect("figures");
        (stat.visible, stat.in_flight)
    }

    /// Nothing is left, and each slot has come back.
    #[track_caller]
    pub fn settled(&self) {
        let stat = self.queue.stat().expect("figures");
        assert_eq!((stat.visible, stat.in_flight), (0, 0), "nothing is left");
        assert_eq!(stat.slots_free, stat.slots, "each slot has come back");
        assert_eq!(stat.damaged, 0);
    }
}
