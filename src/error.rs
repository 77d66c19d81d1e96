//! The one error type, with the limits in its words.
#![forbid(unsafe_code)]

mod display;

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
    /// The id of a group breaks a rule.
    GroupId {
        /// The rule.
        rule: &'static str,
        /// The byte, from 0, at which it does.
        at: usize,
    },
    /// A message of a FIFO queue has a group; one of a standard queue has none.
    Group {
        /// What is wrong.
        problem: &'static str,
    },
    /// A deduplication id breaks a rule.
    DeduplicationId {
        /// The rule.
        rule: &'static str,
        /// The byte, from 0, at which it does.
        at: usize,
    },
    /// The message has no deduplication id, and the queue does not take its body's digest for one.
    NoDeduplicationId,
    /// As many deduplication ids are remembered as there may be; none is forgotten before its
    /// interval is over (`FifoOptions::dedup_ids`, `FifoOptions::dedup_interval`).
    DeduplicationFull {
        /// The limit.
        max: u64,
    },
    /// The id of a receive attempt breaks a rule.
    AttemptId {
        /// The rule.
        rule: &'static str,
        /// The byte, from 0, at which it does.
        at: usize,
    },
    /// As many receive attempts have messages in flight as can be remembered, in all or where this
    /// one has its place; none is forgotten early (`FifoOptions::attempts`).
    AttemptsFull {
        /// The limit.
        max: u64,
    },
    /// The queue has a quota of calls, which is used up for the moment.
    Throttled {
        /// Calls in a second.
        max: u64,
        /// How long to wait, ms.
        wait_ms: u64,
    },
    /// A partition key has 1 to 256 characters.
    PartitionKey {
        /// How many it has.
        characters: usize,
    },
    /// The data of a record is longer than the stream takes.
    DataTooLong {
        /// Length of the data, bytes.
        len: usize,
        /// The stream's limit, bytes.
        max: usize,
    },
    /// The stream has no such shard: it never had, or all its records are gone.
    NoShard {
        /// The shard.
        shard: u32,
    },
    /// The shard was split or merged, and all that was put there has been read.
    ShardClosed {
        /// The shards that go on: two after a split, the one with the lower hashes first; one after
        /// a merge.
        children: [Option<u32>; 2],
    },
    /// The shard is closed already: it was split or merged.
    ShardNotOpen {
        /// The shard.
        shard: u32,
    },
    /// The point of a split is not inside the shard's range: beyond the hash behind its first one,
    /// and before its last one.
    SplitPoint,
    /// Two shards are merged only if the range of one begins where the other's ends.
    NotAdjacent,
    /// As many shards are there as there may be (`StreamOptions::max_shards`), open, or closed with
    /// records that are kept or read.
    ShardLimit {
        /// The limit.
        max: u32,
    },
    /// Another participant prepares a split or a merge; there is one at a time.
    Resharding {
        /// Whose attachment.
        owner: u32,
    },
    /// The shard has a writer of its own (`Stream::writer`), which has to give it back before
    /// others put there, or split or merge it.
    ShardReserved {
        /// Whose attachment.
        owner: u32,
    },
    /// The hash of a record is not in the range of the shard that a writer is of.
    HashNotInShard {
        /// The shard.
        shard: u32,
    },
    /// As many cursors are at the shard as there may be (`StreamOptions::readers`).
    Readers {
        /// The limit.
        max: usize,
    },
    /// The stream has no consumer of that name; or this one was deregistered.
    NoConsumer,
    /// A consumer of that name is registered.
    ConsumerExists,
    /// As many consumers are registered, or being registered, as there may be
    /// (`StreamOptions::consumers`).
    ConsumerLimit {
        /// The limit.
        max: usize,
    },
    /// The consumer has a subscription to the shard that began less than 5 s ago; one that is older
    /// is taken over.
    Subscribed {
        /// Whose attachment.
        owner: u32,
        /// How long to wait, ms.
        wait_ms: u64,
    },
    /// The subscription's 5 minutes are over: renew it, or subscribe again.
    SubscriptionExpired,
    /// Another subscription of the same consumer to the shard has taken this one over.
    SubscriptionTaken,
    /// The shard has a quota of what is put or read in a second, which is used up for the moment
    /// (`StreamOptions::quota`).
    ProvisionedThroughputExceeded {
        /// The shard.
        shard: u32,
        /// How long to wait, ms.
        wait_ms: u64,
    },
    /// As many records, or bytes of them, are in the producer as it has room for: take its
    /// outcomes, or wait until it can put what it has (`StreamProducer::next_due`).
    BufferFull {
        /// How many records there may be.
        records: usize,
        /// How many bytes of keys and data may wait.
        bytes: usize,
    },
    /// The oldest segment of the shard would have to be written anew, and somebody who lives is in
    /// it: reading in place, or writing a record that it has claimed.
    SegmentInUse {
        /// Whose attachment.
        owner: u32,
        /// Reading; else writing.
        reading: bool,
    },
    /// The cursor had fallen behind what the stream keeps, and stands at the oldest record now.
    Lost {
        /// What it has missed, bytes of the shard.
        bytes: u64,
    },
    /// The bytes of a record fail their checksum. The cursor stands behind it now.
    RecordDamaged {
        /// Its sequence number.
        sequence: u64,
    },
    /// A shard has come to the end of its sequence numbers, after 2^33 laps over its memory.
    Exhausted,
    /// This cannot be had together.
    Unsupported {
        /// What.
        what: &'static str,
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
    /// The visibility timeout of a FIFO queue's receipt has run out: the message comes back.
    ExpiredReceipt,
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
    /// The options differ from those the queue or stream was created with.
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
    /// The queue has no journal, or the stream no mirror: it was created with
    /// `Durability::Process`, or its region is not a file.
    NoJournal,
    /// The journal beside the region is not as it must be.
    Journal {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The mirror beside the region of a stream is not as it must be.
    Mirror {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It was done, and survives the process, but the disk refused: it is not known to survive the
    /// machine. Of a stream also if a claim of somebody was in the way for too long.
    NotDurable {
        /// The error number (`errno`) that the disk gave; `ETIMEDOUT` for a claim.
        errno: i32,
    },
    /// Every attachment of the region is taken.
    Attachments {
        /// The limit.
        max: u32,
    },
    /// This is a forked child: the attachment belongs to its parent. Open the region again.
    Forked,
    /// The region was opened for reading (`Mapped::open_for_reading`): nothing is put, split or
    /// merged through it.
    OpenedForReading,
    /// A redrive cannot begin, go on or end so.
    Redrive {
        /// Why.
        problem: &'static str,
    },
    /// The queue or stream has been deleted: this handle is of no more use.
    Deleted,
    /// The queue was purged less than a minute ago.
    PurgedRecently {
        /// How long to wait, ms.
        wait_ms: u64,
    },
    /// The name of a queue, a stream or a consumer breaks a rule.
    Name {
        /// The rule.
        rule: &'static str,
        /// The byte of the name, from 0, at which it does.
        at: usize,
    },
    /// The engine has no queue of that name.
    NoQueue,
    /// The engine has no stream of that name.
    NoStream,
    /// The directory is not an engine's.
    NotAnEngine {
        /// Why not.
        problem: &'static str,
    },
    /// The marker of an engine, or the metadata of a queue, have a format that is not read here.
    MetadataVersion {
        /// Which one.
        what: &'static str,
        /// The format found.
        found: u32,
        /// The format that this library reads.
        supported: u32,
    },
    /// The marker of an engine, or the metadata of a queue, are damaged.
    MetadataDamaged {
        /// Which one.
        what: &'static str,
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

impl core::error::Error for Error {}
