//! What must not be: the kinds of faults that participants, auditor and conductor report.

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Acknowledged, never deleted, and not there at the end.
    Lost,
    /// Received by a call that began after a delete had been acknowledged.
    Resurrected,
    /// Bytes other than were sent, at once or while a holder still reads.
    Damaged,
    /// Received by another before the holder's time was over.
    Early,
    /// Two receives of one message have the same count.
    Twice,
    /// Receive counts that no receive explains.
    Counts,
    /// Received though never sent, refused, or aborted.
    Phantom,
    /// Two messages with one id, or two ids of one message.
    Ids,
    /// Slots that are not free when every message is gone.
    Leak,
    /// The region's time ran backwards.
    Time,
    /// An answer that no other event explains.
    Answer,
    /// A call of a forked child did something.
    Forked,
    /// An error that this call may not return here.
    Error,
    /// A participant that does not end.
    Stuck,
    /// A participant that ended by itself in a wrong way.
    Crash,
    /// Received after a purge that began after its send.
    Purged,
    /// The shipped program did not do what it should.
    Program,
}

/// How many kinds there are.
pub const KINDS: usize = 17;

const ALL: [(Fault, &str); KINDS] = [
    (Fault::Lost, "lost"),
    (Fault::Resurrected, "resurrected"),
    (Fault::Damaged, "damaged"),
    (Fault::Early, "early"),
    (Fault::Twice, "twice"),
    (Fault::Counts, "counts"),
    (Fault::Phantom, "phantom"),
    (Fault::Ids, "ids"),
    (Fault::Leak, "leak"),
    (Fault::Time, "time"),
    (Fault::Answer, "answer"),
    (Fault::Forked, "forked"),
    (Fault::Error, "error"),
    (Fault::Stuck, "stuck"),
    (Fault::Crash, "crash"),
    (Fault::Purged, "purged"),
    (Fault::Program, "program"),
];

impl Fault {
    pub fn of(number: u32) -> Fault {
        ALL.get(number as usize)
            .map_or(Fault::Error, |(fault, _)| *fault)
    }

    pub fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// All kinds, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Fault> {
        ALL.iter().map(|(fault, _)| *fault)
    }
}
