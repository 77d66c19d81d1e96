//! Where records are placed: by MD5 as Kinesis does it, or by xxh3, whichever way they are put.

use crate::common::Dir;
use crate::homes::{Home, SECTION, Tested};
use ringmain::{
    Error, ManualClock, Mapped, Placement, ProducerOptions, Put, Region, Start, Stream,
    StreamEntry, StreamOptions, StreamProducer,
};
use std::fs;

const START_MS: u64 = 1_000_000;
const SHARDS: u32 = 16;

/// Keys, and their MD5: the test suite of RFC 1321, and two that `md5sum` was asked for.
const KNOWN: [(&str, u128); 8] = [
    ("a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
    ("abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72),
    ("message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
    (
        "abcdefghijklmnopqrstuvwxyz",
        0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b,
    ),
    (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        0xd174_ab98_d277_d9f5_a561_1c2c_9f41_9d9f,
    ),
    (
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a,
    ),
    ("boiler-7", 0x5ce1_a75a_ec9b_4639_deea_f309_c4da_803a),
    ("ä€𝄞", 0x4fb5_dcc9_28ac_1ba1_f26e_2788_f6cc_d8ba),
];

fn options(placement: Placement) -> StreamOptions {
    StreamOptions::new()
        .shards(SHARDS)
        .segment(4096)
        .consumers(0)
        .placement(placement)
}

/// The shard of a hash, of as many that divide all hashes evenly.
fn shard_of(hash: u128) -> u32 {
    (hash >> (128 - SHARDS.ilog2())) as u32
}

/// Puts records with these keys in each way there is; of each by which key and where it went.
fn put_in_each_way<R: Region>(stream: &Tested<'_, R>, keys: &[&str]) -> Vec<(usize, u32)> {
    let mut placed = Vec::new();
    let mut tell = |n: usize, put: Result<Put, Error>| {
        placed.push((n, put.expect("room").shard.number()));
    };
    let entries: Vec<_> = keys.iter().map(|key| StreamEntry::new(key, key)).collect();
    for (n, key) in keys.iter().enumerate() {
        tell(n, stream.put(key, b"put"));
        tell(n, stream.put_entry(&entries[n]));
        let claim = stream.claim(key, 0).expect("room");
        tell(n, claim.commit());
    }
    stream.put_batch(&entries, &mut tell).expect("a batch");
    stream
        .prepare(&entries, &mut tell)
        .expect("as many")
        .commit()
        .expect("records");
    // A writer takes what belongs to its shard, and nothing else.
    for id in stream.shards() {
        let mut writer = stream.writer(id).expect("there");
        for (n, key) in keys.iter().enumerate() {
            match writer.put(key, b"written") {
                Err(Error::HashNotInShard { shard }) => assert_eq!(shard, id.number()),
                put => tell(n, put),
            }
        }
    }
    for aggregate in [None, Some(2000)] {
        let mut options = ProducerOptions::new();
        if let Some(bytes) = aggregate {
            options = options.aggregate(bytes);
        }
        let mut producer = StreamProducer::new(stream, options).expect("a producer");
        let tokens: Vec<_> = (0..20)
            .flat_map(|_| 0..keys.len())
            .map(|n| (producer.put_entry(&entries[n]).expect("room"), n))
            .collect();
        producer.close(|outcome| {
            let of = tokens.iter().find(|(token, _)| *token == outcome.token);
            tell(of.expect("accepted").1, outcome.result);
        });
    }
    placed
}

pub fn each_way_of_putting_places_alike<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let keys = KNOWN.map(|(key, _)| key);
    for placement in [Placement::Xxh3, Placement::Md5] {
        // All who open the stream place alike.
        let streams = home.streams(1 << 20, options(placement), &clock);
        for stream in &streams {
            let placed = put_in_each_way(stream, &keys);
            for (n, (key, md5)) in KNOWN.into_iter().enumerate() {
                let hash = match placement {
                    Placement::Md5 => md5,
                    Placement::Xxh3 => placement.hash_of(key),
                };
                assert_eq!(stream.hash_of(key), hash, "{key}");
                assert_ne!(Placement::Xxh3.hash_of(key), md5, "{key}");
                let mine = placed.iter().filter(|(of, _)| *of == n);
                let shards: Vec<_> = mine.map(|(_, shard)| *shard).collect();
                assert_eq!(shards, vec![shard_of(hash); 46], "{key}");
            }
            // An explicit hash has the last word.
            let entry = StreamEntry::new("abc", b"").hash(1);
            assert_eq!(stream.put_entry(&entry).expect("room").shard.number(), 0);
        }
    }
    // The hashes differ in shards too, or nothing was shown.
    let differ = KNOWN.map(|(key, md5)| shard_of(md5) != shard_of(Placement::Xxh3.hash_of(key)));
    assert!(differ.into_iter().filter(|differ| *differ).count() > 4);
}

pub fn what_places_is_kept<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    for placement in [Placement::Xxh3, Placement::Md5] {
        for stream in home.streams(1 << 20, options(placement), &clock) {
            assert_eq!(stream.options().get_placement(), placement);
        }
    }
    assert_eq!(StreamOptions::new().get_placement(), Placement::Xxh3);
}

/// The flag in the file: 0 is xxh3, as in all streams that were made before there was a choice.
#[test]
fn a_file_without_the_flag_is_placed_by_xxh3() {
    let dir = Dir::new("stream-placement");
    let clock = ManualClock::new(START_MS);
    let flags = |path: &str| {
        let bytes = fs::read(path).expect("a file");
        let word = bytes[SECTION + 48..][..8].try_into().expect("eight bytes");
        u64::from_le_bytes(word)
    };
    for (placement, flag) in [(Placement::Xxh3, 0), (Placement::Md5, 16)] {
        let path = dir.file(&format!("{placement:?}"));
        let path = path.to_str().expect("text");
        let region = Mapped::create(path, 1 << 20).expect("a region");
        drop(Stream::create_with(region, options(placement), &clock).expect("a stream"));
        assert_eq!(flags(path), 1 | flag, "checksums, and this");
        let stream = Stream::open(Mapped::open(path).expect("a region")).expect("a stream");
        assert_eq!(stream.options().get_placement(), placement);
        let put = stream.put("boiler-7", b"81.5").expect("room");
        assert_eq!(put.shard.number(), shard_of(placement.hash_of("boiler-7")));
        let mut cursor = stream.cursor(put.shard, Start::Oldest).expect("a cursor");
        assert_eq!(cursor.read(10).expect("a read").len(), 1);
    }
}
