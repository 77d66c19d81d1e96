//! A region of a stream that is damaged at rest or in use: opening it tells what is wrong, or it is
//! used in every way there is. Nothing panics or hangs, and no data come that nobody has put.

use crate::common::{body, seed_of};
use crate::ground::input::Input;
use crate::ground::layout::{BOOT, ENTRIES_HIGH, SECTION, TIME_BASE, TIME_CHECK, set_word, word};
use crate::ground::memory_file::MemoryFile;
use crate::ground::mutation::How;
use crate::ground::unused_path;
use ringmain::{
    Capacity, Cursor, Error, FullPolicy, ManualClock, Mapped, ProducerOptions, Put, ShardId, Start,
    Stream, StreamEntry, StreamOptions, StreamProducer, StreamSequence,
};
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

const MUTATIONS_MAX: usize = 8;
const STEPS_MAX: usize = 48;
const START_MS: u64 = 1_000_000;
/// When the last records of a region were put, which are younger than the retention.
const LAST_MS: u64 = START_MS + 100_000_000;
const LEN: u64 = 80 << 10;
/// What is added to the clock: fixed, so that each run makes the same times.
const BASE_MS: u64 = 1_700_000_000_000;

// As docs/file-format-stream.md has them, from the section on.
const FLAGS: usize = SECTION + 48;
const NONCE: usize = SECTION + 64;
const CHECK: usize = SECTION + 80;
const PLACES: usize = 4;
const PLACE: usize = SECTION + 384;
const PLACE_BYTES: usize = 384;
const PINS: usize = PLACE + PLACES * PLACE_BYTES;
/// Words of pins, seats, feeds, index and the first headers.
const MIDDLE_WORDS: usize = 700;

type Tested<'c> = Stream<Mapped, &'c ManualClock>;

/// A file, and the bytes of a sound region in two forms.
struct Ground {
    file: MemoryFile,
    images: [Vec<u8>; 2],
}

thread_local! {
    static GROUND: Ground = Ground {
        file: MemoryFile::new(),
        images: [FullPolicy::Evict, FullPolicy::Reject].map(image),
    };
}

/// The input: `{ policy, in use, for reading, sealed }`, how many changes, these, and operations.
pub fn run(data: &[u8]) {
    GROUND.with(|ground| tried(ground, Input::new(data)));
}

/// Reads a region in which a byte of a record is altered that no checksum covers, as if one did:
/// panics, if it is found out.
pub fn forged() {
    GROUND.with(|ground| {
        let mut bytes = ground.images[0].clone();
        let data = body(7, 50); // one of the last that were put
        let at = bytes.windows(50).rposition(|window| window == data);
        bytes[at.expect("a record") + 20] ^= 1;
        let flags = word(&bytes, FLAGS);
        set_word(&mut bytes, FLAGS, flags & !1);
        seal(&mut bytes);
        ground.file.become_bytes(&bytes);
        let clock = ManualClock::new(LAST_MS + 500);
        let region = Mapped::open(ground.file.path()).expect("a region");
        let stream = Stream::open_with(region, &clock).expect("a stream");
        let mut user = User {
            stream: &stream,
            clock: &clock,
            is_checked: true,
            count: 0,
        };
        user.everything();
    });
}

/// A region whose rings have wrapped, with a split, consumers, aggregates; and with a claim, a
/// reader and a subscription that nobody ends, since their process has died.
fn image(policy: FullPolicy) -> Vec<u8> {
    let path = unused_path("stream");
    let clock = ManualClock::new(START_MS);
    drop(Mapped::create(&path, LEN).expect("a region"));
    let mut bytes = std::fs::read(&path).expect("its bytes");
    set_word(&mut bytes, TIME_BASE, BASE_MS);
    let check = xxh3_64(&bytes[BOOT..ENTRIES_HIGH]);
    set_word(&mut bytes, TIME_CHECK, check);
    std::fs::write(&path, &bytes).expect("another time base");
    let region = Mapped::open(&path).expect("a region");
    let options = StreamOptions::new()
        .capacity(Capacity::OnDemand)
        .shards(2)
        .max_shards(PLACES as u32)
        .readers(4)
        .consumers(2)
        .segment(4096)
        .checksum(true)
        .retention(Duration::from_secs(100))
        .full(policy);
    let stream = Stream::create_with(region, options, &clock).expect("a stream");
    for number in 0..250 {
        let len = match number % 9 {
            0 => 900,
            _ => 8 + number as usize % 200,
        };
        let key = format!("key{}", number % 6);
        if stream.put(&key, &body(number, len)).is_err() {
            clock.advance(Duration::from_secs(60));
        }
    }
    clock.set_ms(LAST_MS);
    for number in 0..20 {
        let _ = stream.put(&format!("key{}", number % 6), &body(number, 50));
    }
    produce(&stream, 8);
    let shard = stream.shard_of(0).expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let _records = cursor.read(2).expect("a read");
    let audit = stream.register_consumer("audit").expect("a seat");
    let _subscription = audit.subscribe(shard, Start::Latest).expect("one");
    stream.split(shard, 1 << 126).expect("a split");
    let _claim = stream.claim("key1", 100).expect("room");
    let mut bytes = std::fs::read(&path).expect("its bytes");
    std::fs::remove_file(&path).expect("it had a name");
    assert_eq!(word(&bytes, SECTION + 8), PLACES as u64);
    set_word(&mut bytes, NONCE, 0x5555_6666_7777_8888);
    seal(&mut bytes);
    bytes
}

