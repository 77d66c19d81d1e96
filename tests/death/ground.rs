//! The ground of a round: a region file as it is before anybody comes, made once for an operation
//! and copied for each death; and the bytes of a region as `docs/file-format.md` tells them.

use super::board::{Board, Time, state};
use super::common::body;
use ringmain::{Durability, Linked, Mapped, Queue, QueueOptions, Received, Region};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A queue, and where there is one beside it, its queue of dead letters.
pub type Jobs = Queue<Home, Time>;
pub type Held<'q> = Received<'q, Home, Time>;
type Home = Linked<Arc<Mapped>, Arc<Mapped>>;

/// Bytes of the region: three blocks, of which the last has a few slots.
pub const REGION_BYTES: u64 = 37 << 10;
/// Bytes of a wide region: ten blocks, so that it has maps, of which the last lacks some slots.
const WIDE_BYTES: u64 = 84 << 10;
pub const VISIBILITY: Duration = Duration::from_secs(30);
pub const VISIBILITY_MS: u64 = 30_000;
pub const RETENTION_MS: u64 = 3_600_000;
/// A body of one slot.
pub const ONE: usize = 24;
/// A body of five slots.
pub const RUN: usize = 288;
/// A body of 65 slots: whole blocks.
pub const BLOCKS: usize = 4_100;

pub fn options() -> QueueOptions {
    QueueOptions::new()
        .typical_body(32)
        .visibility(VISIBILITY)
        .retention(Duration::from_millis(RETENTION_MS))
}

/// Receives of a message before it is a dead letter, where there is a queue for them.
pub const RECEIVES_MAX: u32 = 2;

/// With a journal, and an interval whose end nobody sees: only who asks for it commits. Over a
/// restart region time goes on from the wall clock, which is far ahead of the board's.
pub fn journaled() -> QueueOptions {
    options()
        .retention(Duration::from_secs(14 * 86_400))
        .durability(Durability::Interval(Duration::from_secs(3600)))
}

/// What there is before an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A queue.
    Queue,
    /// A queue of so many blocks that it has maps.
    Wide,
    /// A queue that has a queue of dead letters.
    Dead,
    /// The same, in the midst of a move whose mover has died: nobody links the two before the
    /// traced one does.
    MidMove,
    /// A queue with a journal.
    Journaled,
    /// A region without a queue.
    Vacant,
    /// No file.
    Nothing,
}

impl Kind {
    pub fn has_queue(self) -> bool {
        !matches!(self, Kind::Vacant | Kind::Nothing)
    }

    /// Whether there is a queue of dead letters.
    fn has_dead(self) -> bool {
        matches!(self, Kind::Dead | Kind::MidMove)
    }
}

/// Where the journal of a region is.
pub fn journal_of(path: &Path) -> PathBuf {
    path.with_file_name("region.journal")
}

/// Where the region of its queue of dead letters is.
pub fn dead_of(path: &Path) -> PathBuf {
    path.with_file_name("dead")
}

pub fn open_region(path: &Path) -> Arc<Mapped> {
    Arc::new(Mapped::open(path).expect("the region opens"))
}

pub fn open(board: &'static Board, path: &Path) -> Jobs {
    open_both(board, path).0
}

/// A queue that knows of no other.
pub type Single = Queue<Arc<Mapped>, Time>;

/// The queue, and its queue of dead letters, which must be there; not linked.
pub fn open_apart(board: &'static Board, path: &Path) -> (Single, Single) {
    let dead = dead_of(path);
    let open = |path| Queue::open_with(open_region(path), Time(board)).expect("the queue opens");
    (open(path), open(&dead))
}

/// The queue, and its queue of dead letters, if there is one. Both handles of that are one
/// attachment.
pub fn open_both(board: &'static Board, path: &Path) -> (Jobs, Option<Jobs>) {
    let queue = Queue::open_with(open_region(path), Time(board)).expect("the queue opens");
    let region = dead_of(path).exists().then(|| open_region(&dead_of(path)));
    let dead = region.map(|region| {
        let open = || Queue::open_with(Arc::clone(&region), Time(board)).expect("it opens");
        (open(), open())
    });
    let (to, dead) = dead.unzip();
    (
        queue.with_dead_letters(to).expect("linked"),
        dead.map(unlinked),
    )
}

/// The handle of a queue whose dead letters go nowhere.
pub fn unlinked(queue: Queue<Arc<Mapped>, Time>) -> Jobs {
    let none = None::<Queue<Arc<Mapped>, Time>>;
    queue.with_dead_letters(none).expect("usable")
}

/// Opens or makes the region and the queue, as survivors of an unfinished creation do.
pub fn open_or_create(board: &'static Board, path: &Path) -> Result<Jobs, ringmain::Error> {
    let region = Arc::new(Mapped::open_or_create(path, REGION_BYTES)?);
    Queue::open_or_create_with(region, options(), Time(board)).map(unlinked)
}

