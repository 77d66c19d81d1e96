//! What may happen in a history.

/// One operation. A `pick` chooses among what there is, modulo its number.
#[derive(Debug, Clone)]
pub enum Op {
    Send {
        len: usize,
    },
    SendBatch {
        lens: Vec<usize>,
    },
    SendMessage {
        len: usize,
        /// The message's own delay, if it has one.
        delay_ms: Option<u64>,
        attributes: usize,
    },
    Claim {
        len: usize,
        commit: bool,
    },
    ReceiveOne,
    Receive {
        max: usize,
    },
    ReceiveFor {
        max: usize,
        visibility_ms: u64,
    },
    ReceiveInto,
    Delete {
        pick: usize,
    },
    DeleteHeld {
        pick: usize,
    },
    DeleteBatch {
        picks: Vec<usize>,
    },
    Extend {
        pick: usize,
        visibility_ms: u64,
    },
    ExtendHeld {
        pick: usize,
        visibility_ms: u64,
    },
    Release {
        pick: usize,
    },
    ReleaseHeld {
        pick: usize,
    },
    Detach {
        pick: usize,
    },
    Drop {
        pick: usize,
    },
    Advance {
        ms: u64,
    },
    Purge,
    /// Gives the queue another visibility timeout and another delay.
    Reconfigure {
        visibility_ms: u64,
        delay_ms: u64,
    },
    /// Goes on through the other attachment, if there is one.
    Turn,
}
