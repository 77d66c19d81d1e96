//! Frames: what one write to the journal consists of. `docs/file-format.md` draws them.

use crate::pod::{Pod, Zeroable, bytes_of, pod_read_unaligned};
use crate::region::arena::stamp_generation;
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
pub struct Record<'f> {
    /// The slot.
    pub slot: u32,
    /// Its message.
    pub message: Option<Message<'f>>,
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
    /// Its body, and the attributes after it.
    pub body: &'f [u8],
}

/// The records of a whole frame, in the order in which they were written.
pub struct Records<'f> {
    left: &'f [u8],
}

impl<'f> Records<'f> {
    pub fn of(frame: &'f [u8]) -> Self {
        Self {
            left: &frame[HEAD_BYTES..],
        }
    }
}

impl<'f> Iterator for Records<'f> {
    type Item = Record<'f>;

    fn next(&mut self) -> Option<Record<'f>> {
        let number = |at: usize| {
            let bytes = self.left.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let first = number(0)?;
        let (slot, len) = ((first & !MORE) as u32, (first >> 32) as usize);
        if len == 0 {
            self.left = &self.left[NONE_BYTES..];
            return Some(Record {
                slot,
                message: None,
            });
        }
        let (stamp, third) = (number(8)?, number(16)?);
        let (mut at, mut more) = (SOME_BYTES, [0; 2]);
        if first & MORE != 0 {
            more = [number(at)?, number(at + 8)?];
            at += MORE_BYTES;
        }
        let body = self.left.get(at..at.checked_add(len)?)?;
        self.left = self.left.get(at + len.next_multiple_of(8)..)?;
        Some(Record {
            slot,
            message: Some(Message {
                stamp,
                generation: third >> 32,
                checksum: third as u32,
                attributes: more[0],
                delay_ms: more[1],
                body,
            }),
        })
    }
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
}

impl Frame {
    /// Empties it; `swept` stays.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&ZEROS[..HEAD_BYTES]);
        self.count = 0;
        self.taken.clear();
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

    /// Says which message a slot has, which stores `body`; `false` if there is no room.
    pub fn push(&mut self, slot: u32, look: &Look, body: &[u8], max: usize) -> bool {
        if !self.has_room(record_bytes(body.len()), max) {
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
        for number in &numbers[..if more { 5 } else { 3 }] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes.extend_from_slice(body);
        self.pad(8);
        self.count += 1;
        true
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
