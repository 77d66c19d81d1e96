//! Histories of operations over a sound region, through two attachments, held against the model
//! that `tests/model.rs` has.

use crate::drive::Drive;
use crate::ground::input::Input;
use crate::ground::memory_file::MemoryFile;
use crate::ground::unused_path;
use crate::op::Op;
use crate::reference::{DELAY_MS_MAX, Rule, VISIBILITY_MS, VISIBILITY_MS_MAX};
use ringmain::{ManualClock, Mapped, Queue, QueueOptions};
use std::time::Duration;

const OPERATIONS_MAX: usize = 300;
const REGION_BYTES: u64 = 36 << 10;
/// The queue of dead letters has less room.
const DEAD_BYTES: u64 = 32 << 10;
/// The longest body of a history.
const BODY_MAX: usize = 4_800;

const OPTIONS: QueueOptions = QueueOptions::new()
    .visibility(Duration::from_millis(VISIBILITY_MS))
    .retention(Duration::from_secs(14 * 86_400))
    .typical_body(32)
    .max_body(BODY_MAX);

thread_local! {
    static GROUND: [Sound; 2] = [Sound::new(REGION_BYTES), Sound::new(DEAD_BYTES)];
}

/// The input: operations, each with its arguments.
pub fn run(data: &[u8]) {
    if let Err(error) = differs(Rule::Right, data) {
        panic!("model and queue differ: {error}");
    }
}

/// Where the queue and a model with this rule part, if they do.
pub fn differs(rule: Rule, data: &[u8]) -> Result<(), String> {
    GROUND.with(|ground| history(ground, rule, Input::new(data)))
}

fn history(ground: &[Sound; 2], rule: Rule, mut input: Input<'_>) -> Result<(), String> {
    let clock = ManualClock::new(77);
    let ops: Vec<Op> = std::iter::from_fn(|| (!input.is_empty()).then(|| op(&mut input)))
        .take(OPERATIONS_MAX)
        .collect();
    let regions = ground.each_ref().map(Sound::opened_twice);
    let queue = |region| Queue::open_with(region, &clock).expect("a queue");
    let [jobs, dead] = regions.each_ref().map(|two| two.each_ref().map(queue));
    let mut dead_ones = dead.each_ref().map(Queue::by_ref).into_iter();
    let [first, second] = jobs.map(|jobs| {
        let linked = jobs.with_dead_letters(dead_ones.next());
        linked.expect("a link")
    });
    let drive = Drive::new(&first, &dead[0], &clock, rule).beside(&second, &dead[1]);
    drive.history(&ops).map(|_| ())
}

/// A file, and the bytes of an empty region.
struct Sound {
    file: MemoryFile,
    bytes: Vec<u8>,
}

impl Sound {
    fn new(len: u64) -> Self {
        let path = unused_path("operations");
        let region = Mapped::create(&path, len).expect("a region");
        Queue::create(&region, OPTIONS).expect("a queue");
        drop(region);
        let bytes = std::fs::read(&path).expect("its bytes");
        std::fs::remove_file(&path).expect("it had a name");
        let file = MemoryFile::new();
        Self { file, bytes }
    }

    fn opened_twice(&self) -> [Mapped; 2] {
        self.file.become_bytes(&self.bytes);
        [(); 2].map(|()| Mapped::open(self.file.path()).expect("a region"))
    }
}

