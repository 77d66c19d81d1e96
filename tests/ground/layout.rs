//! Where everything lies in a region's file, as docs/file-format.md has it. Written apart from the
//! library on purpose: where the two disagree, one of them is wrong.

/// Bytes of the header page that mean something.
pub const HEADER_BYTES: usize = 144;
/// Where the part of the header that is written once ends; its checksum is the last word.
pub const BIRTH_BYTES: usize = 48;
/// The boot's name: two words.
pub const BOOT: usize = 48;
/// What is added to the machine's clock.
pub const TIME_BASE: usize = 64;
/// The greatest index ever attached.
pub const ENTRIES_HIGH: usize = 72;
/// The check over the boot's name and the time base.
pub const TIME_CHECK: usize = 80;
/// Five words of zero.
pub const RESERVED: usize = 88;
/// What the section holds.
pub const SECTION_KIND: usize = 128;
/// Whether the section was ever written.
pub const SECTION_DIRTY: usize = 136;
/// The registry: 1024 entries of two words.
pub const REGISTRY: usize = 4096;
/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 16;
/// Entries.
pub const ENTRIES: usize = 1024;
/// The section.
pub const SECTION: usize = 20_480;
/// The queue's head: configuration, then the lines that change.
pub const CONFIG: usize = SECTION;
/// The configuration's words that its check covers, and the check after them.
pub const CONFIG_BYTES: usize = 56;
/// Where, in the configuration, it says whether bodies carry checksums.
pub const FLAGS: usize = CONFIG + 32;
/// Where, in the configuration, the queue's name stands.
pub const QUEUE_NONCE: usize = CONFIG + 40;
/// The senders' line.
pub const SEND: usize = SECTION + 128;
/// The receivers' line.
pub const RECEIVE: usize = SECTION + 256;
/// The waiters' line.
pub const EVENT: usize = SECTION + 384;
/// The line that is seldom written.
pub const SELDOM: usize = SECTION + 512;
/// In it: the lower bound of all due times.
pub const ROOT_DUE: usize = SELDOM + 16;
/// The settings that may be changed.
pub const POLICY: usize = SECTION + 640;
/// How many they are.
pub const SETTINGS: usize = 8;
/// The counters.
pub const COUNTERS: usize = SECTION + 768;
/// How many they are.
pub const COUNTERS_LEN: usize = 8;
/// The lines of latencies.
pub const LATENCY: usize = SECTION + 896;
/// How many words of them are used.
pub const LATENCY_LEN: usize = 24;
/// The blocks.
pub const BLOCKS: usize = SECTION + 1152;
/// Bytes of a block.
pub const BLOCK_BYTES: usize = 64;
/// A queue with more blocks than this has maps.
pub const BLOCKS_LINEAR: usize = 8;
/// Bytes of a slot's note.
pub const NOTE_BYTES: usize = 32;
/// Bytes of a slot's head.
pub const SLOT_HEAD_BYTES: usize = 16;

/// The parts of a queue whose place depends on its size, as offsets in the file.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub slot_bytes: usize,
    pub slots: usize,
    pub blocks: usize,
    /// Words of a map, one for 64 blocks; 0 in a queue of few blocks.
    pub groups: usize,
    /// The map of blocks with free slots, that of blocks with ready ones, the groups' bounds.
    pub maps: [usize; 3],
    /// State words.
    pub words: usize,
    /// Notes.
    pub notes: usize,
    /// Slots.
    pub bodies: usize,
    /// The file's length.
    pub len: usize,
}

/// The word at `at`.
pub fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes: [u8; 8] = bytes[at..at + 8].try_into().expect("8 bytes");
    u64::from_le_bytes(bytes)
}

/// Sets the word at `at`.
pub fn set_word(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

impl Layout {
    /// The layout that a sound region's configuration tells.
    pub fn of(bytes: &[u8]) -> Self {
        let (slot_bytes, slots) = (
            word(bytes, CONFIG) as usize,
            word(bytes, CONFIG + 8) as usize,
        );
        let align = |offset: usize| (offset - SECTION).next_multiple_of(128) + SECTION;
        let blocks = slots.div_ceil(64);
        let groups = if blocks > BLOCKS_LINEAR {
            blocks.div_ceil(64)
        } else {
            0
        };
        let free = align(BLOCKS + blocks * BLOCK_BYTES);
        let ready = align(free + groups * 8);
        let dues = align(ready + groups * 8);
        let words = align(dues + groups * 8);
        let notes = align(words + slots * 8);
        let bodies = align(notes + slots * NOTE_BYTES);
        let layout = Self {
            slot_bytes,
            slots,
            blocks,
            groups,
            maps: [free, ready, dues],
            words,
            notes,
            bodies,
            len: bytes.len(),
        };
        assert!(
            bodies + slots * slot_bytes <= bytes.len(),
            "the slots lie inside the file"
        );
        layout
    }

    /// The state word of a slot.
    pub fn word(&self, slot: usize) -> usize {
        self.words + slot * 8
    }

    /// A word of a slot's note: 0 stamp, 1 names of former holders, 2 first receive, 3 tally.
    pub fn note(&self, slot: usize, word: usize) -> usize {
        self.notes + slot * NOTE_BYTES + word * 8
    }

    /// A map's word, or a group's bound: 0 free, 1 ready, 2 due.
    pub fn map(&self, map: usize, group: usize) -> usize {
        self.maps[map] + group * 8
    }

    /// A slot.
    pub fn slot(&self, slot: usize) -> usize {
        self.bodies + slot * self.slot_bytes
    }

    /// A word of a block: 0 free, 1 ready, 2 due, 3 dirty, 4 unsynced, 5 copying, then padding.
    pub fn block(&self, block: usize, word: usize) -> usize {
        BLOCKS + block * BLOCK_BYTES + word * 8
    }

    /// How many slots a body of `len` bytes takes.
    pub fn run(&self, len: usize) -> usize {
        (len + SLOT_HEAD_BYTES).div_ceil(self.slot_bytes)
    }
}
