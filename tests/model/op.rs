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
    /// Looks at all that is there, and receives nothing.
    Peek,
    /// Gives the queue another visibility timeout and another delay.
    Reconfigure {
        visibility_ms: u64,
        delay_ms: u64,
    },
    /// Goes on through the other attachment, if there is one.
    Turn,
    /// How often a message may be received before it is a dead letter; `None`: as often as it
    /// likes.
    MaxReceives {
        receives: Option<u32>,
    },
    /// Moves dead letters back to work.
    Redrive {
        max: u64,
    },
    /// An operation on the queue of dead letters.
    Dead {
        op: Box<Op>,
    },
}

impl Op {
    /// The same on the queue of dead letters, where it makes a difference.
    pub fn on_dead_letters(self) -> Self {
        match self {
            Self::Advance { .. }
            | Self::MaxReceives { .. }
            | Self::Redrive { .. }
            | Self::Dead { .. } => self,
            // A copy does not say which message it is of: a receipt names a place.
            Self::ReceiveInto => Self::ReceiveOne.on_dead_letters(),
            op => Self::Dead { op: Box::new(op) },
        }
    }
}
