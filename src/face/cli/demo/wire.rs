//! The journals: records of little-endian 64-bit words on a pipe.
//!
//! ```text
//!   head      kind (8 bits), entries (8), metrics (48)
//!   sent      head, then for each entry: seq, hash
//!   received  head, time, then for each entry: message
//!   processed head, then for each entry: who, seq, hash, sent time
//!   accepted  head (duplicates: 8 bits, waits: 40), who, then for each entry: seq, hash
//!   ordered   head, time, then for each entry: group, sequence, who, seq
//! ```
//!
//! The last two are those of a FIFO queue. The largest record has 42 words, 336 bytes: less than
//! `PIPE_BUF` (4096), so a write is atomic.

use std::io;

use rustix::io::Errno;

use super::super::submit::BATCH_ENTRIES_MAX;

const SENT: u64 = 1;
const RECEIVED: u64 = 2;
const PROCESSED: u64 = 3;
const ACCEPTED: u64 = 4;
const ORDERED: u64 = 5;
const RECORD_WORDS_MAX: usize = 2 + 4 * BATCH_ENTRIES_MAX;

/// Whose message: a producer and its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Author {
    pub(super) producer: u32,
    pub(super) incarnation: u32,
}

impl Author {
    fn word(self) -> u64 {
        u64::from(self.producer) | u64::from(self.incarnation) << 32
    }

    fn of(word: u64) -> Self {
        Self {
            producer: word as u32,
            incarnation: (word >> 32) as u32,
        }
    }
}

/// A body that is no reading has nobody as its author.
pub(super) const NOBODY: Author = Author {
    producer: u32::MAX,
    incarnation: u32::MAX,
};

/// What a worker did with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) author: Author,
    pub(super) seq: u64,
    pub(super) hash: u64,
    pub(super) sent_ns: u64,
}

/// Where a message of a FIFO queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// A hash of the group's id.
    pub(super) group: u64,
    /// The queue's sequence number.
    pub(super) sequence: u64,
    pub(super) author: Author,
    pub(super) seq: u64,
}

/// One record, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// These sends returned `Ok`: sequence number and hash.
    Sent(Batch<(u64, u64)>),
    /// This worker holds these messages (fingerprints of their ids) since then.
    Received { at_ns: u64, messages: Batch<u64> },
    /// This worker is done with the batch it received last, and will delete it now.
    Processed { metrics: u64, works: Batch<Work> },
    /// These sends to a FIFO queue returned `Ok`: sequence number of the author, and hash.
    Accepted {
        /// Whose they are: a producer sends again what its predecessor may not have sent.
        author: Author,
        entries: Batch<(u64, u64)>,
        /// How many of them had been accepted before.
        duplicates: u64,
        /// How often the producer waited for the table of deduplication ids before.
        waits: u64,
    },
    /// This worker holds these messages of a FIFO queue since then; comes before `Received`.
    Ordered { at_ns: u64, places: Batch<Place> },
}

/// Up to ten of something.
pub(super) type Batch<T> = heapless::Vec<T, BATCH_ENTRIES_MAX>;

type Words = heapless::Vec<u64, RECORD_WORDS_MAX>;

impl Record {
    fn words(&self) -> Words {
        let mut words = Words::new();
        match self {
            Self::Sent(entries) => {
                words.extend([SENT | (entries.len() as u64) << 8]);
                words.extend(entries.iter().flat_map(|&(seq, hash)| [seq, hash]));
            }
            Self::Received { at_ns, messages } => {
                words.extend([RECEIVED | (messages.len() as u64) << 8, *at_ns]);
                words.extend(messages.iter().copied());
            }
            Self::Processed { metrics, works } => {
                words.extend([PROCESSED | (works.len() as u64) << 8 | metrics << 16]);
                words.extend(
                    works
                        .iter()
                        .flat_map(|work| [work.author.word(), work.seq, work.hash, work.sent_ns]),
                );
            }
            Self::Accepted {
                author,
                entries,
                duplicates,
                waits,
            } => {
                let head = ACCEPTED | (entries.len() as u64) << 8;
                words.extend([head | duplicates << 16 | waits << 24, author.word()]);
                words.extend(entries.iter().flat_map(|&(seq, hash)| [seq, hash]));
            }
            Self::Ordered { at_ns, places } => {
                words.extend([ORDERED | (places.len() as u64) << 8, *at_ns]);
                words.extend(places.iter().flat_map(|place| {
                    [place.group, place.sequence, place.author.word(), place.seq]
                }));
            }
        }
        words
    }

