//! A region and its journal that were damaged while their machine was off: opening them tells what
//! is wrong, or the queue is made again and is used in every way there is.

use super::exercise::{Player, told};
use crate::ground::body::{is_sealed, sealed};
use crate::ground::input::Input;
use crate::ground::journal::{FRAME_HEAD_BYTES, Files, PAGE_BYTES, RING, SECTOR, Stopped};
use crate::ground::layout::set_word;
use crate::ground::mutation::{How, Mutation};
use crate::ground::{LEN, seal};
use ringmain::{Clock, Durability, ManualClock, Mapped, Message, Queue, SystemClock};
use std::ops::Range;
use std::time::Duration;

const CHANGES_MAX: usize = 12;
const STEPS_MAX: usize = 48;

thread_local! {
    static GROUND: Stopped = Stopped::new();
}

/// The input: `{ count, stops again, twice }`, changes, operations.
pub fn run(data: &[u8]) {
    GROUND.with(|ground| damaged(ground, Input::new(data)));
}

fn damaged(ground: &Stopped, mut input: Input<'_>) {
    let first = input.byte();
    let count = first as usize % 16 % (CHANGES_MAX + 1);
    let mut files = ground.files.clone();
    (0..count).for_each(|_| change(&mut files, ground, &mut input));
    let expected = (count == 0).then_some(&ground.bodies[..]);
    ground.put(&files);
    let stops = usize::from(first >> 6);
    used(ground, expected, stops, input);
}

/// Opens what is there, and uses it. `expected`: these bodies, no more and no less. The machine
/// stops again `stops` times, each time with a message that must be there afterwards.
pub fn used(ground: &Stopped, expected: Option<&[Vec<u8>]>, stops: usize, mut input: Input<'_>) {
    let mut durable: Option<Vec<u8>> = None;
    for stop in 0..=stops {
        let clock = ManualClock::new(SystemClock.now_ms());
        let region = Mapped::open(ground.path());
        let queue = match &region {
            Ok(region) => Queue::open_with(region, &clock),
            Err(error) => Err(error.clone()),
        };
        if let (Err(error), true) = (&queue, stop != 0 || expected.is_some()) {
            panic!("what was whole does not open: {error}");
        }
        let Some(queue) = told(queue) else { return };
        if stop == 0
            && let Some(expected) = expected
        {
            assert_eq!(bodies(&queue), expected, "not what the journal has");
            let damaged = told(queue.stat()).map(|stat| stat.damaged);
            assert_eq!(damaged, Some(0), "nothing was damaged");
        }
        if let Some(last) = durable.take() {
            let found = bodies(&queue);
            assert!(found.contains(&last), "what was durable is lost");
        }
        let mut player = Player::new(&queue, &clock, true);
        for _ in 0..STEPS_MAX {
            if input.is_empty() {
                break;
            }
            player.step(&mut input);
        }
        player.everything();
        if stop == stops {
            return player.ends(1);
        }
        drop(player);
        let last = sealed(1 << 40 | stop as u64, 24);
        // Who can forge a configuration can also say that there is no journal.
        let journaled = queue.durability() == Durability::BeforeOk;
        // At once, whatever delay the queue was given meanwhile.
        let sent = {
            let message = Message::new(&last).delay(Duration::ZERO);
            told(queue.send_message(&message)).is_some()
        };
        durable = (sent && journaled).then_some(last);
        drop(region);
        ground.stop_again(u64::from(input.byte()) * 0x0101_0101_0101_0101);
    }
}

/// All bodies that come, sorted; the messages stay.
fn bodies(queue: &Queue<&Mapped, &ManualClock>) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    while let Some(received) = told(queue.receive()).flatten() {
        assert!(is_sealed(received.body()), "bytes that nobody sent");
        held.push(received);
    }
    let mut bodies: Vec<_> = held
        .iter()
        .map(|received| received.body().to_vec())
        .collect();
    bodies.sort();
    for received in held {
        told(received.release());
    }
    bodies
}