/// Makes the check over the configuration right.
fn seal(bytes: &mut [u8]) {
    let check = xxh3_64(&bytes[SECTION..CHECK]);
    set_word(bytes, CHECK, check);
}

/// A place that matters; nearly always the start of a word.
fn place(input: &mut Input<'_>) -> usize {
    let kind = input.byte() % 24;
    match kind {
        0 | 1 => SECTION + 8 * input.below(11),
        2..=5 => SECTION + 128 + 8 * input.below(32),
        6..=11 => PLACE + input.below(PLACES) * PLACE_BYTES + 8 * input.below(36),
        12..=18 => PINS + 8 * input.below(MIDDLE_WORDS),
        19 => LEN as usize - 8 * (1 + input.below(80)),
        20 => 8 * input.below(18),
        21 => 4096 + 8 * input.below(40),
        _ => input.pair() as usize * 8 % (LEN as usize - 8),
    }
}

/// A change: eight bytes at a place.
struct Wound {
    at: usize,
    how: How,
}

impl Wound {
    fn draw(input: &mut Input<'_>) -> Self {
        let at = place(input);
        let how = How::draw(input, place);
        Self { at, how }
    }

    fn strike(&self, file: &MemoryFile) {
        let read = |at: usize| {
            let mut bytes = [0; 8];
            file.read(at, &mut bytes);
            u64::from_le_bytes(bytes)
        };
        file.write(self.at, &self.how.value(self.at, read).to_le_bytes());
    }
}

fn tried(ground: &Ground, mut input: Input<'_>) {
    let first = input.byte();
    let file = &ground.file;
    file.become_bytes(&ground.images[usize::from(first & 1)]);
    let in_use = first & 2 != 0;
    let count = input.below(MUTATIONS_MAX + 1);
    let wounds: Vec<Wound> = (0..count).map(|_| Wound::draw(&mut input)).collect();
    if !in_use {
        wounds.iter().for_each(|wound| wound.strike(file));
        if first & 8 != 0 {
            let mut bytes = vec![0; CHECK + 8];
            file.read(0, &mut bytes);
            seal(&mut bytes);
            file.write(CHECK, &bytes[CHECK..]);
        }
    }
    let clock = ManualClock::new(LAST_MS + 500);
    let opened = match first & 4 {
        0 => Mapped::open(file.path()),
        _ => Mapped::open_for_reading(file.path()),
    };
    let Some(region) = told(opened) else {
        return;
    };
    let Some(stream) = told(Stream::open_with(region, &clock)) else {
        return;
    };
    // With checksums, which nobody forges by chance, data are those that somebody has put.
    let mut flags = [0; 8];
    file.read(FLAGS, &mut flags);
    let mut user = User {
        stream: &stream,
        clock: &clock,
        is_checked: flags[0] & 1 != 0,
        count: 0,
    };
    if in_use {
        let shard = stream.shard_of(0).expect("a sound stream");
        let cursor = stream.cursor(shard, Start::Oldest);
        let claim = stream.claim("key5", 64);
        let writer = stream.writer(shard);
        wounds.iter().for_each(|wound| wound.strike(file));
        if let Ok(mut cursor) = cursor {
            user.read(&mut cursor, 100);
        }
        if let Ok(mut writer) = writer {
            told(writer.put("key0", &body(1, 64)));
        }
        drop(claim);
    }
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        user.step(&mut input);
    }
    user.everything();
}

/// What is wrong has words.
fn told<T>(outcome: Result<T, Error>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fn produce(stream: &Tested<'_>, count: u64) {
    let options = ProducerOptions::new()
        .records(64)
        .bytes(8192)
        .aggregate(400);
    let Some(mut producer) = told(StreamProducer::new(stream, options)) else {
        return;
    };
    for number in 0..count {
        let _ = producer.put("key2", &body(number, 30));
    }
    producer.close(|outcome| _ = told(outcome.result));
}

struct User<'s> {
    stream: &'s Tested<'s>,
    clock: &'s ManualClock,
    is_checked: bool,
    count: u64,
}

impl<'s> User<'s> {
    fn shard(&self, n: u8) -> ShardId {
        let mut shards = self.stream.shards().take(8);
        let shard = shards.nth(usize::from(n % 4));
        shard.unwrap_or(ShardId::from_number(u32::from(n)))
    }

