//! The start: a region with messages in every state, as two participants leave it of which one then
//! dies. Each run of a program makes the same bytes, but for the name of the boot.

use super::body::{is_sealed, sealed};
use super::layout::{
    BIRTH_BYTES, BLOCKS_LINEAR, BOOT, CONFIG, CONFIG_BYTES, ENTRIES_HIGH, Layout, QUEUE_NONCE,
    SLOT_HEAD_BYTES, TIME_BASE, TIME_CHECK, set_word, word,
};
use super::{DEAD, LEN, LIVE, NARROW_LEN};
use ringmain::{ManualClock, Mapped, Queue, QueueOptions, Received};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// The queue's visibility timeout.
pub const VISIBILITY: Duration = Duration::from_secs(1);
/// What the clock shows when the template is done.
pub const START_MS: u64 = 1_000_000;
/// At least so many messages are in it.
pub const MESSAGES_MIN: usize = 24;

/// What is added to the clock: fixed, so that each run makes the same stamps.
const BASE_MS: u64 = 1_700_000_000_000;
const MS: Duration = Duration::from_millis(1);

/// What the template's words say of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ready,
    Held,
}

/// A message that has not been deleted.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its first slot.
    pub slot: usize,
    /// How many slots it takes.
    pub run: usize,
    pub state: State,
    pub body: Vec<u8>,
}

/// A region's bytes, and what they mean.
pub struct Template {
    pub bytes: Vec<u8>,
    pub layout: Layout,
    pub messages: Vec<Message>,
}

type Hands<'q> = Queue<&'q Mapped, &'q ManualClock>;

impl Template {
    /// Makes it, the same in each run.
    pub fn new() -> Self {
        Self::with_base(LEN, Some(BASE_MS))
    }

    /// The same in a region of a few blocks.
    pub fn narrow() -> Self {
        Self::with_base(NARROW_LEN, Some(BASE_MS))
    }

    /// Makes it with today's time, so that a region whose time is settled anew loses none to its
    /// age.
    pub fn of_today() -> Self {
        Self::with_base(LEN, None)
    }

    /// The same in a region of a few blocks.
    pub fn narrow_of_today() -> Self {
        Self::with_base(NARROW_LEN, None)
    }

    /// Makes it in a file of shared memory that is gone afterwards.
    fn with_base(len: usize, base_ms: Option<u64>) -> Self {
        let path = unused_path("template");
        let bytes = make(&path, len, base_ms);
        let _ = std::fs::remove_file(&path);
        let layout = Layout::of(&bytes);
        assert_eq!(
            layout.groups != 0,
            len == LEN,
            "{} blocks, {BLOCKS_LINEAR} have no maps",
            layout.blocks
        );
        let messages = messages(&bytes, &layout);
        assert!(
            messages.len() >= MESSAGES_MIN,
            "{} messages",
            messages.len()
        );
        Self {
            bytes,
            layout,
            messages,
        }
    }
}

impl Default for Template {
    fn default() -> Self {
        Self::new()
    }
}

/// A path in shared memory that nobody uses: one a purpose, a process and a thread.
pub fn unused_path(purpose: &str) -> PathBuf {
    let dir = Path::new("/dev/shm");
    let dir = if dir.is_dir() {
        dir.to_path_buf()
    } else {
        std::env::temp_dir()
    };
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    let name = format!("ringmain-{purpose}-{}-{thread}", std::process::id());
    let path = dir.join(name);
    let _ = std::fs::remove_file(&path); // of a process that died and had the same number
    path
}

fn make(path: &Path, len: usize, base_ms: Option<u64>) -> Vec<u8> {
    drop(Mapped::create(path, len as u64).expect("a region"));
    if let Some(base_ms) = base_ms {
        let mut bytes = std::fs::read(path).expect("its bytes");
        set_word(&mut bytes, TIME_BASE, base_ms);
        seal(&mut bytes);
        std::fs::write(path, &bytes).expect("another time base");
    }

    let clock = ManualClock::new(START_MS - 10_000);
    let live = Mapped::open(path).expect("the first attachment");
    let dead = Mapped::open(path).expect("the second attachment");
    let options = QueueOptions::new().visibility(VISIBILITY).typical_body(32);
    let live = Queue::create_with(&live, options, &clock).expect("a queue");
    let dead = Queue::open_with(&dead, &clock).expect("the same queue");
    pinned(&live, &dead, &clock);
    clock.set_ms(START_MS);
    waiting_and_held(&live, &dead);
    delayed(&live);
    if len == LEN {
        far_apart(&live);
    }
    let mut bytes = std::fs::read(path).expect("its bytes");
    assert_eq!(
        [LIVE, DEAD].map(|index| word(&bytes, 4096 + 16 * index) & 1),
        [1, 1],
        "both are attached"
    );
    // Names that no run shares with another, but this one with itself.
    set_word(&mut bytes, 24, 0x1111_2222_3333_4444);
    set_word(&mut bytes, 32, 1_700_000_000_000);
    set_word(&mut bytes, QUEUE_NONCE, 0x5555_6666_7777_8888);
    for entry in [LIVE, DEAD] {
        set_word(&mut bytes, 4096 + 16 * entry + 8, 77);
    }
    seal(&mut bytes);
    assert_ne!(word(&bytes, BOOT), 0, "the boot has a name");
    bytes
}

