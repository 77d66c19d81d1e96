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

const OPTIONS: QueueOptions = QueueOptions::new()
    .visibility(Duration::from_millis(VISIBILITY_MS))
    .retention(Duration::from_secs(14 * 86_400))
    .typical_body(32);

thread_local! {
    static GROUND: (MemoryFile, Vec<u8>) = ground();
}

/// The input: operations, each with its arguments.
pub fn run(data: &[u8]) {
    if let Err(error) = differs(Rule::Right, data) {
        panic!("model and queue differ: {error}");
    }
}

/// Where the queue and a model with this rule part, if they do.
pub fn differs(rule: Rule, data: &[u8]) -> Result<(), String> {
    GROUND.with(|(file, sound)| history(file, sound, rule, Input::new(data)))
}

fn history(
    file: &MemoryFile,
    sound: &[u8],
    rule: Rule,
    mut input: Input<'_>,
) -> Result<(), String> {
    file.become_bytes(sound);
    let clock = ManualClock::new(77);
    let ops: Vec<Op> = std::iter::from_fn(|| (!input.is_empty()).then(|| op(&mut input)))
        .take(OPERATIONS_MAX)
        .collect();
    let open = || Mapped::open(file.path()).expect("a region");
    let (first, second) = (open(), open());
    let first = Queue::open_with(&first, &clock).expect("a queue");
    let second = Queue::open_with(&second, &clock).expect("a queue");
    let drive = Drive::new(&first, &clock, rule).beside(&second);
    drive.history(&ops).map(|_| ())
}

/// A file, and the bytes of an empty region.
fn ground() -> (MemoryFile, Vec<u8>) {
    let path = unused_path("operations");
    let region = Mapped::create(&path, REGION_BYTES).expect("a region");
    Queue::create(&region, OPTIONS).expect("a queue");
    drop(region);
    let bytes = std::fs::read(&path).expect("its bytes");
    std::fs::remove_file(&path).expect("it had a name");
    (MemoryFile::new(), bytes)
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