    fn read(&self, cursor: &mut Cursor<'s, Mapped, &'s ManualClock>, max: usize) {
        for _ in 0..30 {
            let Some(records) = told(cursor.read(max)) else {
                continue;
            };
            for record in &records {
                let data = record.data();
                let is_put = record.is_aggregate() || data.is_empty() || seed_of(data).is_some();
                assert!(is_put || !self.is_checked, "nobody has put this");
                let _ = (record.key(), record.sequence(), record.arrived_ms());
                for part in record.parts() {
                    told(part);
                }
            }
            if records.is_empty() {
                break;
            }
        }
    }

    fn start(input: &mut Input<'_>) -> Start {
        let kind = input.byte();
        let number = StreamSequence::from_u64(match kind / 8 % 3 {
            0 => 1 << 30 | u64::from(input.byte()),
            1 => u64::from(input.byte() % 8) << 30 | u64::from(input.byte()),
            _ => input.word(),
        });
        match kind % 6 {
            0 | 1 => Start::Oldest,
            2 => Start::Latest,
            3 => Start::At(number),
            4 => Start::After(number),
            _ => Start::Time(BASE_MS + LAST_MS - 1000 + u64::from(input.pair())),
        }
    }

    fn data(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        self.count += 1;
        let len = match input.byte() {
            byte @ 0..=239 => 8 + usize::from(byte),
            byte => 200 * usize::from(byte - 236),
        };
        body(10_000 + self.count, len)
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let stream = self.stream;
        match input.byte() % 16 {
            0..=2 => {
                let shard = self.shard(input.byte());
                if let Some(mut cursor) = told(stream.cursor(shard, Self::start(input))) {
                    self.read(&mut cursor, 1 + input.below(64));
                    let _ = (told(cursor.lag()), told(cursor.seek(Self::start(input))));
                    self.read(&mut cursor, 1000);
                }
            }
            3..=4 => {
                let data = self.data(input);
                told(stream.put(["key1", "key2"][usize::from(input.byte() & 1)], &data));
            }
            5 => {
                let all: Vec<_> = (0..1 + input.below(8)).map(|_| self.data(input)).collect();
                let hash = u128::from(input.byte()) << 120;
                let entries: Vec<_> = all
                    .iter()
                    .map(|data| StreamEntry::new("key3", data).hash(hash))
                    .collect();
                told(stream.put_batch(&entries, |_, outcome| _ = told(outcome)));
            }
            6 => {
                let data = self.data(input);
                if let Some(mut claim) = told(stream.claim("key4", data.len())) {
                    claim.copy_from_slice(&data);
                    match input.byte() & 1 {
                        0 => drop(claim),
                        _ => drop(told(claim.commit())),
                    }
                }
            }
            7 => {
                if let Some(mut writer) = told(stream.writer(self.shard(input.byte()))) {
                    for _ in 0..1 + input.below(8) {
                        let data = self.data(input);
                        told(writer.put("key0", &data));
                    }
                }
            }
            8 => {
                let point = u128::from(input.word()) << 64;
                told(stream.split(self.shard(input.byte()), point));
            }
            9 => {
                let (one, other) = (self.shard(input.byte()), self.shard(input.byte()));
                told(stream.merge(one, other));
            }
            10 => {
                self.clock
                    .advance(Duration::from_millis(u64::from(input.pair()) * 4));
                told(stream.tend());
            }
            11 => {
                let name = ["audit", "billing", "third"][input.below(3)];
                match input.byte() % 3 {
                    0 => drop(told(stream.register_consumer(name))),
                    1 => drop(told(stream.deregister_consumer(name))),
                    _ => self.subscribe(name, self.shard(input.byte())),
                }
            }
            12 => {
                let sequence = StreamSequence::from_u64(input.word());
                let shard = self.shard(input.byte());
                told(stream.fate(Put { shard, sequence }));
            }
            13 => produce(stream, 20),
            14 => drop((told(stream.demand()), told(stream.shrink()))),
            _ => self.figures(),
        }
    }

    fn subscribe(&self, name: &str, shard: ShardId) {
        let Some(consumer) = told(self.stream.consumer(name)) else {
            return;
        };
        let Some(mut subscription) = told(consumer.subscribe(shard, Start::Oldest)) else {
            return;
        };
        for _ in 0..8 {
            let Some(records) = told(subscription.read(50)) else {
                continue;
            };
            for record in &records {
                let _ = (record.key(), record.data().len());
            }
        }
    }

    fn figures(&self) {
        for shard in self.stream.shards().take(8) {
            told(self.stream.stat(shard));
            told(self.stream.shard_info(shard));
        }
        for consumer in told(self.stream.consumers()).into_iter().flatten() {
            told(consumer);
        }
    }

    /// Each shard from its oldest on, and room is found in each.
    fn everything(&mut self) {
        self.figures();
        told(self.stream.tend());
        for shard in self.stream.shards().take(8).collect::<Vec<_>>() {
            if let Some(mut cursor) = told(self.stream.cursor(shard, Start::Oldest)) {
                self.read(&mut cursor, 10_000);
            }
        }
        for _ in 0..3 {
            told(self.stream.put("key1", &body(7, 500)));
        }
    }
}
