//! Histories of a FIFO queue as the checker reads them: what was sent, received and settled, by
//! whom and when. Times are nanoseconds of one clock, which all processes share; due times are its
//! milliseconds, as the queue counts them.

/// Nobody knows when, or not in this history.
pub const NEVER: u64 = u64::MAX;

/// Id and sequence number of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub id: u128,
    pub sequence: u64,
}

/// What a send returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    New(Place),
    Duplicate(Place),
    Refused,
}

/// One attempt to send: its body has a token that no other attempt has.
#[derive(Debug, Clone)]
pub struct Send {
    pub life: u32,
    /// Attempts of one batch have one call, and stand in its order.
    pub call: u32,
    pub group: u32,
    /// The deduplication id.
    pub id: u64,
    pub token: u64,
    pub from: u64,
    /// When it had returned, or its sender was dead.
    pub to: u64,
    /// `None`: its sender died in it.
    pub reply: Option<Reply>,
}

impl Send {
    /// A send that begins.
    pub fn new((call, group, id): (u32, u32, u64), token: u64, from: u64) -> Self {
        Self {
            life: 0,
            call,
            group,
            id,
            token,
            from,
            to: NEVER,
            reply: None,
        }
    }
}

/// What was done to a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Delete,
    Release,
    /// For so many ms from then on.
    Extend(u64),
    /// It stays in flight though its holder die.
    Detach,
}

/// What that returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Ok,
    Expired,
    Stale,
    NotInFlight,
    Pinned,
    Other,
}

/// A deed.
#[derive(Debug, Clone, Copy)]
pub struct Settle {
    pub deed: Deed,
    pub from: u64,
    /// `None`: its doer died in it.
    pub outcome: Option<(u64, Answer)>,
}

impl Settle {
    /// Whether it may have been done.
    pub fn may_be_done(&self) -> bool {
        matches!(self.outcome, None | Some((_, Answer::Ok)))
    }
}

/// One receive of one message.
#[derive(Debug, Clone)]
pub struct Hold {
    pub life: u32,
    /// Those of one receive have one call, and stand in its order.
    pub call: u32,
    pub group: u32,
    pub id: u64,
    pub token: u64,
    pub place: Place,
    pub count: u32,
    pub from: u64,
    pub to: u64,
    /// The queue's time in the call, ms.
    pub received_ms: u64,
    /// When its visibility timeout runs out unless it is changed, ms.
    pub due_ms: u64,
    pub settles: Vec<Settle>,
    /// Its holder lived at least up to then.
    pub alive_to: u64,
}

/// Everything that happened between two moments at which the queue was empty.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub sends: Vec<Send>,
    pub holds: Vec<Hold>,
}