/// Makes the checks over the header's parts and the configuration right.
pub fn seal(bytes: &mut [u8]) {
    let check = xxh3_64(&bytes[..BIRTH_BYTES - 8]);
    set_word(bytes, BIRTH_BYTES - 8, check);
    let check = xxh3_64(&bytes[BOOT..ENTRIES_HIGH]);
    set_word(bytes, TIME_CHECK, check);
    let check = xxh3_64(&bytes[CONFIG..CONFIG + CONFIG_BYTES]);
    set_word(bytes, CONFIG + CONFIG_BYTES, check);
}

fn one<'q>(
    queue: &'q Hands<'_>,
    visibility: Duration,
) -> Received<'q, &'q Mapped, &'q ManualClock> {
    let mut batch = queue.receive_batch_for(1, visibility).expect("a receive");
    batch.pop().expect("a message")
}

/// Former holders that still read: of deleted messages, and of one that waits again.
fn pinned<'q>(live: &'q Hands<'q>, dead: &'q Hands<'q>, clock: &ManualClock) {
    for (reader, other, seed) in [(live, dead, 1), (dead, live, 2), (live, dead, 3)] {
        // The third takes a run of slots.
        let len = if seed == 3 { 150 } else { 24 };
        reader.send(&sealed(seed, len)).expect("room");
        std::mem::forget(one(reader, MS));
        clock.advance(10 * MS);
        one(other, VISIBILITY).delete().expect("a delete");
    }
    for (reader, other, seed) in [(live, dead, 4), (dead, live, 5)] {
        reader.send(&sealed(seed, 24)).expect("room");
        std::mem::forget(one(reader, MS));
        clock.advance(10 * MS);
        one(other, VISIBILITY).release().expect("a release");
        std::mem::forget(one(other, Duration::from_secs(3600)));
    }
    // Somebody who reads, and two before him: all cells are in use.
    live.send(&sealed(6, 30)).expect("room");
    for reader in [live, dead, live] {
        std::mem::forget(one(reader, MS));
        clock.advance(2 * MS);
    }
}

/// Messages that wait, that are held by each, that are nobody's, half-made ones and runs.
fn waiting_and_held<'q>(live: &'q Hands<'q>, dead: &'q Hands<'q>) {
    for seed in 10..14 {
        live.send(&sealed(seed, 32)).expect("room");
    }
    live.send(&sealed(14, 100)).expect("room");
    for queue in [live, dead] {
        std::mem::forget(one(queue, VISIBILITY));
        std::mem::forget(one(queue, Duration::from_secs(3600)));
    }
    let _ = one(dead, Duration::from_secs(30)).detach();
    for queue in [live, dead] {
        std::mem::forget(queue.claim(32).expect("room"));
        std::mem::forget(queue.claim(200).expect("room"));
    }
    live.send(&sealed(20, 500)).expect("room");
    for received in dead.receive_batch_for(2, VISIBILITY).expect("a receive") {
        std::mem::forget(received);
    }
    let gone = live.send(&sealed(21, 16)).expect("room");
    let received = one(live, VISIBILITY);
    assert_eq!(received.id(), gone, "nothing else waits");
    received.delete().expect("a delete");
    for seed in 30..42 {
        live.send(&sealed(seed, 32)).expect("room");
    }
    for (seed, len) in [(42, 33), (43, 100), (44, 301), (45, 1500)] {
        dead.send(&sealed(seed, len)).expect("room");
    }
    dead.send(&sealed(46, 4300))
        .expect("room for more than 64 slots");
    std::mem::forget(live.claim(40).expect("room"));
}

/// Messages whose delay is not over.
fn delayed(live: &Hands<'_>) {
    let plain = live.options();
    let delayed = |secs| live.options().delay(Duration::from_secs(secs));
    for (seed, secs, len) in [(50, 5, 24), (51, 900, 32), (52, 60, 100)] {
        live.reconfigure(|_| delayed(secs)).expect("another delay");
        live.send(&sealed(seed, len)).expect("room");
    }
    live.reconfigure(|_| plain).expect("no delay");
}

/// Messages in blocks that are reached by the maps: long ones, and short ones after them.
fn far_apart(live: &Hands<'_>) {
    for seed in 60..62 {
        live.send(&sealed(seed, 4300)).expect("room");
        live.send(&sealed(10 + seed, 24)).expect("room");
    }
    std::mem::forget(one(live, VISIBILITY));
}

/// What a sound region's words and heads say of its messages.
fn messages(bytes: &[u8], layout: &Layout) -> Vec<Message> {
    let state = |slot: usize| match word(bytes, layout.word(slot)) >> 62 {
        2 => Some(State::Ready),
        3 => Some(State::Held),
        _ => None,
    };
    let message = |slot: usize| {
        let state = state(slot)?;
        let at = layout.slot(slot);
        let len = word(bytes, at) as u32 as usize;
        let body = bytes[at + SLOT_HEAD_BYTES..at + SLOT_HEAD_BYTES + len].to_vec();
        assert!(is_sealed(&body), "the body of slot {slot}");
        Some(Message {
            slot,
            run: layout.run(len),
            state,
            body,
        })
    };
    (0..layout.slots).filter_map(message).collect()
}
