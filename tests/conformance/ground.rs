//! What a check stands on: an empty queue and its clock.

use ringmain::{
    ManualClock, Message, MessageId, Queue, QueueOptions, QueueStats, Received, Region,
};
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

    pub fn send_message(&self, message: &Message<'_>) -> MessageId {
        self.queue.send_message(message).expect("room for it")
    }

    /// Changes some of the queue's settings.
    #[track_caller]
    pub fn set(&self, change: impl FnMut(QueueOptions) -> QueueOptions) {
        self.queue.reconfigure(change).expect("other settings");
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

    /// There is this one message to receive, and no other. Deletes it.
    #[track_caller]
    pub fn nothing_but(&self, body: &[u8]) {
        let received = self.receive();
        assert_eq!(received.body(), body);
        self.nothing();
        received.delete().expect("a delete");
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub fn pass_ms(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    pub fn stat(&self) -> QueueStats {
        self.queue.stat().expect("figures")
    }

    pub fn slots_free(&self) -> u64 {
        self.stat().slots_free
    }

    pub fn delayed(&self) -> u64 {
        self.stat().delayed
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
        let there = (stat.visible, stat.in_flight, stat.delayed);
        assert_eq!(there, (0, 0, 0), "nothing is left");
        assert_eq!(stat.slots_free, stat.slots, "each slot has come back");
        assert_eq!(stat.damaged, 0);
    }
}
