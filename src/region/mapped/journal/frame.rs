//! Frames: what one write to the journal consists of. `docs/file-format.md` draws them.

use crate::pod::{Pod, Zeroable, bytes_of, pod_read_unaligned};
use crate::region::arena::stamp_generation;
use crate::region::fifo::ids::IdKey;
use crate::region::fifo::kept::{KeptHead, KeptId, KeptOrder};
use crate::region::fifo::layout::ID_WORDS;
use crate::region::marks::Look;
use crate::region::word::Phase;

/// Frames begin at multiples of this, and are padded to it.
pub const ALIGN: usize = 4096;
/// "RINGFRAM" in a frame's first eight bytes.
const MAGIC: u64 = u64::from_le_bytes(*b"RINGFRAM");
/// Positions are less than this: no journal is ever written that long, and none overflows.
pub const POSITION_MAX: u64 = 1 << 62;
/// Bytes of a record without a message.
const NONE_BYTES: usize = 8;
/// Bytes of a record with a message, without what it stores.
const SOME_BYTES: usize = 24;
/// Bytes more if it has attributes or a delay.
const MORE_BYTES: usize = 16;
/// Says so, in the number of the slot.
const MORE: u64 = 1 << 31;
/// Bytes after a frame's head, in the journal of a FIFO queue.
pub const ONCE_BYTES: usize = 16;
/// Bytes more of a message in a FIFO queue, without its id.
const ORDER_BYTES: usize = 32;
/// Bytes more of its id, without the words that count.
const WITH_ID_BYTES: usize = 16;
/// Bytes of an id by itself, without the words that count.
const ID_BYTES: usize = 48;
/// Says that a record, or what follows a message's number and group, is an id.
const ID: u64 = 1 << 63;
/// Bytes of the longest record of an id by itself; a message's has not more of one.
pub const ID_BYTES_MAX: usize = ID_BYTES + 8 * ID_WORDS;
/// So much longer the record of a message in a FIFO queue may be.
pub const ORDERED_BYTES_MAX: usize = ORDER_BYTES + WITH_ID_BYTES + 8 * ID_WORDS;

/// The head of a frame.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct FrameHead {
    magic: u64,
    /// Bytes written to the journal before this frame.
    pub position: u64,
    /// Bytes of the frame with its head, without its padding.
    pub len: u32,
    /// Records.
    pub count: u32,
    /// The commit that wrote it.
    pub commit: u64,
    /// The latest region time seen, ms.
    pub time_ms: u64,
    /// Visits of the sweep that are complete with this frame.
    pub swept: u64,
    reserved: u64,
    /// xxh3-64 of the frame with this field zero, seeded with the journal's seed.
    check: u64,
}

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = size_of::<FrameHead>();
const CHECK_OFFSET: usize = core::mem::offset_of!(FrameHead, check);
const _: () = assert!(HEAD_BYTES == 64 && CHECK_OFFSET == 56);

impl FrameHead {
    /// The head at the start of `bytes`, if it can be one of a frame at `offset` of a ring.
    pub fn read(bytes: &[u8], offset: u64, ring: u64, frame_max: usize) -> Option<Self> {
        let head: Self = pod_read_unaligned(bytes.get(..HEAD_BYTES)?);
        let len = head.len as usize;
        let plausible = head.magic == MAGIC
            && head.reserved == 0
            && head.position < POSITION_MAX
            && head.position % ring == offset
            && (HEAD_BYTES..=frame_max).contains(&len)
            && len as u64 <= ring - offset;
        plausible.then_some(head)
    }

    /// Bytes that the frame takes in the ring.
    pub const fn padded_len(&self) -> u64 {
        (self.len as u64).next_multiple_of(ALIGN as u64)
    }
}

/// Bytes of the longest record for `len` stored bytes.
pub const fn record_bytes(len: usize) -> usize {
    SOME_BYTES + MORE_BYTES + len.next_multiple_of(8)
}

fn check_of(bytes: &mut [u8], seed: u64) -> u64 {
    bytes[CHECK_OFFSET..HEAD_BYTES].fill(0);
    crate::hash::xxh3_64_seeded(bytes, seed)
}

/// Whether a frame's bytes are whole. The checksum is taken out of them.
pub fn is_whole(bytes: &mut [u8], seed: u64) -> bool {
    let head: FrameHead = pod_read_unaligned(&bytes[..HEAD_BYTES]);
    check_of(bytes, seed) == head.check
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub enum Record<'f> {
    /// Of a slot: its message.
    Slot(u32, Option<Message<'f>>),
    /// Of an id whose message has gone.
    Id(KeptId),
}

/// A message in a record.
#[derive(Debug, Clone, Copy)]
pub struct Message<'f> {
    /// `{ generation:18, sent_ms:44 }`
    pub stamp: u64,
    /// The generation of its word: counts its receives.
    pub generation: u64,
    /// The checksum of its body.
    pub checksum: u32,
    /// `{ count:32, len:32 }` of its attributes.
    pub attributes: u64,
    /// Its delay, if it has not been received, ms.
    pub delay_ms: u64,
    /// Its place in a FIFO queue.
    pub order: Option<KeptOrder>,
    /// Its body, and the attributes after it.
    pub body: &'f [u8],
}