    /// Writes the record to standard output in one call: it is there whole, or not at all.
    pub(super) fn write(&self) -> io::Result<()> {
        let mut bytes: heapless::Vec<u8, { 8 * RECORD_WORDS_MAX }> = heapless::Vec::new();
        for word in self.words() {
            bytes.extend(word.to_le_bytes());
        }
        loop {
            match rustix::io::write(io::stdout(), &bytes) {
                Ok(n) if n == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::Error::other("a journal record was cut")),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the first whole record off `bytes`; `None` when there is none yet.
    pub(super) fn read(bytes: &mut &[u8]) -> io::Result<Option<Self>> {
        let Some(&head) = bytes.first_chunk::<8>() else {
            return Ok(None);
        };
        let head = u64::from_le_bytes(head);
        let entries = (head >> 8 & 0xff) as usize;
        let words = match head & 0xff {
            SENT => 1 + 2 * entries,
            RECEIVED => 2 + entries,
            PROCESSED => 1 + 4 * entries,
            ACCEPTED => 2 + 2 * entries,
            ORDERED => 2 + 4 * entries,
            kind => return Err(io::Error::other(format!("journal record of kind {kind}"))),
        };
        if entries > BATCH_ENTRIES_MAX {
            return Err(io::Error::other(format!(
                "journal record of {entries} entries"
            )));
        }
        let Some((record, rest)) = bytes.split_at_checked(8 * words) else {
            return Ok(None);
        };
        *bytes = rest;
        let (chunks, _) = record.as_chunks::<8>();
        let words: Words = chunks
            .iter()
            .map(|&chunk| u64::from_le_bytes(chunk))
            .collect();
        Ok(Some(Self::of(head, &words[1..])))
    }

    /// The record of a head that was checked, and its other words.
    fn of(head: u64, words: &[u64]) -> Self {
        let pairs = |words: &[u64]| {
            let pairs = words.as_chunks().0.iter();
            pairs.map(|&[seq, hash]| (seq, hash)).collect()
        };
        match head & 0xff {
            SENT => Self::Sent(pairs(words)),
            RECEIVED => Self::Received {
                at_ns: words[0],
                messages: words[1..].iter().copied().collect(),
            },
            ACCEPTED => Self::Accepted {
                author: Author::of(words[0]),
                entries: pairs(&words[1..]),
                duplicates: head >> 16 & 0xff,
                waits: head >> 24,
            },
            ORDERED => Self::Ordered {
                at_ns: words[0],
                places: words[1..].as_chunks().0.iter().map(place).collect(),
            },
            _ => Self::Processed {
                metrics: head >> 16,
                works: words.as_chunks().0.iter().map(work).collect(),
            },
        }
    }
}

fn work(&[who, seq, hash, sent_ns]: &[u64; 4]) -> Work {
    Work {
        author: Author::of(who),
        seq,
        hash,
        sent_ns,
    }
}

fn place(&[group, sequence, who, seq]: &[u64; 4]) -> Place {
    Place {
        group,
        sequence,
        author: Author::of(who),
        seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_written() {
        let author = Author {
            producer: 1,
            incarnation: 7,
        };
        let work = Work {
            author,
            seq: 3,
            hash: u64::MAX,
            sent_ns: 12,
        };
        let place = Place {
            group: 8,
            sequence: 9,
            author,
            seq: 4,
        };
        let records = [
            Record::Sent([(1, 2), (3, 4)].into_iter().collect()),
            Record::Received {
                at_ns: 5,
                messages: (0..10).collect(),
            },
            Record::Processed {
                metrics: 400,
                works: [work; 10].into_iter().collect(),
            },
            Record::Accepted {
                author,
                entries: [(1, 2), (3, 4)].into_iter().collect(),
                duplicates: 10,
                waits: 70_000,
            },
            Record::Ordered {
                at_ns: 6,
                places: [place; 10].into_iter().collect(),
            },
        ];
        let bytes: Vec<u8> = records
            .iter()
            .flat_map(|r| r.words())
            .flat_map(u64::to_le_bytes)
            .collect();
        for cut in 0..bytes.len() {
            let mut left = &bytes[..cut];
            let mut found = Vec::new();
            while let Some(record) = Record::read(&mut left).expect("well formed") {
                found.push(record);
            }
            assert_eq!(found, records[..found.len()], "cut at {cut}");
            assert!(found.len() < records.len());
        }
        assert!(Record::read(&mut &[9_u8; 16][..]).is_err());
    }
}
