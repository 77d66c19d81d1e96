//! A received message whose body is in the queue or in a file.

use super::pointer::{ATTRIBUTE, Pointer, hasher};
use super::queue::{Deleted, LargeQueue};
use crate::error::Error;
use crate::hash::Xxh3Pieces;
use crate::message::Value;
use crate::queue::{Batch, MessageId, Outcomes, Receipt, Received};
use crate::region::Region;
use crate::region::mapped::side::SideFile;
use crate::time::Clock;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::io::{self, Read};

/// One receive of one message, small or large.
///
/// A large body stays whole and can be read for as long as this value lives, even if the
/// visibility timeout runs out and somebody else receives and deletes the message meanwhile: its
/// file is open.
///
/// Dropped without [`delete`](LargeReceived::delete) or [`release`](LargeReceived::release), the
/// message stays in flight until its visibility timeout runs out, or this process dies.
#[must_use = "an unsettled message comes back when its visibility timeout runs out"]
pub struct LargeReceived<'l, R: Region, C: Clock> {
    large: &'l LargeQueue<'l, R, C>,
    received: Received<'l, R, C>,
    /// Of a large message.
    side: Option<Side>,
}

/// Where a large body is; `None`: the message does not say.
struct Side {
    pointer: Option<Pointer>,
    file: Result<SideFile, Error>,
}

impl<R: Region, C: Clock> fmt::Debug for LargeReceived<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeReceived")
            .field("id", &self.id())
            .field("len", &self.len())
            .field("is_large", &self.is_large())
            .finish_non_exhaustive()
    }
}

impl<'l, R: Region, C: Clock> LargeReceived<'l, R, C> {
    pub(super) fn new(large: &'l LargeQueue<'l, R, C>, received: Received<'l, R, C>) -> Self {
        let side = received.attribute(ATTRIBUTE).map(|_| {
            let pointer = Pointer::decode(received.body());
            let file = match &pointer {
                Some(pointer) => large.dir.read(pointer.name),
                None => Err(Error::SideDamaged {
                    problem: "the message does not say where it is",
                }),
            };
            Side { pointer, file }
        });
        Self {
            large,
            received,
            side,
        }
    }

    /// Bytes of the body; 0 if a damaged message does not tell.
    #[allow(clippy::len_without_is_empty)] // no message is empty
    pub fn len(&self) -> u64 {
        match &self.side {
            None => self.received.body().len() as u64,
            Some(side) => side.pointer.map_or(0, |pointer| pointer.len),
        }
    }

    /// Whether the body is in the side store.
    pub fn is_large(&self) -> bool {
        self.side.is_some()
    }

    /// The body in place, if it is in the queue.
    pub fn body(&self) -> Option<&[u8]> {
        match &self.side {
            None => Some(self.received.body()),
            Some(_) => None,
        }
    }

    /// Reads the body from its beginning, as a stream. There may be several readers at once.
    ///
    /// # Errors
    ///
    /// [`Error::SideMissing`]: there is no such file. [`Error::SideDamaged`]: the message does not
    /// name one, or its length is another. [`Error::SideStore`]: it could not be opened.
    pub fn reader(&self) -> Result<LargeReader<'_>, Error> {
        let Some(side) = &self.side else {
            return Ok(LargeReader {
                source: Source::Queue(self.received.body()),
            });
        };
        let (file, pointer) = match (&side.file, side.pointer) {
            (Ok(file), Some(pointer)) => (file, pointer),
            (Err(error), _) => return Err(error.clone()),
            (Ok(_), None) => return Err(Error::SideMissing), // a file has a name
        };
        if file.len != pointer.len {
            return Err(DAMAGED_LENGTH);
        }
        Ok(LargeReader {
            source: Source::Side {
                file,
                at: 0,
                hash: Box::new(hasher(pointer.name)),
                pointer,
            },
        })
    }

    /// The whole body, if it has at most `max` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`], and those of [`reader`](LargeReceived::reader) and of reading.
    pub fn read_to_vec(&self, max: usize) -> Result<Vec<u8>, Error> {
        let mut reader = self.reader()?;
        let len = self.len() as usize; // of a file, so at most 64 bits
        if len > max {
            return Err(Error::BufferTooSmall {
                needed: len,
                len: max,
            });
        }
        let mut body = Vec::with_capacity(len);
        match reader.read_to_end(&mut body) {
            Ok(_) => Ok(body),
            Err(error) => Err(typed(&error)),
        }
    }

    /// The sender's attributes, read in place.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        let all = self.received.attributes().iter();
        all.filter(|(name, _)| *name != ATTRIBUTE)
    }

    /// The value of the sender's attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        if name == ATTRIBUTE {
            return None;
        }
        self.received.attribute(name)
    }

    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.received.id()
    }

    /// How often the message has been received, this time included; stops at 262 143.
    pub fn receive_count(&self) -> u32 {
        self.received.receive_count()
    }

    /// When its sending began, ms of the region's time.
    pub fn sent_ms(&self) -> u64 {
        self.received.sent_ms()
    }

    /// When it was received, ms of the region's time.
    pub fn received_ms(&self) -> u64 {
        self.received.received_ms()
    }

    /// When it was received for the first time: see [`Received::first_received_ms`].
    pub fn first_received_ms(&self) -> u64 {
        self.received.first_received_ms()
    }

    /// What deletes, extends or releases this receive from elsewhere.
    pub fn receipt(&self) -> Receipt {
        self.received.receipt()
    }

    /// Deletes the message, and then its body. If it is gone already, that is `Ok`.
    ///
    /// # Errors
    ///
    /// Those of [`Received::delete`]; [`Error::SideStore`] and [`Error::NotDurable`]: the message
    /// is deleted, and its body left to the collector.
    ///
    /// # Progress
    ///
    /// A short message: as [`Received::delete`]. A large one waits for the file system, and in a
    /// queue with a journal for the disk.
    pub fn delete(self) -> Result<(), Error> {
        let Some(side) = &self.side else {
            return self.received.delete();
        };
        self.large.check()?;
        let mut deleted = Deleted::new();
        let name = side.pointer.map(|pointer| pointer.name);
        let _ = deleted.push((name, self.received.delete_telling())); // one of ten
        self.large.finish(deleted).pop().unwrap_or(Ok(()))
    }

    /// Makes the message visible at once; its body stays.
    ///
    /// # Errors
    ///
    /// Those of [`Received::release`].
    pub fn release(self) -> Result<(), Error> {
        self.received.release()
    }

    /// Sets a new visibility timeout, counted from now: see [`Received::extend`].
    ///
    /// # Errors
    ///
    /// Those of [`Received::extend`].
    pub fn extend(&mut self, visibility: Duration) -> Result<(), Error> {
        self.received.extend(visibility)
    }

    /// Ends the reading and gives the receipt instead: see [`Received::detach`].
    pub fn detach(self) -> Receipt {
        self.received.detach()
    }
}

