//! Several threads over a ring that wraps: nothing is read out of order, twice, torn, or missed
//! without a word. `RINGMAIN_STREAM_RECORDS` sets how many records each writer puts (default 4000).

use crate::common::{Dir, body, number_of, seed_of};
use ringmain::{
    Error, FullPolicy, Heap, Mapped, Region, Start, Stream, StreamEntry, StreamOptions,
};

use std::sync::Arc;

const WRITERS: u64 = 4;
const READERS: usize = 4;

/// Puts the records of a writer: its number and a counter are the seed of each.
fn write<R: Region>(stream: &Stream<R>, writer: u64, count: u64) {
    let key = format!("writer-{writer}");
    let mut next = 0;
    while next < count {
        let seed = |n: u64| writer << 32 | n;
        let len = |n: u64| 8 + (n * 37 % 300) as usize;
        let put = match next % 5 {
            0 => {
                let both = [next, next + 1].map(|n| body(seed(n), len(n)));
                let batch = both.each_ref().map(|data| StreamEntry::new(&key, data));
                let mut done = 0;
                let told = stream.put_batch(&batch, |_, outcome| match outcome {
                    Ok(_) => done += 1,
                    Err(Error::SegmentInUse { .. }) => {}
                    Err(other) => panic!("{other}"),
                });
                told.expect("a batch");
                assert!(done != 1, "half of a batch");
                done
            }
            1 => match stream.claim(&key, len(next)) {
                Ok(mut claim) => {
                    claim.copy_from_slice(&body(seed(next), len(next)));
                    claim.commit().expect("committed");
                    1
                }
                Err(Error::SegmentInUse { .. }) => 0,
                Err(other) => panic!("{other}"),
            },
            2 if next % 7 == 0 => {
                drop(stream.claim(&key, len(next)));
                u64::from(stream.put(&key, &body(seed(next), len(next))).is_ok())
            }
            _ => u64::from(stream.put(&key, &body(seed(next), len(next))).is_ok()),
        };
        next += put;
        if put == 0 {
            std::thread::yield_now(); // somebody is in the oldest segment
        }
    }
}

/// Reads until all is written and read: how many records, and how often some were lost.
fn read<R: Region>(stream: &Stream<R>, is_over: impl Fn() -> bool, max: usize) -> (u64, u64) {
    let shard = stream.shards().next().expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let (mut count, mut lost, mut last) = (0, 0, 0);
    let mut next = [0; WRITERS as usize];
    // What was given up before it began.
    let mut gap = [cursor.position().as_u64() != 1 << 30; WRITERS as usize];
    loop {
        let over = is_over();
        let records = match cursor.read(max) {
            Ok(records) => records,
            Err(Error::Lost { bytes }) => {
                assert!(bytes > 0);
                lost += 1;
                gap = [true; WRITERS as usize];
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        for record in &records {
            let sequence = record.sequence().as_u64();
            assert!(sequence > last, "out of order");
            last = sequence;
            let seed = seed_of(record.data()).expect("a whole record");
            let (writer, counter) = ((seed >> 32) as usize, seed & 0xffff_ffff);
            assert_eq!(record.key(), Ok(&*format!("writer-{writer}")));
            let right = match gap[writer] {
                true => counter >= next[writer],
                false => counter == next[writer],
            };
            assert!(right, "{counter} of {writer}, not {}", next[writer]);
            (next[writer], gap[writer]) = (counter + 1, false);
            count += 1;
        }
        if records.is_empty() {
            if over {
                return (count, lost);
            }
            std::thread::yield_now();
        }
    }
}

fn run<R: Region + Sync>(streams: &[Stream<R>]) {
    let count = number_of("RINGMAIN_STREAM_RECORDS", 4000);
    let stream = |n: usize| &streams[n % streams.len()];
    let (read_all, lost) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| scope.spawn(move || write(stream(n as usize), n, count)))
            .collect();
        let writers = Arc::new(writers);
        let is_over = || {
            let writers = writers.clone();
            move || writers.iter().all(|writer| writer.is_finished())
        };
        let readers: Vec<_> = (0..READERS)
            .map(|n| {
                let (is_over, max) = (is_over(), [1, 7, 100, 10_000][n]);
                scope.spawn(move || read(stream(n + 1), is_over, max))
            })
            .collect();
        let told = readers.into_iter().map(|r| r.join().expect("a reader"));
        told.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let stat = streams[0]
        .stat(streams[0].shard_of(0).expect("a shard"))
        .expect("figures");
    assert!(stat.tail.as_u64() >> 30 > 10, "{stat:?}");
    assert!(read_all > 100, "{read_all} read, {lost} times lost");
    assert_eq!(stat.readers, 0);
}

const OPTIONS: StreamOptions = StreamOptions::new().full(FullPolicy::Evict).segment(8192);

#[test]
fn threads_share_a_stream_in_the_heap() {
    let region = Heap::new(64 << 10).expect("memory");
    run(&[Stream::create(&region, OPTIONS).expect("a stream")]);
}

#[test]
fn threads_share_a_stream_that_was_opened_twice() {
    let dir = Dir::shm("stream-threads");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 80 << 10).expect("a region");
    let first = Stream::create(region, OPTIONS).expect("a stream");
    let second = Stream::open(Mapped::open(&path).expect("the region"));
    run(&[first, second.expect("the stream")]);
}
