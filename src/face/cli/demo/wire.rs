//! The journals: records of little-endian 64-bit words on a pipe.
//!
//! ```text
//!   head      kind (8 bits), entries (8), metrics (48)
//!   sent      head, then for each entry: seq, hash
//!   received  head, time, then for each entry: message
//!   processed head, then for each entry: who, seq, hash, sent time
//! ```
//!
//! The largest record has 41 words, 328 bytes: less than `PIPE_BUF` (4096), so a write is atomic.

use std::io;

use rustix::io::Errno;

use super::super::submit::BATCH_ENTRIES_MAX;

const SENT: u64 = 1;
const RECEIVED: u64 = 2;
const PROCESSED: u64 = 3;
const RECORD_WORDS_MAX: usize = 2 + 4 * BATCH_ENTRIES_MAX;

/// Whose message: a producer and its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Author {
    pub(super) producer: u32,
    pub(super) incarnation: u32,
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

/// One record, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// These sends returned `Ok`: sequence number and hash.
    Sent(Batch<(u64, u64)>),
    /// This worker holds these messages (fingerprints of their ids) since then.
    Received { at_ns: u64, messages: Batch<u64> },
    /// This worker is done with the batch it received last, and will delete it now.
    Processed { metrics: u64, works: Batch<Work> },
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
                words.extend(works.iter().flat_map(|work| {
                    let Author {
                        producer,
                        incarnation,
                    } = work.author;
                    let who = u64::from(producer) | u64::from(incarnation) << 32;
                    [who, work.seq, work.hash, work.sent_ns]
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
        Ok(Some(match head & 0xff {
            SENT => Self::Sent(
                words[1..]
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&[seq, h]| (seq, h))
                    .collect(),
            ),
            RECEIVED => Self::Received {
                at_ns: words[1],
                messages: words[2..].iter().copied().collect(),
            },
            _ => {
                let works = words[1..].as_chunks().0.iter().map(work).collect();
                Self::Processed {
                    metrics: head >> 16,
                    works,
                }
            }
        }))
    }
}

fn work(&[who, seq, hash, sent_ns]: &[u64; 4]) -> Work {
    let author = Author {
        producer: who as u32,
        incarnation: (who >> 32) as u32,
    };
    Work {
        author,
        seq,
        hash,
        sent_ns,
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
            assert!(found.len() < 3);
        }
        assert!(Record::read(&mut &[9_u8; 16][..]).is_err());
    }
}