/// The records of a whole frame, in the order in which they were written.
pub struct Records<'f> {
    left: &'f [u8],
    /// Of a FIFO queue.
    ordered: bool,
}

impl<'f> Records<'f> {
    pub fn of(frame: &'f [u8], ordered: bool) -> Self {
        let once = if ordered { ONCE_BYTES } else { 0 };
        Self {
            left: frame.get(HEAD_BYTES + once..).unwrap_or_default(),
            ordered,
        }
    }

    fn take(&mut self, bytes: usize) -> Option<&'f [u8]> {
        let (taken, left) = self.left.split_at_checked(bytes)?;
        self.left = left;
        Some(taken)
    }

    fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let taken = self.take(8 * N)?;
        let mut numbers = [0; N];
        for (number, eight) in numbers.iter_mut().zip(taken.as_chunks().0) {
            *number = u64::from_le_bytes(*eight);
        }
        Some(numbers)
    }

    /// What follows of an id whose first number and message are known.
    fn id_of(&mut self, first: u64, [slot, stamp, number]: [u64; 3]) -> Option<KeptId> {
        let [until_ms, hash] = self.numbers()?;
        let used = ((first & !ID) >> 32) as usize;
        let mut words = [0; ID_WORDS];
        for word in words.get_mut(..used)? {
            [*word] = self.numbers()?;
        }
        Some(KeptId {
            entry: first as u32,
            slot: slot as u32,
            stamp,
            number,
            until_ms,
            key: IdKey { words, hash },
        })
    }

    fn order(&mut self, slot: u32, stamp: u64) -> Option<KeptOrder> {
        let [number, high, low, first] = self.numbers()?;
        let id = match first & ID {
            0 => None,
            _ => Some(self.id_of(first, [slot.into(), stamp, number])?),
        };
        Some(KeptOrder {
            number,
            group: [high, low],
            id,
        })
    }
}

impl<'f> Iterator for Records<'f> {
    type Item = Record<'f>;

    fn next(&mut self) -> Option<Record<'f>> {
        let [first] = self.numbers()?;
        if self.ordered && first & ID != 0 {
            let message = self.numbers()?;
            return self.id_of(first, message).map(Record::Id);
        }
        let (slot, len) = ((first & !MORE) as u32, (first >> 32) as usize);
        if len == 0 {
            return Some(Record::Slot(slot, None));
        }
        let [stamp, third] = self.numbers()?;
        let [attributes, delay_ms] = match first & MORE {
            0 => [0; 2],
            _ => self.numbers()?,
        };
        let order = match self.ordered {
            true => Some(self.order(slot, stamp)?),
            false => None,
        };
        let body = self.take(len.checked_next_multiple_of(8)?)?.get(..len)?;
        let message = Message {
            stamp,
            generation: third >> 32,
            checksum: third as u32,
            attributes,
            delay_ms,
            order,
            body,
        };
        Some(Record::Slot(slot, Some(message)))
    }
}

/// What a whole frame of a FIFO queue's journal says once.
pub fn head_of(frame: &[u8]) -> KeptHead {
    let number = |at: usize| {
        let eight = frame.get(HEAD_BYTES + at..).and_then(<[u8]>::first_chunk);
        eight.map_or(0, |eight| u64::from_le_bytes(*eight))
    };
    KeptHead {
        sequence: number(0),
        forgotten: number(8),
    }
}

/// The first number of an id: `{ id:1, words:31, entry:32 }`
fn first_of(id: &KeptId) -> u64 {
    ID | (id.key.used() as u64) << 32 | u64::from(id.entry)
}

static ZEROS: [u8; ALIGN] = [0; ALIGN];

/// A frame that is being made.
#[derive(Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
    count: u32,
    /// See [`FrameHead::swept`].
    pub swept: u64,
    taken: Vec<(u32, u64)>,
    taken_ids: Vec<(u32, u64)>,
    /// Of a FIFO queue.
    ordered: bool,
}

impl Frame {
    /// For the journal of a standard queue, or of a FIFO queue.
    pub fn new(ordered: bool) -> Self {
        Self {
            ordered,
            ..Self::default()
        }
    }

    /// Empties it; `swept` stays.
    pub fn clear(&mut self) {
        let once = if self.ordered { ONCE_BYTES } else { 0 };
        self.bytes.clear();
        self.bytes.extend_from_slice(&ZEROS[..HEAD_BYTES + once]);
        self.count = 0;
        self.taken.clear();
        self.taken_ids.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes so far, without the padding.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn padded_len(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGN)
    }

