//! Looks at an image of a stream: reads and fills it, and says what is wrong.

use super::tale::{Ledger, Told};
use super::work::{Still, key_of, names, read};
use crate::image::{Image, Looker};
use crate::tale::{body, seed};
use ringmain::{Mapped, Stream, StreamEntry};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// Records that are put into an image that was read.
const MORE: u64 = 12;

pub fn look(looker: &mut Looker<'_>, image: &Image, expected: &Ledger) {
    looker.stop_in_recovery(image);
    let region = looker.open();
    let stream = Stream::open_with(&region, Still).expect("a stream that opens");
    let found = read_all(looker, &stream);
    compare(looker, &found, expected);
    compare_shards(looker, &stream, expected);
    compare_names(looker, &names(&stream), expected);
    let before = looker.region();
    let put = fill(looker, &stream);
    let floors = floors(&stream);
    drop(region);
    looker.stop(&before);
    let region = looker.open();
    let stream = Stream::open_with(&region, Still).expect("a stream that opens");
    let again: HashSet<Told> = read_all(looker, &stream).into_iter().collect();
    // Everything that was there and was not given up since, and what came.
    for record @ (shard, at, _) in found.into_iter().chain(put) {
        looker.tally.durable += 1;
        if !again.contains(&record) && floors.get(&shard).is_none_or(|floor| at >= *floor) {
            looker.tally.lost += 1;
            let _ = write!(looker.words, "lost the second time: {shard} {at:x}; ");
        }
    }
}

/// Looks at what processes have left that are gone: nothing that was put may be missing.
pub fn look_alive(looker: &mut Looker<'_>, expected: &Ledger) {
    let mut expected = expected.clone();
    expected.all_safe();
    let expected = &expected;
    let region = looker.open();
    let stream = Stream::open_with(&region, Still).expect("a stream that opens");
    let found = read_all(looker, &stream);
    compare(looker, &found, expected);
    compare_shards(looker, &stream, expected);
    compare_names(looker, &names(&stream), expected);
}

fn read_all(looker: &mut Looker<'_>, stream: &Stream<&Mapped, Still>) -> Vec<Told> {
    let holes = stream.shards().filter_map(|shard| stream.stat(shard).ok());
    let holes: u64 = holes.map(|stats| stats.damaged).sum();
    if holes != 0 {
        looker.tally.damaged += 1;
        let _ = write!(looker.words, "{holes} holes told; ");
    }
    read(stream).unwrap_or_else(|what| {
        looker.tally.damaged += 1;
        let _ = write!(looker.words, "{what}; ");
        Vec::new()
    })
}

/// What is there against what has to be, exactly.
fn compare(looker: &mut Looker<'_>, found: &[Told], expected: &Ledger) {
    let mut shards: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut seeds = HashSet::new();
    for &(shard, at, seed) in found {
        let twice = shards.entry(shard).or_default().insert(at, seed).is_some();
        if twice | !seeds.insert(seed) {
            looker.tally.twice += 1;
            let _ = write!(looker.words, "twice: {shard} {at:x}; ");
        }
        let told = expected.shards.get(&shard).and_then(|told| told.get(&at));
        if !expected.known.contains(&seed) || told.is_some_and(|told| told.seed != seed) {
            looker.tally.damaged += 1;
            let _ = write!(looker.words, "never put there: {shard} {at:x} {seed:x}; ");
        }
    }
    let none = BTreeMap::new();
    for (shard, told) in &expected.shards {
        let found = shards.get(shard).unwrap_or(&none);
        let ends = found.keys().next().zip(found.keys().next_back());
        let (_, floor) = expected.places[*shard as usize % expected.places.len()];
        let lost_before = looker.tally.lost;
        for (at, entry) in told {
            let has_to = entry.safe && *at >= floor;
            looker.tally.durable += u64::from(has_to);
            if found.contains_key(at) {
                continue;
            }
            if has_to {
                looker.tally.lost += 1;
            } else if ends.is_some_and(|(first, last)| first < at && at < last) {
                looker.tally.holes += 1;
                let _ = write!(looker.words, "a hole at {shard} {at:x}; ");
            }
        }
        let lost = looker.tally.lost - lost_before;
        if lost != 0 {
            let _ = write!(
                looker.words,
                "{lost} of shard {shard} are lost, which begins at {floor:x}: there is \
                 {ends:x?}, told was {:x?} to {:x?}; ",
                told.keys().next(),
                told.keys().next_back()
            );
        }
    }
}

/// Each shard that was opened for good is there, or a later one of its place; unless its place
/// was taken for another one.
fn compare_shards(looker: &mut Looker<'_>, stream: &Stream<&Mapped, Still>, expected: &Ledger) {
    let places = expected.places.len() as u64;
    let there: Vec<u64> = stream.shards().map(|id| u64::from(id.number())).collect();
    for shard in &expected.opened {
        let later = |other: &u64| other % places == shard % places && other >= shard;
        let (now, _) = expected.places[(shard % places) as usize];
        if now <= *shard && !there.iter().any(later) {
            looker.tally.lost += 1;
            let _ = write!(looker.words, "shard {shard} is lost; ");
        }
    }
    let mut open: Vec<(u128, u128)> = stream
        .shards()
        .filter_map(|shard| stream.shard_info(shard).ok())
        .filter(ringmain::ShardInfo::is_open)
        .map(|info| info.hashes)
        .collect();
    open.sort_unstable();
    // Each hash in one of them: behind the last one there is none.
    let mut next = Some(0);
    let in_turn = open.iter().all(|(first, last)| {
        let is_next = next == Some(*first);
        next = last.checked_add(1);
        is_next
    });
    if !in_turn || next.is_some() {
        looker.tally.damaged += 1;
        let _ = write!(looker.words, "the open shards are not all hashes; ");
    }
}

fn compare_names(looker: &mut Looker<'_>, there: &[u64], expected: &Ledger) {
    for (name, state) in expected.names.iter().enumerate() {
        let is = there.contains(&(name as u64));
        if state.open == 0 && is != state.is {
            looker.tally.lost += 1;
            let _ = write!(looker.words, "consumer {name}: {is}; ");
        }
    }
}

/// Puts some more, which are on the disk then.
fn fill(looker: &mut Looker<'_>, stream: &Stream<&Mapped, Still>) -> Vec<Told> {
    let mut put = Vec::new();
    for n in 0..MORE {
        let hash = u128::from(looker.numbers.next()) << 64;
        let seed = seed(0xff_0000 + n, 8 + looker.numbers.below(900) as usize);
        let (key, data) = (key_of(seed), body(seed));
        let outcome = stream
            .at(ringmain::Durability::BeforeOk)
            .expect("a level")
            .put_entry(&StreamEntry::new(&key, &data).hash(hash));
        match outcome {
            Ok(at) => put.push((u64::from(at.shard.number()), at.sequence.as_u64(), seed)),
            Err(ringmain::Error::Full) => {}
            Err(other) => panic!("{other}"),
        }
    }
    put
}

/// Where the shards begin.
fn floors(stream: &Stream<&Mapped, Still>) -> BTreeMap<u64, u64> {
    let stats = stream.shards().filter_map(|shard| stream.stat(shard).ok());
    stats
        .map(|stats| (u64::from(stats.shard.number()), stats.oldest.as_u64()))
        .collect()
}