fn op(input: &mut Input<'_>) -> Op {
    let kind = input.byte() % 64;
    let pick = |input: &mut Input<'_>| input.byte() as usize % 64;
    match kind {
        0..=8 => Op::Send { len: len(input) },
        9..=11 => {
            let count = input.byte() % 12;
            let lens = (0..count).map(|_| len(input)).collect();
            Op::SendBatch { lens }
        }
        12..=15 => {
            let commit = input.byte().is_multiple_of(2);
            let len = len(input);
            Op::Claim { len, commit }
        }
        16..=22 => Op::ReceiveOne,
        23..=26 => {
            let max = input.byte() as usize % 12;
            Op::Receive { max }
        }
        27..=30 => {
            let max = 1 + input.byte() as usize % 10;
            let visibility_ms = visibility_ms(input);
            Op::ReceiveFor { max, visibility_ms }
        }
        31 => Op::ReceiveInto,
        32..=34 => Op::Delete { pick: pick(input) },
        35..=38 => Op::DeleteHeld { pick: pick(input) },
        39 | 40 => {
            let count = input.byte() % 12;
            let picks = (0..count).map(|_| pick(input)).collect();
            Op::DeleteBatch { picks }
        }
        41 | 42 => {
            let (pick, visibility_ms) = (pick(input), visibility_ms(input));
            Op::Extend {
                pick,
                visibility_ms,
            }
        }
        43 | 44 => {
            let (pick, visibility_ms) = (pick(input), visibility_ms(input));
            Op::ExtendHeld {
                pick,
                visibility_ms,
            }
        }
        45 | 46 => Op::Release { pick: pick(input) },
        47 | 48 => Op::ReleaseHeld { pick: pick(input) },
        49 | 50 => Op::Detach { pick: pick(input) },
        51 | 52 => Op::Drop { pick: pick(input) },
        53..=58 => Op::Advance { ms: step_ms(input) },
        59 => match input.byte() {
            0..=31 => Op::Purge,
            // Few older inputs have these numbers: nearly all mean what they meant.
            240 => Op::Peek,
            241 | 242 => max_receives(input),
            243 => redrive(input),
            244..=247 => op(input).on_dead_letters(),
            248..=251 => send_message(input),
            252..=255 => {
                let (visibility_ms, delay_ms) = (visibility_ms(input), delay_ms(input));
                Op::Reconfigure {
                    visibility_ms,
                    delay_ms,
                }
            }
            _ => Op::Turn,
        },
        _ => Op::Turn,
    }
}

fn max_receives(input: &mut Input<'_>) -> Op {
    let receives = match input.byte() {
        byte @ 0..=191 => Some(1 + u32::from(byte) % 4),
        byte @ 192..=251 => (byte % 2 == 0).then(|| u32::from(byte) - 186),
        252 => Some(0),
        byte => Some(1_000 + u32::from(byte) - 253),
    };
    Op::MaxReceives { receives }
}

fn redrive(input: &mut Input<'_>) -> Op {
    let max = match input.byte() {
        byte @ 0..=191 => u64::from(byte) % 5,
        _ => u64::MAX,
    };
    Op::Redrive { max }
}

fn send_message(input: &mut Input<'_>) -> Op {
    let own_delay = !input.byte().is_multiple_of(3);
    let delay_ms = own_delay.then(|| delay_ms(input));
    let attributes = input.byte() as usize % 11;
    let len = len(input);
    Op::SendMessage {
        len,
        delay_ms,
        attributes,
    }
}

fn delay_ms(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        byte @ 0..=63 => u64::from(byte) % 4,
        byte @ 64..=252 => u64::from(byte),
        byte => DELAY_MS_MAX + u64::from(byte) - 254,
    }
}

fn len(input: &mut Input<'_>) -> usize {
    match input.byte() {
        byte @ 0..=191 => byte as usize % 33,
        byte @ 192..=247 => 33 + 7 * (byte as usize - 192),
        byte => 4_000 + 100 * (byte as usize - 247),
    }
}

fn visibility_ms(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        byte @ 0..=63 => u64::from(byte) % 4,
        byte @ 64..=191 => u64::from(byte),
        byte @ 192..=253 => 1000 * (u64::from(byte) - 191),
        byte => VISIBILITY_MS_MAX + u64::from(byte) - 254,
    }
}

fn step_ms(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        byte @ 0..=249 => u64::from(byte),
        byte => 60_000 * (u64::from(byte) - 249),
    }
}