    /// Notes marks that were taken for this frame.
    pub fn take(&mut self, block: usize, slots: u64) {
        self.taken.push((block as u32, slots));
    }

    /// Of the marks taken last, only those in `done` are in this frame.
    pub fn part(&mut self, block: usize, done: u64) {
        if let Some(last) = self.taken.last_mut().filter(|last| last.0 == block as u32) {
            last.1 &= done;
        }
    }

    /// The marks that were taken for it.
    pub fn taken(&self) -> &[(u32, u64)] {
        &self.taken
    }

    /// Notes marks of ids that were taken for this frame.
    pub fn take_ids(&mut self, block: usize, ids: u64) {
        if ids != 0 {
            self.taken_ids.push((block as u32, ids));
        }
    }

    /// Those.
    pub fn taken_ids(&self) -> &[(u32, u64)] {
        &self.taken_ids
    }

    fn has_room(&self, bytes: usize, max: usize) -> bool {
        self.bytes.len() + bytes <= max
    }

    /// Says that a slot has no message; `false` if there is no room.
    pub fn push_none(&mut self, slot: u32, max: usize) -> bool {
        if !self.has_room(NONE_BYTES, max) {
            return false;
        }
        self.bytes.extend_from_slice(&u64::from(slot).to_le_bytes());
        self.count += 1;
        true
    }

    /// Says what counts of an id whose message has gone; `false` if there is no room.
    pub fn push_id(&mut self, id: &KeptId, max: usize) -> bool {
        if !self.has_room(ID_BYTES_MAX, max) {
            return false;
        }
        let numbers = [
            first_of(id),
            u64::from(id.slot),
            id.stamp,
            id.number,
            id.until_ms,
            id.key.hash,
        ];
        self.push_numbers(&numbers);
        self.push_numbers(&id.key.words[..id.key.used()]);
        self.count += 1;
        true
    }

    fn push_order(&mut self, order: &KeptOrder) {
        let [high, low] = order.group;
        let first = order.id.as_ref().map_or(0, first_of);
        self.push_numbers(&[order.number, high, low, first]);
        if let Some(id) = &order.id {
            self.push_numbers(&[id.until_ms, id.key.hash]);
            self.push_numbers(&id.key.words[..id.key.used()]);
        }
    }

    fn push_numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Says which message a slot has, which stores `body`, and its place in order in a FIFO queue;
    /// `false` if there is no room.
    pub fn push(
        &mut self,
        slot: u32,
        (look, order): (&Look, Option<&KeptOrder>),
        body: &[u8],
        max: usize,
    ) -> bool {
        let more = if self.ordered { ORDERED_BYTES_MAX } else { 0 };
        if !self.has_room(record_bytes(body.len()) + more, max) {
            return false;
        }
        let Look { word, stamp, .. } = *look;
        // A message that nobody has received and nobody holds waits for its delay.
        let sent = stamp_generation(stamp);
        let delayed = word.phase() == Phase::Held && word.generation() == sent;
        let delay_ms = if delayed { word.due_ms() } else { 0 };
        let more = look.attributes != 0 || delay_ms != 0;
        let flag = if more { MORE } else { 0 };
        let numbers = [
            (u64::from(slot) & !MORE) | flag | (body.len() as u64) << 32,
            stamp,
            (look.size >> 32) | word.generation() << 32,
            look.attributes,
            delay_ms,
        ];
        self.push_numbers(&numbers[..if more { 5 } else { 3 }]);
        if let Some(order) = order {
            self.push_order(order);
        }
        self.bytes.extend_from_slice(body);
        self.pad(8);
        self.count += 1;
        true
    }

    /// Writes what a frame of a FIFO queue's journal says once.
    pub fn say_once(&mut self, head: KeptHead) {
        let numbers = [head.sequence, head.forgotten].map(u64::to_le_bytes);
        let once = self.bytes[HEAD_BYTES..].as_chunks_mut().0.iter_mut();
        once.zip(numbers).for_each(|(at, number)| *at = number);
    }

    /// The bytes to be written, padded.
    pub fn seal(&mut self, position: u64, commit: u64, time_ms: u64, seed: u64) -> &[u8] {
        let len = self.bytes.len();
        let mut head = FrameHead {
            magic: MAGIC,
            position,
            len: len as u32,
            count: self.count,
            commit,
            time_ms,
            swept: self.swept,
            reserved: 0,
            check: 0,
        };
        self.bytes[..HEAD_BYTES].copy_from_slice(bytes_of(&head));
        head.check = check_of(&mut self.bytes, seed);
        self.bytes[..HEAD_BYTES].copy_from_slice(bytes_of(&head));
        self.pad(ALIGN);
        &self.bytes
    }

    fn pad(&mut self, multiple: usize) {
        let padding = self.bytes.len().next_multiple_of(multiple) - self.bytes.len();
        self.bytes.extend_from_slice(&ZEROS[..padding]);
    }
}
