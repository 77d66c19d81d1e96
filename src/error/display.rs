//! Errors in words.

use super::Error;
use core::fmt;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Full => f.write_str("the queue or shard is full"),
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
            Error::ExpiredReceipt => f.write_str(
                "the receipt has expired: its visibility timeout ran out; the message comes back",
            ),
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
            ref other => other.fmt_stream(f),
        }
    }
}

impl Error {
    fn fmt_stream(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::PartitionKey { characters } => write!(
                f,
                "the partition key has {characters} characters; it must have 1 to 256"
            ),
            Error::DataTooLong { len, max } => write!(
                f,
                "the data has {len} bytes; a record of this stream takes at most {max}"
            ),
            Error::NoShard { shard } => {
                write!(
                    f,
                    "no shard {shard}: there never was, or all its records are gone"
                )
            }
            Error::ShardClosed { children } => match children {
                [Some(low), Some(high)] => {
                    write!(f, "the shard is closed; {low} and {high} go on for it")
                }
                [Some(child), None] => write!(f, "the shard is closed; {child} goes on for it"),
                _ => f.write_str("the shard is closed"),
            },
            Error::ShardNotOpen { shard } => {
                write!(f, "shard {shard} is closed already: it was split or merged")
            }
            Error::SplitPoint => f.write_str(
                "the point of the split is not inside the shard's range: \
                 it must be first + 1 < point < last",
            ),
            Error::NotAdjacent => f.write_str("the shards are no neighbours"),
            Error::ShardLimit { max } => write!(
                f,
                "all {max} places for shards are taken, by open ones, and by closed ones whose \
                 records are kept or read"
            ),
            Error::Resharding { owner } => write!(
                f,
                "attachment {owner} prepares a split or a merge; there is one at a time"
            ),
            Error::ShardReserved { owner } => write!(
                f,
                "the shard is reserved by a writer of attachment {owner}: others can put there, or \
                 split or merge it, when that is dropped"
            ),
            Error::HashNotInShard { shard } => {
                write!(
                    f,
                    "the hash of the record is not in the range of shard {shard}"
                )
            }
            Error::Readers { max } => {
                write!(f, "{max} cursors are at the shard, which is the most")
            }
            Error::NoConsumer => {
                f.write_str("the stream has no consumer of that name any more, or yet")
            }
            Error::ConsumerExists => f.write_str("a consumer of that name is registered"),
            Error::ConsumerLimit { max } => {
                write!(f, "{max} consumers are registered, which is the most")
            }
            Error::Subscribed { owner, wait_ms } => write!(
                f,
                "attachment {owner} has just subscribed; in {wait_ms} ms it can be taken over"
            ),
            Error::SubscriptionExpired => f.write_str("the subscription has lasted its 5 minutes"),
            Error::SubscriptionTaken => {
                f.write_str("another subscription of the consumer has taken this one over")
            }
            Error::ProvisionedThroughputExceeded { shard, wait_ms } => write!(
                f,
                "the quota of shard {shard} is used up (a second: 1000 records or 1 MiB put, \
                 2 MiB read); try again in {wait_ms} ms"
            ),
            Error::BufferFull { records, bytes } => write!(
                f,
                "the producer is full: it has room for {records} records and {bytes} bytes"
            ),
            Error::SegmentInUse { owner, reading } => {
                let what = if reading { "reads" } else { "writes" };
                write!(
                    f,
                    "attachment {owner} still {what} in the oldest segment of the shard"
                )
            }
            Error::Lost { bytes } => write!(
                f,
                "the cursor fell behind: {bytes} bytes of the shard are gone unread"
            ),
            Error::RecordDamaged { sequence } => {
                write!(f, "the record {sequence} fails its checksum")
            }
            Error::Exhausted => f.write_str("the shard has no more sequence numbers"),
            ref other => other.fmt_fifo(f),
        }
    }

    fn fmt_fifo(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::GroupId { rule, at } => {
                write!(f, "the id of the group is refused at byte {at}: {rule}")
            }
            Error::Group { problem } => f.write_str(problem),
            Error::DeduplicationId { rule, at } => {
                write!(f, "the deduplication id is refused at byte {at}: {rule}")
            }
            Error::NoDeduplicationId => {
                f.write_str("no deduplication id, and the queue was not created with content_dedup")
            }
            Error::DeduplicationFull { max } => write!(
                f,
                "{max} deduplication ids are remembered, the most there may be; one has to expire"
            ),
            Error::AttemptId { rule, at } => {
                write!(f, "the attempt id is refused at byte {at}: {rule}")
            }
            Error::AttemptsFull { max } => write!(
                f,
                "no room for another receive attempt: {max} are remembered at most, by their ids' \
                 hashes in sets of 8, and 8 of its set have messages in flight"
            ),
            Error::Throttled { max, wait_ms } => write!(
                f,
                "more than {max} calls a second; try again in {wait_ms} ms"
            ),
            Error::Unsupported { what } => write!(f, "not supported: {what}"),
            ref other => other.fmt_attribute(f),
        }
    }

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
                    "the region holds {}; {} was expected",
                    KindName(found),
                    KindName(expected)
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
            Error::NoJournal => f.write_str("it has no journal or mirror (Durability::Process)"),
            Error::Mirror { problem } => write!(f, "the region's mirror {problem}"),
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
            Error::OpenedForReading => f.write_str(
                "opened for reading: nothing is put, split or merged through this region",
            ),
            Error::Redrive { problem } => write!(f, "redrive: {problem}"),
            Error::Deleted => f.write_str("it has been deleted; open or create it again"),
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
            Error::NoStream => f.write_str("the engine has no stream of that name"),
            Error::NotAnEngine { problem } => {
                write!(f, "the directory is not an engine's: {problem}")
            }
            Error::MetadataVersion {
                what,
                found,
                supported,
            } => {
                write!(
                    f,
                    "{what} has format {found}; this library reads format {supported}"
                )
            }
            Error::MetadataDamaged { what, problem } => {
                write!(f, "{what} is damaged: {problem}")
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

/// What a region's section holds, in words.
struct KindName(u64);

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("a standard queue"),
            2 => f.write_str("a FIFO queue"),
            3 => f.write_str("a stream"),
            kind => write!(f, "kind {kind}"),
        }
    }
}