/// The body of a message as a stream.
///
/// Of a large one length and checksum are verified on the way: the last bytes are given out only if
/// the whole is what was sent, else the error is one of `InvalidData` around an
/// [`Error::SideDamaged`].
pub struct LargeReader<'m> {
    source: Source<'m>,
}

enum Source<'m> {
    Queue(&'m [u8]),
    Side {
        file: &'m SideFile,
        pointer: Pointer,
        at: u64,
        hash: Box<Xxh3Pieces>,
    },
}

impl fmt::Debug for LargeReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeReader").finish_non_exhaustive()
    }
}

const DAMAGED_LENGTH: Error = Error::SideDamaged {
    problem: "its file has another length",
};
const DAMAGED_SUM: Error = Error::SideDamaged {
    problem: "its checksum is another",
};

fn damaged(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What a reader said, as one of our errors.
fn typed(error: &io::Error) -> Error {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref());
    ours.cloned().unwrap_or(Error::SideStore {
        doing: "reading a body",
        errno: error.raw_os_error().unwrap_or(0),
    })
}

impl Read for LargeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Queue(bytes) => bytes.read(buffer),
            Source::Side {
                file,
                pointer,
                at,
                hash,
            } => {
                let left = pointer.len.saturating_sub(*at);
                let wanted = left.min(buffer.len() as u64) as usize;
                if wanted == 0 {
                    return Ok(0);
                }
                let got = file.read_at(&mut buffer[..wanted], *at)?;
                if got == 0 {
                    return Err(damaged(DAMAGED_LENGTH)); // cut short since it was opened
                }
                hash.add(&buffer[..got]);
                if got as u64 == left && hash.sum() != pointer.sum {
                    // The hash has the last bytes now, so it fails for whoever asks again.
                    return Err(damaged(DAMAGED_SUM));
                }
                *at += got as u64;
                Ok(got)
            }
        }
    }
}

/// Up to ten received messages; a slice of [`LargeReceived`], and an iterator by value.
#[must_use = "unsettled messages come back when their visibility timeout runs out"]
pub struct LargeBatch<'l, R: Region, C: Clock> {
    large: &'l LargeQueue<'l, R, C>,
    messages: heapless::Vec<LargeReceived<'l, R, C>, 10>,
}

impl<R: Region, C: Clock> fmt::Debug for LargeBatch<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.messages.iter()).finish()
    }
}

impl<'l, R: Region, C: Clock> LargeBatch<'l, R, C> {
    pub(super) fn new(large: &'l LargeQueue<'l, R, C>, batch: Batch<'l, R, C>) -> Self {
        let resolve = |received| LargeReceived::new(large, received);
        Self {
            large,
            messages: batch.into_iter().map(resolve).collect(),
        }
    }

    /// Deletes all of them, and their bodies; they wait for the disk together. See
    /// [`LargeReceived::delete`].
    pub fn delete(self) -> Outcomes<()> {
        let usable = self.large.check();
        let one = |message: LargeReceived<'_, R, C>| {
            let pointer = message.side.as_ref().and_then(|side| side.pointer);
            let outcome = match &usable {
                Ok(()) => message.received.delete_telling(),
                Err(error) => Err(error.clone()),
            };
            (pointer.map(|pointer| pointer.name), outcome)
        };
        let deleted = self.messages.into_iter().map(one).collect();
        self.large.finish(deleted)
    }

    /// Makes all of them visible at once; see [`LargeReceived::release`].
    pub fn release(self) -> Outcomes<()> {
        let messages = self.messages.into_iter();
        messages.map(LargeReceived::release).collect()
    }
}

impl<'l, R: Region, C: Clock> Deref for LargeBatch<'l, R, C> {
    type Target = [LargeReceived<'l, R, C>];
    fn deref(&self) -> &Self::Target {
        &self.messages
    }
}

impl<R: Region, C: Clock> DerefMut for LargeBatch<'_, R, C> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.messages
    }
}

impl<'l, R: Region, C: Clock> IntoIterator for LargeBatch<'l, R, C> {
    type Item = LargeReceived<'l, R, C>;
    type IntoIter = <heapless::Vec<LargeReceived<'l, R, C>, 10> as IntoIterator>::IntoIter;
    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter()
    }
}
