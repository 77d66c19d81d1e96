//! The one error type, with the limits in its words.
#![forbid(unsafe_code)]

use core::fmt;

/// What went wrong, and what the limit is.
///
/// Nothing has changed in the queue or the region when an operation returns one of these, but for
/// [`NotDurable`](Error::NotDurable), and where the operation's own text says so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No room for the message now: every slot (or run of slots) is taken.
    Full,
    /// The body has no byte; a message has at least one.
    BodyEmpty,
    /// The body is longer than the queue takes.
    BodyTooLong {
        /// Length of the body, bytes.
        len: usize,
        /// The queue's limit, bytes.
        max: usize,
    },
    /// What the body is read from ended before the body did; nothing was sent.
    BodyShort {
        /// Bytes read.
        len: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// The caller's buffer is too small: for the message, which stays in the queue, or for the
    /// encoded attributes.
    BufferTooSmall {
        /// Length of the body or of the attributes, bytes.
        needed: usize,
        /// Length of the buffer, bytes.
        len: usize,
    },
    /// A batch has 1 to 10 entries.
    BatchSize {
        /// How many were asked for.
        len: usize,
    },
    /// As many messages are in flight as the queue allows: delete some, or let their visibility run
    /// out (`QueueOptions::max_in_flight`).
    InFlight {
        /// The limit.
        max: u64,
    },
    /// The bodies of a batch count together against the limit.
    BatchTooLong {
        /// Sum of the bodies, bytes.
        len: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// A message has at most 10 attributes.
    AttributeCount {
        /// How many it would have.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The name of an attribute breaks a rule.
    AttributeName {
        /// The rule.
        rule: &'static str,
        /// The byte of the name, from 0, at which it does.
        at: usize,
    },
    /// Two attributes of a message would have one name.
    AttributeTwice {
        /// The place, from 0, of the attribute that has it.
        first: usize,
        /// The place that the other would get.
        second: usize,
    },
    /// A large message has at most 9 attributes of its own: one more says where its body is.
    LargeAttributes {
        /// How many it would have.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The value of an attribute breaks a rule of its type.
    AttributeValue {
        /// The rule.
        rule: &'static str,
        /// The byte of the value, from 0, at which it does.
        at: usize,
    },
    /// An option or an argument is outside its range.
    OutOfRange {
        /// Which one, with its unit.
        what: &'static str,
        /// The value.
        value: u64,
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// The receipt is not that of the latest receive: the message was received again, or is gone.
    StaleReceipt,
    /// The receipt comes from another queue.
    ForeignReceipt,
    /// The text is not a receipt, or names a slot that does not exist.
    MalformedReceipt,
    /// The message is not in flight, so there is no timeout to extend and nothing to release.
    NotInFlight,
    /// The message is read in place by its holder and by as many former holders as a slot can
    /// remember; try again when one of them is done.
    Pinned {
        /// How many former holders a slot remembers.
        max: usize,
    },
    /// More futures wait at one handle than it can wake.
    Waiters {
        /// The limit.
        max: usize,
    },
    /// The region is too small for what it should hold.
    RegionTooSmall {
        /// Bytes given.
        len: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// The region is larger than this machine can map.
    RegionTooLarge {
        /// Bytes asked for.
        len: u64,
        /// Bytes possible.
        max: u64,
    },
    /// The region holds something already.
    Occupied,
    /// The region holds no queue yet.
    Vacant,
    /// The region holds a thing of another kind.
    Kind {
        /// The kind found.
        found: u64,
        /// The kind expected.
        expected: u64,
    },
    /// The options differ from those the queue was created with.
    OptionsDiffer {
        /// The option.
        option: &'static str,
        /// Its value in the queue.
        found: u64,
        /// Its value in the call.
        given: u64,
    },
    /// The file is not a ringmain region.
    NotARegion,
    /// The file was made by a version with another format.
    Version {
        /// The file's format version.
        found: u32,
        /// The format version of this library.
        supported: u32,
    },
    /// The file is shorter than its header says.
    Truncated {
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// A field of the region's header contradicts another.
    Damaged {
        /// The field.
        field: &'static str,
    },
    /// The queue has no journal: it was created with `Durability::Process`, or its region is not
    /// a file.
    NoJournal,
    /// The journal beside the region is not as it must be.
    Journal {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It was done, and survives the process, but the disk refused: it is not known to survive the
    /// machine.
    NotDurable {
        /// The error number (`errno`) that the disk gave.
        errno: i32,
    },
    /// Every attachment of the region is taken.
    Attachments {
        /// The limit.
        max: u32,
    },
    /// This is a forked child: the attachment belongs to its parent. Open the region again.
    Forked,
    /// The queue has been deleted: this handle is of no more use.
    Deleted,
    /// The queue was purged less than a minute ago.
    PurgedRecently {
        /// How long to wait, ms.
        wait_ms: u64,
    },
    /// The name of a queue breaks a rule.
    Name {
        /// The rule.
        rule: &'static str,
        /// The byte of the name, from 0, at which it does.
        at: usize,
    },
    /// The engine has no queue of that name.
    NoQueue,
    /// The directory is not an engine's.
    NotAnEngine {
        /// Why not.
        problem: &'static str,
    },
    /// A record of an engine has a format that this library does not read.
    RecordVersion {
        /// Which one.
        record: &'static str,
        /// The format found.
        found: u32,
        /// The format that this library reads.
        supported: u32,
    },
    /// A record of an engine is damaged.
    RecordDamaged {
        /// Which one.
        record: &'static str,
        /// What of it.
        problem: &'static str,
    },
    /// The queue cannot be where the dead letters of that source go.
    DeadLetters {
        /// Why not.
        problem: &'static str,
    },
    /// A tag of a queue breaks a rule.
    Tag {
        /// The rule.
        rule: &'static str,
        /// The character of the key or value, from 0, at which it does.
        at: usize,
    },
    /// A queue has at most 50 tags.
    TagCount {
        /// How many it would have.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// No such file or directory.
    NotFound,
    /// The file exists already.
    Exists,
    /// The operating system denies access.
    Permission,
    /// The file or its file system can only be read.
    ReadOnly,
    /// The disk is full: there is no space for the region, or for the body of a large message.
    NoSpace,
    /// The side store of large messages, or what a body is read from, says no.
    SideStore {
        /// What was being done.
        doing: &'static str,
        /// The error number (`errno`); 0 if there is none.
        errno: i32,
    },
    /// The body of a large message is not in the side store: somebody else has deleted the message
    /// meanwhile, or the file was taken away.
    SideMissing,
    /// The body of a large message is not the one that was sent.
    SideDamaged {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Any other error of the operating system.
    Os {
        /// What was being done.
        doing: &'static str,
        /// The error number (`errno`).
        errno: i32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Full => f.write_str("the queue is full"),
            Error::BodyEmpty => f.write_str("the body is empty; a message has at least 1 byte"),
            Error::BodyTooLong { len, max } => {
                write!(
                    f,
                    "the body has {len} bytes; this queue takes at most {max}"
                )
            }
            Error::BodyShort { len, expected } => {
                write!(f, "the body ended after {len} bytes of {expected}")
            }
            Error::BufferTooSmall { needed, len } => {
                write!(f, "the buffer has {len} bytes; {needed} are needed")
            }
            Error::BatchSize { len } => write!(f, "a batch of {len}; a batch has 1 to 10 entries"),
            Error::InFlight { max } => write!(
                f,
                "{max} messages are in flight, and no more may be: delete some of them first"
            ),
            Error::BatchTooLong { len, max } => {
                write!(
                    f,
                    "the batch has {len} bytes; all bodies together at most {max}"
                )
            }
            Error::OutOfRange {
                what,
                value,
                min,
                max,
            } => {
                write!(f, "{what} is {value}; it must be {min} to {max}")
            }
            Error::StaleReceipt => {
                f.write_str("the receipt is stale: the message was received again or is gone")
            }
            Error::ForeignReceipt => f.write_str("the receipt is another queue's"),
            Error::MalformedReceipt => f.write_str("not a receipt of this library"),
            Error::NotInFlight => f.write_str("the message is not in flight"),
            Error::Pinned { max } => {
                write!(
                    f,
                    "{max} former holders and the present one still read the message"
                )
            }
            Error::Waiters { max } => {
                write!(
                    f,
                    "{max} futures already wait at this handle, which is the most"
                )
            }
            ref other => other.fmt_attribute(f),
        }
    }
}

impl Error {
    fn fmt_attribute(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::AttributeCount { count, max } => {
                write!(f, "{count} attributes; a message has at most {max}")
            }
            Error::AttributeName { rule, at } => {
                write!(f, "the attribute's name is refused at byte {at}: {rule}")
            }
            Error::AttributeTwice { first, second } => {
                write!(
                    f,
                    "attributes {first} and {second} have one name; names differ in a message"
                )
            }
            Error::AttributeValue { rule, at } => {
                write!(f, "the attribute's value is refused at byte {at}: {rule}")
            }
            Error::LargeAttributes { count, max } => write!(
                f,
                "{count} attributes; a large message has at most {max}, since one more says where \
                 its body is"
            ),
            Error::SideStore { doing, errno } => {
                write!(f, "large message: {doing}: errno {errno}")
            }
            Error::SideMissing => f.write_str("the large message's body is not in the side store"),
            Error::SideDamaged { problem } => {
                write!(f, "the large message's body is damaged: {problem}")
            }
            ref other => other.fmt_region(f),
        }
    }

    fn fmt_region(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::RegionTooSmall { len, needed } => {
                write!(
                    f,
                    "the region has {len} bytes; at least {needed} are needed"
                )
            }
            Error::RegionTooLarge { len, max } => {
                write!(
                    f,
                    "a region of {len} bytes; this machine takes at most {max}"
                )
            }
            Error::Occupied => f.write_str("the region holds a queue already"),
            Error::Vacant => f.write_str("the region holds no queue yet"),
            Error::Kind { found, expected } => {
                write!(
                    f,
                    "the region holds kind {found}; kind {expected} was expected"
                )
            }
            Error::OptionsDiffer {
                option,
                found,
                given,
            } => {
                write!(
                    f,
                    "option {option} is {given}; the queue was created with {found}"
                )
            }
            Error::NotARegion => f.write_str("not a ringmain region"),
            Error::Version { found, supported } => {
                write!(
                    f,
                    "region format {found}; this library reads format {supported}"
                )
            }
            Error::Truncated { found, expected } => {
                write!(f, "the region is cut short: {found} bytes of {expected}")
            }
            Error::Damaged { field } => write!(f, "the region is damaged: {field}"),
            Error::NoJournal => f.write_str("the queue has no journal (Durability::Process)"),
            Error::Journal { problem } => write!(f, "the region's journal {problem}"),
            Error::NotDurable { errno } => {
                write!(f, "done, but not known to be on the disk: errno {errno}")
            }
            Error::Attachments { max } => {
                write!(f, "{max} attachments to this region, which is the most")
            }
            Error::Forked => {
                f.write_str("forked child: the attachment is the parent's; open the region again")
            }
            Error::Deleted => f.write_str("the queue has been deleted; open or create it again"),
            Error::PurgedRecently { wait_ms } => write!(
                f,
                "the queue was purged less than 60 s ago; it may be purged again in {wait_ms} ms"
            ),
            Error::Name { rule, at } => {
                write!(f, "the name is refused at byte {at}: {rule}")
            }
            ref other => other.fmt_engine(f),
        }
    }

    fn fmt_engine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::NoQueue => f.write_str("the engine has no queue of that name"),
            Error::NotAnEngine { problem } => {
                write!(f, "the directory is not an engine's: {problem}")
            }
            Error::RecordVersion {
                record,
                found,
                supported,
            } => {
                write!(
                    f,
                    "{record} has format {found}; this library reads format {supported}"
                )
            }
            Error::RecordDamaged { record, problem } => {
                write!(f, "{record} is damaged: {problem}")
            }
            Error::DeadLetters { problem } => {
                write!(f, "the queue of dead letters is refused: {problem}")
            }
            Error::Tag { rule, at } => {
                write!(f, "the tag is refused at character {at}: {rule}")
            }
            Error::TagCount { count, max } => {
                write!(f, "{count} tags; a queue has at most {max}")
            }
            Error::NotFound => f.write_str("no such file or directory"),
            Error::Exists => f.write_str("the file exists already"),
            Error::Permission => f.write_str("permission denied"),
            Error::ReadOnly => f.write_str("the file or its file system is read-only"),
            Error::NoSpace => f.write_str("no space left on the device for the whole of it"),
            Error::Os { doing, errno } => write!(f, "{doing}: errno {errno}"),
            _ => f.write_str("error"),
        }
    }
}

impl core::error::Error for Error {}
