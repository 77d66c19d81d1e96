//! Sending: into the queue if it is short, else into a file.

use super::pointer::{ATTRIBUTE, ATTRIBUTE_VALUE, POINTER_BYTES, Pointer, hasher};
use super::queue::LargeQueue;
use crate::error::Error;
use crate::message::Message;
use crate::queue::MessageId;
use crate::region::Region;
use crate::region::mapped::side::{SideName, SideWriter};
use crate::time::Clock;
use std::io::{self, Read};

/// Attributes of a large message: ten, less the one that says that it is large.
const ATTRIBUTES_MAX: usize = 9;
/// Bytes that are read and written at once.
const PIECE_BYTES: usize = 64 << 10;

impl<R: Region, C: Clock> LargeQueue<'_, R, C> {
    /// Sends one message: into the queue, or, if it is longer than the threshold, into the side
    /// store with a pointer in the queue.
    ///
    /// # Errors
    ///
    /// Those of [`Queue::send`](crate::Queue::send); [`Error::BodyTooLong`] beyond the longest
    /// body; [`Error::NoSpace`], [`Error::SideStore`]. Then nothing was sent and nothing stays
    /// behind. At `Durability::BeforeOk` also [`Error::NotDurable`]: then the message *is* in the
    /// queue.
    ///
    /// # Progress
    ///
    /// A short message: as [`Queue::send`](crate::Queue::send). A long one waits for the file
    /// system, and in a queue with a journal for the disk.
    pub fn send(&self, body: &[u8]) -> Result<MessageId, Error> {
        self.send_message(&Message::new(body))
    }

    /// [`send`](LargeQueue::send) for a message with attributes, which stay in the queue, or with a
    /// delay of its own, which begins when the body is written. Body and attributes count together
    /// against the threshold. A large message has at most 9 attributes.
    ///
    /// # Errors
    ///
    /// Those of [`send`](LargeQueue::send); [`Error::LargeAttributes`];
    /// [`Error::AttributeName`] for the name `ringmain.large`, which is not the sender's to use.
    ///
    /// # Progress
    ///
    /// As [`send`](LargeQueue::send).
    pub fn send_message(&self, message: &Message<'_>) -> Result<MessageId, Error> {
        names_allowed(message)?;
        let mut body = message.body();
        if body.is_empty() {
            return Err(Error::BodyEmpty);
        }
        if message.size() <= self.threshold {
            return self.queue.send_message(message);
        }
        let len = body.len() as u64;
        self.admit(len)?;
        self.send_large(message, &[], &mut body, Some(len))
    }

    /// Sends a body as it is read: exactly `len` bytes, if that is given, else all there are. No
    /// more of it is in memory at once than the threshold and 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of [`send`](LargeQueue::send); [`Error::BodyShort`]; [`Error::SideStore`] with the
    /// reader's error. A length that is given is refused before anything is read or written.
    ///
    /// # Progress
    ///
    /// As [`send`](LargeQueue::send); waits for the reader too, with the message's slots claimed.
    pub fn send_reader<B: Read + ?Sized>(
        &self,
        reader: &mut B,
        len: Option<u64>,
    ) -> Result<MessageId, Error> {
        self.send_message_reader(&Message::new(&[]), reader, len)
    }

    /// [`send_reader`](LargeQueue::send_reader) with the attributes and the delay of `message`,
    /// whose own body is not looked at.
    ///
    /// # Errors
    ///
    /// Those of [`send_reader`](LargeQueue::send_reader) and
    /// [`send_message`](LargeQueue::send_message).
    ///
    /// # Progress
    ///
    /// As [`send_reader`](LargeQueue::send_reader).
    pub fn send_message_reader<B: Read + ?Sized>(
        &self,
        message: &Message<'_>,
        reader: &mut B,
        len: Option<u64>,
    ) -> Result<MessageId, Error> {
        names_allowed(message)?;
        let attributes = message.size() - message.body().len();
        let room = self.threshold.saturating_sub(attributes) as u64;
        if let Some(len) = len {
            self.admit(len)?;
            if len > room {
                return self.send_large(message, &[], reader, Some(len));
            }
        }
        // Maybe short: as much as the queue takes, and one byte to know whether there is more.
        let mut body = Vec::new();
        let wanted = len.unwrap_or(room + 1);
        let read = reader.take(wanted).read_to_end(&mut body);
        read.map_err(|error| reading(&error))?;
        let have = body.len() as u64;
        match len {
            Some(expected) if have < expected => Err(Error::BodyShort {
                len: have,
                expected,
            }),
            None if have == 0 => Err(Error::BodyEmpty),
            None if have > room => self.send_large(message, &body, reader, None),
            _ => self.queue.send_message(&message.with_body(&body)),
        }
    }

    /// Whether a body of this length may be sent.
    fn admit(&self, len: u64) -> Result<(), Error> {
        match len {
            0 => Err(Error::BodyEmpty),
            len if len > self.longest => Err(self.too_long(len)),
            _ => Ok(()),
        }
    }

    fn too_long(&self, len: u64) -> Error {
        Error::BodyTooLong {
            len: len as usize, // files are mapped on targets of 64 bits alone
            max: self.longest as usize,
        }
    }

    /// See the protocol in the module's text. On the way out by an error the file goes first, then
    /// the claim.
    fn send_large<B: Read + ?Sized>(
        &self,
        message: &Message<'_>,
        begun: &[u8],
        reader: &mut B,
        len: Option<u64>,
    ) -> Result<MessageId, Error> {
        self.check()?;
        let count = message.attributes().len();
        if count > ATTRIBUTES_MAX {
            return Err(Error::LargeAttributes {
                count,
                max: ATTRIBUTES_MAX,
            });
        }
        let marked = |record| message.with_body(record).binary(ATTRIBUTE, ATTRIBUTE_VALUE);
        let claim = self.queue.claim_named(&marked(&[0; POINTER_BYTES])?)?;
        let name = self.name_of(claim.id());
        let mut writer = self.dir.create(name, len)?;
        let pointer = self.write(&mut writer, name, begun, reader, len)?;
        if self.queue.is_journaled() {
            writer.sync()?; // on the disk before the message can be
        }
        let record = pointer.encode();
        let id = claim.publish(&marked(&record)?)?;
        writer.keep();
        self.queue.end_at_level()?;
        Ok(id)
    }

    /// Writes what has been read already, and then what is read: `len` bytes, if that is given.
    fn write<B: Read + ?Sized>(
        &self,
        writer: &mut SideWriter<'_>,
        name: SideName,
        begun: &[u8],
        reader: &mut B,
        len: Option<u64>,
    ) -> Result<Pointer, Error> {
        let mut hash = hasher(name);
        let mut have = begun.len() as u64;
        if have > self.longest {
            return Err(self.too_long(have));
        }
        hash.add(begun);
        writer.write(begun)?;
        // One byte more than allowed tells that there is more.
        let end = len.unwrap_or(self.longest + 1);
        let mut piece = vec![0; PIECE_BYTES];
        while have < end {
            let wanted = (end - have).min(PIECE_BYTES as u64) as usize;
            let got = match reader.read(&mut piece[..wanted]) {
                Ok(0) => break,
                Ok(got) => got.min(wanted), // a reader may lie
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading(&error)),
            };
            have += got as u64;
            if have > self.longest {
                return Err(self.too_long(have));
            }
            hash.add(&piece[..got]);
            writer.write(&piece[..got])?;
        }
        match len {
            Some(expected) if have < expected => Err(Error::BodyShort {
                len: have,
                expected,
            }),
            _ => Ok(Pointer {
                name,
                len: have,
                sum: hash.sum(),
            }),
        }
    }
}

fn reading(error: &io::Error) -> Error {
    Error::SideStore {
        doing: "reading the body that is sent",
        errno: error.raw_os_error().unwrap_or(0),
    }
}

fn names_allowed(message: &Message<'_>) -> Result<(), Error> {
    if message.attributes().any(|(name, _)| name == ATTRIBUTE) {
        return Err(Error::AttributeName {
            rule: "ringmain.large says where the body of a large message is",
            at: 0,
        });
    }
    Ok(())
}