/// Sends a message and keeps the ledger.
pub fn send<R: Region>(
    board: &Board,
    queue: &Queue<R, Time>,
    seed: u64,
    len: usize,
) -> Result<(), ringmain::Error> {
    let entry = board.known(seed);
    entry.len.store(len as u32, SeqCst);
    entry.add(state::SENDING);
    let sent = queue.send(&body(seed, len)).map(|_| ());
    entry.add(if sent.is_ok() {
        state::SENT
    } else {
        state::REFUSED
    });
    sent
}

/// A ground that can be laid again and again.
pub struct Ground {
    kind: Kind,
    bytes: Vec<u8>,
    journal: Vec<u8>,
    dead: Vec<u8>,
    /// Seed, state and length of each message that it holds.
    messages: Vec<(u64, u32, u32)>,
    now_ms: u64,
}

impl Ground {
    /// Makes one: `prepare` works on the queue, and see [`Prepare`].
    pub fn new(board: &'static Board, path: &Path, kind: Kind, prepare: Prepare) -> Self {
        board.clear();
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(journal_of(path));
        let _ = std::fs::remove_file(dead_of(path));
        let mut bytes = Vec::new();
        let mut dead = Vec::new();
        if kind != Kind::Nothing {
            let wide = kind == Kind::Wide;
            let bytes_of_it = if wide { WIDE_BYTES } else { REGION_BYTES };
            let region = Arc::new(Mapped::create(path, bytes_of_it).expect("a region"));
            if kind.has_queue() {
                let journaled = kind == Kind::Journaled;
                let options = match kind {
                    Kind::Journaled => self::journaled(),
                    Kind::Dead | Kind::MidMove => options().max_receives(RECEIVES_MAX),
                    _ => options(),
                };
                let made = Queue::create_with(region, options, Time(board));
                drop(made.expect("a queue"));
                if kind.has_dead() {
                    let region = Mapped::create(dead_of(path), REGION_BYTES).expect("a region");
                    let made = Queue::create_with(region, self::options(), Time(board));
                    drop(made.expect("a queue"));
                }
                let queue = open(board, path);
                queue.tend().expect("tended");
                let maker = Maker { board, path, queue };
                bytes = prepare(&maker).map_or(Vec::new(), |image| image.0);
                if kind.has_dead() {
                    dead = Image::of(&dead_of(path)).0;
                }
                if journaled {
                    maker.queue.sync().expect("the disk");
                }
            } else {
                drop(region);
            }
            if bytes.is_empty() {
                bytes = std::fs::read(path).expect("the region");
            }
            std::fs::remove_file(path).expect("removed");
        }
        let journal = std::fs::read(journal_of(path)).unwrap_or_default();
        let _ = std::fs::remove_file(journal_of(path));
        let _ = std::fs::remove_file(dead_of(path));
        let told = |(seed, entry): (u64, &super::board::Entry)| {
            (seed, entry.state.load(SeqCst), entry.len.load(SeqCst))
        };
        Self {
            kind,
            bytes,
            journal,
            dead,
            messages: board.named().map(told).collect(),
            now_ms: board.now_ms(),
        }
    }

