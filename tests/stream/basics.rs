//! What is put is read, in order; what does not fit is refused.

use ringmain::{Error, FullPolicy, Heap, ManualClock, Start, Stream, StreamEntry, StreamOptions};
use std::time::Duration;

fn all(stream: &Stream<&Heap, &ManualClock>) -> Vec<(u64, Vec<u8>)> {
    let mut row = Vec::new();
    for shard in stream.shards() {
        let mut cursor = stream.cursor(shard, Start::Oldest).unwrap();
        loop {
            let records = cursor.read(7).unwrap();
            if records.is_empty() {
                break;
            }
            for record in &records {
                row.push((record.sequence().as_u64(), record.data().to_vec()));
            }
        }
    }
    row
}

#[test]
fn what_is_put_is_read_in_order() {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 20).unwrap();
    let options = StreamOptions::new().checksum(true);
    let stream = Stream::create_with(&region, options, &clock).unwrap();
    let mut put = Vec::new();
    for n in 0..1000u32 {
        let data = vec![n as u8; (n % 300) as usize];
        put.push((stream.put("a", &data).unwrap().sequence.as_u64(), data));
    }
    assert!(put.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(all(&stream), put);
}

#[test]
fn a_full_shard_refuses_or_evicts() {
    for policy in [FullPolicy::Reject, FullPolicy::Evict] {
        let clock = ManualClock::new(1_000_000);
        let region = Heap::new(64 << 10).unwrap();
        let options = StreamOptions::new().full(policy);
        let stream = Stream::create_with(&region, options, &clock).unwrap();
        let mut n = 0u32;
        let refused = loop {
            if n == 10_000 {
                break None;
            }
            match stream.put("a", &n.to_le_bytes()) {
                Ok(_) => n += 1,
                Err(error) => break Some(error),
            }
        };
        let row = all(&stream);
        let values: Vec<_> = row
            .iter()
            .map(|(_, data)| u32::from_le_bytes(data[..].try_into().unwrap()))
            .collect();
        assert_eq!(*values.last().unwrap(), n - 1);
        assert!(values.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        match policy {
            FullPolicy::Reject => {
                assert_eq!((refused, values[0]), (Some(Error::Full), 0));
                clock.advance(Duration::from_millis(86_400_001));
                stream.put("a", b"later").unwrap();
            }
            FullPolicy::Evict => assert!(refused.is_none() && values.len() > 700),
        }
    }
}

#[test]
fn a_batch_goes_to_its_shards() {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 20).unwrap();
    let options = StreamOptions::new().shards(4);
    let stream = Stream::create_with(&region, options, &clock).unwrap();
    let keys: Vec<_> = (0..500).map(|n| format!("key-{n}")).collect();
    let batch: Vec<_> = keys.iter().map(|key| StreamEntry::new(key, key)).collect();
    let mut seen = vec![false; 500];
    stream
        .put_batch(&batch, |n, outcome| {
            let shard = outcome.unwrap().shard;
            let (start, end) = stream.shard_info(shard).unwrap().hashes;
            let hash = stream.hash_of(&keys[n]);
            assert!((start..=end).contains(&hash));
            seen[n] = true;
        })
        .unwrap();
    assert!(seen.iter().all(|seen| *seen));
    assert_eq!(all(&stream).len(), 500);
}