/// Does one change, drawn from the input, mostly to one of the newest frames.
fn change(files: &mut Files, ground: &Stopped, input: &mut Input<'_>) {
    let kind = input.byte();
    let seals = kind & 64 != 0;
    let frame = {
        let newest = if kind & 128 == 0 {
            8
        } else {
            ground.frames.len()
        };
        ground.frames[input.below(newest)].clone()
    };
    match kind % 16 {
        0..=2 => {
            let at = frame.start + 8 * input.below(FRAME_HEAD_BYTES / 8);
            alter(&mut files.journal, at, input);
        }
        3..=6 => {
            let records = files.records(&frame);
            if !records.is_empty() {
                let record = records[input.below(records.len())];
                alter(&mut files.journal, record + 8 * input.below(3), input);
            }
        }
        7 => {
            let at = frame.start + input.below(frame.len());
            alter(&mut files.journal, at, input);
        }
        8 => {
            let at = frame.start + SECTOR * input.below(frame.len().div_ceil(SECTOR));
            let filler = input.byte();
            fill(&mut files.journal, at..at + SECTOR, filler);
        }
        9 => moved(files, &frame, ground, seals, input),
        10 => {
            let at = RING * (1 + input.below(files.journal.len().max(2 * RING) / RING - 1));
            let pages = 1 + input.byte() as usize / 8;
            fill(&mut files.journal, at..at + pages * RING, 0);
        }
        11 | 12 => {
            let at = 8 * input.below(PAGE_BYTES / 8 + 1);
            alter(&mut files.journal, at, input);
            if seals {
                files.seal_page();
            }
        }
        13 => {
            let len = ground.files.journal.len() - RING + 32 * input.byte() as usize;
            let len = if input.byte() < 128 {
                len
            } else {
                RING * input.byte() as usize
            };
            files.journal.resize(len, 0xa5);
        }
        14 => {
            // The region, whose queue nobody believes after a restart.
            Mutation::draw(input, &ground.layout).apply_to(&mut files.region);
            if seals && files.region.len() >= LEN {
                seal(&mut files.region);
            }
        }
        _ => {
            let len = LEN - RING + 32 * input.byte() as usize;
            files.region.resize(len.min(2 * LEN), 0);
        }
    }
    if seals && kind % 16 <= 8 {
        files.seal_frame(frame.start);
    }
}

/// A frame also lies elsewhere: as it is, or with the position of its new place.
fn moved(
    files: &mut Files,
    frame: &Range<usize>,
    ground: &Stopped,
    seals: bool,
    input: &mut Input<'_>,
) {
    let ring = ground.files.journal.len() - RING;
    let to = RING * (1 + input.below(ring / RING));
    let rounds = u64::from(input.byte() % 4);
    let end = (to + frame.len()).min(files.journal.len());
    if to >= end || files.journal.len() < frame.end {
        return;
    }
    files
        .journal
        .copy_within(frame.start..frame.start + (end - to), to);
    if seals && end - to >= FRAME_HEAD_BYTES {
        let position = rounds * ring as u64 + (to - RING) as u64;
        set_word(&mut files.journal, to + 8, position);
        files.seal_frame(to);
    }
}

/// One change to a word of the journal.
fn alter(bytes: &mut [u8], at: usize, input: &mut Input<'_>) {
    let width = [8, 4, 1, 8][input.byte() as usize % 4];
    // The heads of frames are what one can mistake for another's.
    let how = How::draw(input, |input| RING * input.below(160) + 8 * input.below(12));
    Mutation { at, width, how }.apply_to(bytes);
}

fn fill(bytes: &mut [u8], range: Range<usize>, filler: u8) {
    let end = range.end.min(bytes.len());
    if let Some(bytes) = bytes.get_mut(range.start..end) {
        bytes.fill(filler);
    }
}