    /// Lays it at `path`: file, ledger and time.
    pub fn lay(&self, board: &Board, path: &Path) {
        board.clear();
        board.set_ms(self.now_ms);
        for &(seed, state, len) in &self.messages {
            board.known(seed).state.store(state, SeqCst);
            board.known(seed).len.store(len, SeqCst);
        }
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(journal_of(path));
        if self.kind != Kind::Nothing {
            std::fs::write(path, &self.bytes).expect("room in shared memory");
        }
        let _ = std::fs::remove_file(dead_of(path));
        if self.kind.has_dead() {
            std::fs::write(dead_of(path), &self.dead).expect("room in shared memory");
        }
        if self.kind == Kind::Journaled {
            std::fs::write(journal_of(path), &self.journal).expect("room in shared memory");
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// Prepares a ground. What the image that it returns shows as attached and held looks dead in each
/// copy; without one, the copy is taken when all have left.
pub type Prepare = fn(&Maker<'_>) -> Option<Image>;

/// Who prepares a ground.
pub struct Maker<'p> {
    pub board: &'static Board,
    pub path: &'p Path,
    pub queue: Jobs,
}

impl Maker<'_> {
    pub fn send(&self, seed: u64, len: usize) {
        send(self.board, &self.queue, seed, len).expect("room");
    }
}

/// The bytes of a region at one moment.
pub struct Image(Vec<u8>);

const REGISTRY: usize = 4096;
pub const SECTION: usize = 20_480;
/// Where, in the section, the blocks begin.
pub const BLOCKS_AT: usize = 1152;
pub const PARTS_BEGIN_AT_MULTIPLE_OF: usize = 128;
/// Of a claimed slot's word: it is part of a move.
const MOVING: u64 = 1 << 61;
/// Of such a word: the message has gone.
const DEPARTED: u64 = 1 << 30;
/// Of a slot's two cells: reserved.
const PEEKS: u64 = 1 << 28 | 1 << 60;

impl Image {
    pub fn of(path: &Path) -> Self {
        Self(std::fs::read(path).expect("the region"))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    /// Indices of the registry that say attached.
    pub fn attached(&self) -> Vec<u32> {
        let is = |index: &u32| self.word(REGISTRY + 16 * *index as usize) & 1 != 0;
        (1..1023).filter(is).collect()
    }

    /// The index that a process has attached, if it has.
    pub fn index_of(&self, pid: i32) -> Option<u32> {
        let is = |index: &u32| self.word(REGISTRY + 16 * *index as usize + 8) == pid as u64;
        self.attached().into_iter().find(is)
    }

    /// How often sleepers were woken, ever.
    pub fn wakes(&self) -> u32 {
        self.word(SECTION + 384) as u32
    }

    /// Whether somebody says to be asleep.
    pub fn asleep(&self) -> bool {
        self.word(SECTION + 392) & 1 != 0
    }

    fn slots(&self) -> (usize, usize, usize, usize) {
        let config = |field: usize| self.word(SECTION + 8 * field) as usize;
        let (slot_bytes, slots, blocks) = (config(0), config(1), config(2));
        let groups = if blocks > 8 { blocks.div_ceil(64) } else { 0 };
        let part = |at: usize| at.next_multiple_of(PARTS_BEGIN_AT_MULTIPLE_OF);
        let maps = part(SECTION + BLOCKS_AT + 64 * blocks);
        let words = part(part(part(maps + 8 * groups) + 8 * groups) + 8 * groups);
        let notes = part(words + 8 * slots);
        let bodies = part(notes + 32 * slots);
        (words, bodies, slot_bytes, slots)
    }

    /// The messages in flight: holder's index, and seed (the first eight bytes of the body).
    pub fn held(&self) -> Vec<(u32, u64)> {
        let (words, bodies, slot_bytes, slots) = self.slots();
        let held = (0..slots).filter(|slot| self.word(words + 8 * slot) >> 62 == 3);
        held.map(|slot| {
            let owner = self.word(words + 8 * slot) >> 49 & 1023;
            (owner as u32, self.word(bodies + slot_bytes * slot + 16))
        })
        .collect()
    }

    /// Whether a word of a slot is like this, which is of the phase `phase`.
    fn has_word(&self, phase: u64, like: impl Fn(u64) -> bool) -> bool {
        let (words, _, _, slots) = self.slots();
        let mut all = (0..slots).map(|slot| self.word(words + 8 * slot));
        all.any(|word| word >> 62 == phase && like(word))
    }

    /// Whether a message waits.
    pub fn has_ready(&self) -> bool {
        self.has_word(2, |_| true)
    }

    /// Whether a message is in flight.
    pub fn has_held(&self) -> bool {
        self.has_word(3, |_| true)
    }

    /// Whether a message has come from another queue, and is not here yet.
    pub fn has_arrival(&self) -> bool {
        self.has_word(1, |word| word & (MOVING | DEPARTED) == MOVING)
    }

    /// Whether a message has gone to another queue, and is still here.
    pub fn has_departed(&self) -> bool {
        self.has_word(1, |word| word & (MOVING | DEPARTED) == MOVING | DEPARTED)
    }

    /// Cells that are reserved by one who peeks.
    pub fn reserved(&self) -> u64 {
        let (words, _, _, slots) = self.slots();
        let notes = (words + 8 * slots).next_multiple_of(PARTS_BEGIN_AT_MULTIPLE_OF);
        let cells = (0..slots).map(|slot| self.word(notes + 32 * slot + 8) & PEEKS);
        cells.map(|cells| u64::from(cells.count_ones())).sum()
    }

    /// Puts a cursor at the first slot: the senders' (1) or the receivers' (2).
    pub fn rewind(&mut self, line: usize) {
        self.0[SECTION + 128 * line..][..8].fill(0);
    }

    /// Takes the bits in `set` out of a block's word of free (0) or ready (1) bits.
    pub fn clear_bits(&mut self, block: usize, word: usize, set: u64) {
        let at = SECTION + BLOCKS_AT + 64 * block + 8 * word;
        let left = self.word(at) & !set;
        self.0[at..at + 8].copy_from_slice(&left.to_le_bytes());
    }

    /// Marks an index of the registry as free, as if its owner had left in order.
    pub fn leave(&mut self, index: usize) {
        self.0[REGISTRY + 16 * index] &= !1;
    }

    /// Forgets which processes have attached: a later one may get the number of one that is dead.
    pub fn forget_processes(&mut self) {
        for index in 1..1023usize {
            self.0[REGISTRY + 16 * index + 8..][..8].fill(0);
        }
    }

    /// Marks every index of the registry as attached, as if all had been in use and died.
    pub fn attach_all(&mut self) {
        for index in 1..1023usize {
            self.0[REGISTRY + 16 * index] |= 1;
        }
        self.0[72..80].copy_from_slice(&1022u64.to_le_bytes());
    }
}
