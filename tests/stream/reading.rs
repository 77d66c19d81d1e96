//! Regions that are opened for reading: a store into their records is a fault, what would change
//! the stream is refused, and all that a reader does works: beside writers, over evictions, and
//! after deaths.

use crate::common::{Dir, body, child};
use crate::homes::SECTION;
use ringmain::{
    Error, FullPolicy, ManualClock, Mapped, ProducerOptions, Queue, QueueOptions, ShardId, Start,
    Stream, StreamEntry, StreamOptions, StreamProducer, StreamSequence, SubscriptionEnd,
};
use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

const FIRST: ShardId = ShardId::from_number(0);
const LEN: u64 = 256 << 10;
/// By then the kernel has confirmed a death, and somebody has asked.
const SOON: Duration = Duration::from_secs(20);

fn made(path: &Path, options: StreamOptions) -> Stream<Mapped> {
    let region = Mapped::create(path, LEN).expect("a region");
    Stream::create(region, options).expect("a stream")
}

fn opened(path: &Path) -> Stream<Mapped> {
    Stream::open(Mapped::open(path).expect("a region")).expect("a stream")
}

fn for_reading(path: &Path) -> Stream<Mapped> {
    let region = Mapped::open_for_reading(path).expect("a region");
    Stream::open(region).expect("a stream")
}

/// Where a child stores: an address of this process, by what is mapped there.
fn mapped_at(path: &Path) -> Vec<(std::ops::Range<usize>, usize, bool)> {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps");
    let hex = |text| usize::from_str_radix(text, 16).expect("hexadecimal");
    let mine = maps
        .lines()
        .filter(|line| line.ends_with(path.to_str().expect("text")));
    mine.map(|line| {
        let mut words = line.split_whitespace();
        let (begin, end) = words
            .next()
            .and_then(|w| w.split_once('-'))
            .expect("a range");
        let is_writable = words.next().expect("rights").contains('w');
        let offset = hex(words.next().expect("an offset"));
        (hex(begin)..hex(end), offset, is_writable)
    })
    .collect()
}

/// Stores a byte over what is there: `role` is who stores where, `open` says how it has opened.
fn store(argument: &str) {
    let (path, role) = argument.split_once('|').expect("two arguments");
    let (how, place) = role.split_once(' ').expect("two words");
    let path = Path::new(path);
    let stream = match how {
        "open" => opened(path),
        _ => for_reading(path),
    };
    let mut cursor = stream.cursor(FIRST, Start::Oldest).expect("a cursor");
    let records = cursor.read(1).expect("a read");
    let record = records.iter().next().expect("a record");
    let at = match place {
        "data" => record.data().as_ptr() as usize,
        "key" => record.key_bytes().as_ptr() as usize,
        offset => {
            let offset: usize = offset.parse().expect("an offset");
            let maps = mapped_at(path);
            let of = maps
                .iter()
                .find(|(range, first, _)| (*first..first + range.len()).contains(&offset));
            let (range, first, _) = of.expect("mapped");
            range.start + offset - first
        }
    };
    fs::write(path.with_extension("ready"), []).expect("a file");
    let at = at as *mut u8;
    // SAFETY: an address of a mapping of this process. What happens is what is asked for: this
    // process ends by a signal, or the byte is another one, which nobody of it looks at any more.
    unsafe { at.write_volatile(!at.read_volatile()) };
}

#[test]
fn a_store_into_the_records_is_a_fault() {
    const TEST: &str = "reading::a_store_into_the_records_is_a_fault";
    if child::role().is_some() {
        return store(&child::argument());
    }
    let dir = Dir::shm("stream-fault");
    // Where the words lie that nobody but writers changes, by docs/file-format-stream.md: one
    // shard, two segments at least; no consumers.
    let places = ["data", "key", "header", "index", "granule", "demand"];
    for (how, place) in ["open", "reading"]
        .iter()
        .flat_map(|how| places.map(|place| (*how, place)))
    {
        let path = dir.file(&format!("{how}-{place}"));
        let stream = made(&path, StreamOptions::new().consumers(0));
        let data = body(7, 100);
        stream.put("key", &data).expect("room");
        let granules = stream.stat(FIRST).expect("figures").capacity_bytes as usize / 64;
        let index = (SECTION + 384 + 384 + 64 * 16).next_multiple_of(128);
        let headers = (index + granules / 64 * 8).next_multiple_of(128);
        let first = (headers + granules * 8).next_multiple_of(128);
        // The first page may be half a reader's: what lies behind it is the writers' alone.
        let page = index.next_multiple_of(4096);
        let at = match place {
            "header" => page.max(headers) + 8,
            "index" if page < headers => page,
            "index" => headers + 4096, // the index is shorter than a page: more headers
            "granule" => first,
            "demand" => first + granules * 64,
            named => {
                assert!(["data", "key"].contains(&named));
                0
            }
        };
        assert!(first > page, "all granules are behind the first page");
        let place = match at {
            0 => place.to_owned(),
            at => at.to_string(),
        };
        let before = fs::read(&path).expect("a file");
        let argument = format!("{}|{how} {place}", path.display());
        let status = child::command(TEST, how, &argument)
            .status()
            .expect("a child");
        assert!(
            path.with_extension("ready").exists(),
            "{argument}: {status}"
        );
        let after = fs::read(&path).expect("a file");
        let records = SECTION.max(index)..first + granules * 64 + 8 * 33;
        let changed = records.filter(|at| before[*at] != after[*at]).count();
        match how {
            "open" => assert_eq!((status.code(), changed), (Some(0), 1), "{argument}"),
            _ => assert_eq!(
                (status.signal(), changed),
                (Some(libc::SIGSEGV), 0),
                "{argument}"
            ),
        }
        // What the dead reader had pinned is anybody's, and the record is whole or told.
        let mut cursor = stream.cursor(FIRST, Start::Oldest).expect("a cursor");
        let read = cursor.read(1).map(|read| {
            let record = read.iter().next().map(|record| record.data().to_vec());
            record.is_some_and(|found| found == data)
        });
        match (how, &*place) {
            ("open", "data" | "key") => {
                assert!(matches!(read, Err(Error::RecordDamaged { .. })), "{read:?}");
            }
            ("reading", _) => assert_eq!(read, Ok(true)),
            _ => {}
        }
    }
}

#[test]
fn what_lies_behind_the_first_page_is_read_only() {
    let dir = Dir::shm("stream-maps");
    let path = dir.file("q.ring");
    let stream = made(&path, StreamOptions::new().shards(3).max_shards(5));
    let writable = |maps: &[(std::ops::Range<usize>, usize, bool)]| -> usize {
        let mine = maps.iter().filter(|(_, _, is_writable)| *is_writable);
        mine.map(|(range, _, _)| range.len()).sum()
    };
    assert_eq!(writable(&mapped_at(&path)), LEN as usize);
    drop(stream);
    let reader = for_reading(&path);
    let maps = mapped_at(&path);
    let all: usize = maps.iter().map(|(range, _, _)| range.len()).sum();
    assert_eq!(all, LEN as usize);
    // Heads, pins, seats and feeds of five places; then the rest of that page.
    let front = SECTION + 384 + 5 * (384 + 64 * 16 + 20 * (16 + 8)) + 20 * 144;
    assert!(
        (front..front + 4096 + 512).contains(&writable(&maps)),
        "{maps:?}"
    );
    // A help after a death, or a drop, leaves nothing mapped.
    reader.tend().expect("a look");
    assert_eq!(mapped_at(&path), maps);
    drop(reader);
    assert!(mapped_at(&path).is_empty());
}

#[test]
fn what_would_change_is_refused() {
    let dir = Dir::shm("stream-refused");
    let path = dir.file("q.ring");
    let missing = Mapped::open_for_reading(&path).map(drop);
    assert_eq!(missing, Err(Error::NotFound));
    let region = Mapped::create(&path, LEN).expect("a region");
    let vacant = Mapped::open_for_reading(&path).map(drop);
    assert_eq!(vacant, Err(Error::Vacant));
    let options = StreamOptions::new().shards(2).max_shards(5);
    let writer = Stream::create(region, options).expect("a stream");
    let put = writer.put("a", b"one").expect("room");
    let tail = |stream: &Stream<Mapped>| {
        let stats = stream
            .shards()
            .map(|shard| stream.stat(shard).expect("figures"));
        stats.collect::<Vec<_>>()
    };
    let before = tail(&writer);
    let stream = for_reading(&path);
    let no = || Error::OpenedForReading;
    assert_eq!(stream.put("a", b"two"), Err(no()));
    let entry = StreamEntry::new("a", b"");
    assert_eq!(stream.put_entry(&entry.hash(0)), Err(no()));
    let batch = stream.put_batch(&[entry], |_, _| panic!("none was tried"));
    assert_eq!(batch, Err(no()));
    assert_eq!(stream.claim("a", 0).map(drop), Err(no()));
    let entries = [entry];
    let prepared = stream.prepare(&entries, |_, _| panic!("none was tried"));
    assert_eq!(prepared.map(drop), Err(no()));
    assert_eq!(stream.writer(FIRST).map(drop), Err(no()));
    let producer = StreamProducer::new(&stream, ProducerOptions::new());
    assert_eq!(producer.map(drop), Err(no()));
    assert_eq!(stream.split(FIRST, 1 << 100), Err(no()));
    let [one, other] = [0, 1].map(ShardId::from_number);
    assert_eq!(stream.merge(one, other), Err(no()));
    assert!(no().to_string().contains("opened for reading"));
    // As it was; and it is opened again with the same options, and not made anew.
    assert_eq!(tail(&writer), before);
    assert_eq!(stream.shards().count(), 2);
    drop(stream);
    let again = |options| {
        let region = Mapped::open_for_reading(&path).expect("a region");
        Stream::open_or_create(region, options).map(drop)
    };
    assert_eq!(again(options), Ok(()));
    assert!(matches!(
        again(options.shards(3)),
        Err(Error::OptionsDiffer { .. })
    ));
    let region = Mapped::open_for_reading(&path).expect("a region");
    assert_eq!(
        Stream::create(&region, options).map(drop),
        Err(Error::Occupied)
    );
    let queue = Queue::open(&region).map(drop);
    assert!(matches!(queue, Err(Error::Kind { .. })));
    assert_eq!(region.sync(), Ok(()));
    let mut cursor = writer.cursor(put.shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("a read").len(), 1);
    // A queue is none of this.
    let path = dir.file("queue");
    let region = Mapped::create(&path, LEN).expect("a region");
    let _queue = Queue::create(region, QueueOptions::new()).expect("a queue");
    let queue = Mapped::open_for_reading(&path).map(drop);
    assert!(matches!(queue, Err(Error::Kind { .. })));
}

#[test]
fn a_stream_on_demand_is_measured_by_others() {
    let dir = Dir::shm("stream-measured");
    let path = dir.file("q.ring");
    let clock = ManualClock::new(1_000_000);
    let region = Mapped::create(&path, LEN).expect("a region");
    let options = StreamOptions::new().capacity(ringmain::Capacity::OnDemand);
    let writer = Stream::create_with(region, options, &clock).expect("a stream");
    for n in 0..100 {
        writer.put("a", &body(n, 8)).expect("room");
    }
    clock.advance(Duration::from_secs(5));
    let region = Mapped::open_for_reading(&path).expect("a region");
    let reader = Stream::open_with(region, &clock).expect("a stream");
    reader.tend().expect("a look");
    assert_eq!(reader.demand().expect("figures").peak_records, 0);
    assert_eq!(reader.shrink(), Ok(0));
    writer.tend().expect("a look");
    assert!(reader.demand().expect("figures").peak_records > 0);
}

#[test]
fn readers_read_as_ever() {
    let dir = Dir::shm("stream-reads");
    let path = dir.file("q.ring");
    let options = StreamOptions::new()
        .full(FullPolicy::Evict)
        .segment(4096)
        .quota(true);
    let writer = made(&path, options);
    let reader = for_reading(&path);
    let puts: Vec<_> = (0..10)
        .map(|n| writer.put("a", &body(n, 20)).expect("room").sequence)
        .collect();
    let count = |start| {
        let mut cursor = reader.cursor(FIRST, start).expect("a cursor");
        let records = cursor.read(100).expect("a read");
        records.len()
    };
    assert_eq!(count(Start::Oldest), 10);
    assert_eq!(count(Start::At(puts[4])), 6);
    assert_eq!(count(Start::After(puts[4])), 5);
    assert_eq!(count(Start::Time(0)), 10);
    assert_eq!(count(Start::Latest), 0);
    // A seek to where no record has been is refused.
    let far = StreamSequence::from_u64(puts[9].as_u64() + 4096);
    assert!(reader.cursor(FIRST, Start::At(far)).is_err());

    // A wait ends by a put of another attachment.
    let mut cursor = reader.cursor(FIRST, Start::Latest).expect("a cursor");
    std::thread::scope(|scope| {
        let read = scope.spawn(|| cursor.read_timeout(1, SOON).map(|records| records.len()));
        while writer.stat(FIRST).expect("figures").readers == 0 {
            std::thread::yield_now();
        }
        writer.put("a", b"a wait's end").expect("room");
        assert_eq!(read.join().expect("no panic"), Ok(1));
    });

    // What is read in place stays, and holds the writers up; then it goes.
    let mut cursor = reader.cursor(FIRST, Start::Oldest).expect("a cursor");
    let records = cursor.read(3).expect("a read");
    let full = |stream: &Stream<Mapped>| {
        let batch = [StreamEntry::new("a", &[9; 1000]).hash(0); 50];
        let mut refused = None;
        while refused.is_none() && stream.stat(FIRST).expect("figures").evicted_segments < 20 {
            stream
                .put_batch(&batch, |_, outcome| {
                    if let Err(error) = outcome {
                        refused = Some(error);
                    }
                })
                .expect("a batch");
            // Quotas are of a second: those of puts are not what is asked about.
            if matches!(refused, Some(Error::ProvisionedThroughputExceeded { .. })) {
                std::thread::sleep(Duration::from_millis(50));
                refused = None;
            }
        }
        refused
    };
    let in_use = full(&writer);
    assert!(
        matches!(in_use, Some(Error::SegmentInUse { reading: true, .. })),
        "{in_use:?}"
    );
    assert_eq!(records.iter().next().expect("one").data(), body(0, 20));
    drop(records);
    assert_eq!(full(&writer), None);
    assert!(matches!(cursor.read(10), Err(Error::Lost { bytes: 1.. })));
    assert!(cursor.lag().expect("a lag").records > 0);
    let read = loop {
        // The quota of reads works through this region too.
        match cursor.read(10_000).map(|records| records.len()) {
            Ok(len) => break len,
            Err(error) => assert!(
                matches!(error, Error::ProvisionedThroughputExceeded { .. }),
                "{error}"
            ),
        }
    };
    assert!(read > 0);
}

#[test]
fn a_subscription_reads_a_closed_shard_to_its_end() {
    let dir = Dir::shm("stream-subscribed");
    let path = dir.file("q.ring");
    let writer = made(&path, StreamOptions::new().max_shards(3));
    let reader = for_reading(&path);
    let audit = reader.register_consumer("audit").expect("a consumer");
    assert_eq!(writer.consumers().expect("a list").count(), 1);
    let mut subscription = audit.subscribe(FIRST, Start::Oldest).expect("one");
    writer.put("a", b"one").expect("room");
    let len = subscription
        .next_records()
        .map(|records| records.map(|r| r.len()));
    assert_eq!(len, Ok(Some(1)));
    let children = writer.split(FIRST, 1 << 127).expect("a split");
    let end = subscription.run(|_| std::ops::ControlFlow::Continue(()));
    assert_eq!(
        end,
        Ok(SubscriptionEnd::ShardClosed {
            children: children.map(Some)
        })
    );
    drop(subscription);
    let gone = reader.deregister_consumer("audit");
    assert_eq!(
        (gone, writer.consumers().expect("a list").count()),
        (Ok(()), 0)
    );
}

/// Records of one granule each, so many that the headers of those behind them are not in the first
/// page of headers, which stays writable.
const FILLED: u32 = 700;

fn fill(stream: &Stream<Mapped>) {
    for n in 0..FILLED {
        stream.put("a", &body(n.into(), 8)).expect("room");
    }
}

/// A child that does not outlive this value.
struct Killed(std::process::Child);

impl Killed {
    fn kill(&mut self) {
        self.0.kill().expect("a kill");
        self.0.wait().expect("its end");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// Claims a record and waits to be killed.
fn claim(path: &str) {
    let stream = opened(Path::new(path));
    let _claim = stream.claim("a", 500).expect("room");
    stream.put("a", b"behind the claim").expect("room");
    fs::write(format!("{path}.held"), []).expect("a file");
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// With no writer left a reader finds out that the claimant has died, and reads on behind it.
#[test]
fn a_reader_alone_steps_over_what_the_dead_had_claimed() {
    const TEST: &str = "reading::a_reader_alone_steps_over_what_the_dead_had_claimed";
    if child::role().is_some() {
        return claim(&child::argument());
    }
    let dir = Dir::shm("stream-claimed");
    let path = dir.file("q.ring");
    fill(&made(&path, StreamOptions::new()));
    let reader = for_reading(&path);
    let mut cursor = reader.cursor(FIRST, Start::Latest).expect("a cursor");
    let mut child = Killed(
        child::command(TEST, "writer", path.to_str().expect("text"))
            .spawn()
            .expect("a child"),
    );
    let begun = Instant::now();
    while !path.with_extension("ring.held").exists() {
        assert!(begun.elapsed() < SOON, "the writer does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let held = cursor.read_timeout(10, Duration::from_millis(50));
    assert_eq!(
        held.map(|records| records.len()),
        Ok(0),
        "its claimant lives"
    );
    child.kill();
    let records = cursor.read_timeout(10, SOON).expect("a read");
    let data: Vec<_> = records
        .iter()
        .map(|record| record.data().to_vec())
        .collect();
    assert_eq!(data, [b"behind the claim"]);
    assert_eq!(reader.region().len(), LEN);
    // It has helped with its own hands: it was alone, and the claim is padding for all now.
    drop(records);
    let stat = opened(&path).stat(FIRST).expect("figures");
    assert_eq!(stat.readers, 1);
}

/// A split whose maker has died when it was announced, by the words that it leaves: a reader that
/// comes to the end of the parent completes it, which writes a header.
#[test]
fn a_reader_completes_a_split() {
    let dir = Dir::shm("stream-closing");
    let path = dir.file("q.ring");
    let stream = made(
        &path,
        StreamOptions::new()
            .max_shards(3)
            .segment(4096)
            .consumers(0),
    );
    fill(&stream);
    let tail = stream.stat(FIRST).expect("figures").tail.as_u64() & ((1 << 30) - 1);
    let granules = stream.stat(FIRST).expect("figures").capacity_bytes as usize / 64;
    let children = stream.split(FIRST, 1 << 127).expect("a split");
    drop(stream);
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .expect("a file");
    let word = |at: usize| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, (SECTION + at) as u64)
            .expect("a word");
        u64::from_le_bytes(bytes)
    };
    let set = |at: usize, value: u64| {
        let bytes = value.to_le_bytes();
        file.write_all_at(&bytes, (SECTION + at) as u64)
            .expect("a word");
    };
    // As docs/file-format-stream.md draws them: the change is closing again, by participant 5 who
    // is not there; the parent open, its children prepared, and no end in its log.
    let (idle, closing) = (word(256), 2);
    assert_eq!((idle & 0xfff, idle >> 12), (0, 1));
    set(256, (idle - (1 << 12)) | 5 << 2 | closing);
    let name = |place: usize| 384 + place * 384 + 128;
    for (place, found, state) in [(0, 3, 2), (1, 2, 1), (2, 2, 1)] {
        assert_eq!(word(name(place)) & 3, found, "place {place}");
        set(name(place), word(name(place)) & !3 | state);
    }
    let index = (384 + 3 * 384 + 3 * 64 * 16_usize).next_multiple_of(128);
    let headers = (index + 3 * granules / 64 * 8).next_multiple_of(128);
    let end = headers + tail as usize * 8;
    assert_eq!(word(end) >> 62, 3, "the end of the parent");
    set(end, 0);
    let writable = (SECTION + index).next_multiple_of(4096);
    assert!(
        SECTION + end >= writable,
        "its header is read-only to readers"
    );

    let reader = for_reading(&path);
    let info = reader.shard_info(FIRST).expect("a shard");
    assert!(info.is_open());
    let mut cursor = reader.cursor(FIRST, Start::Latest).expect("a cursor");
    assert_eq!(cursor.read(10).expect("no end yet").len(), 0);
    reader.tend().expect("a look"); // whoever tends completes it
    let read = cursor.read(10).map(|_| ());
    let children = children.map(|child| Some(child.number()));
    assert_eq!(read, Err(Error::ShardClosed { children }));
    assert_eq!(word(end) >> 62, 3);
    let put = opened(&path).put("a", b"two").expect("room");
    assert_ne!(put.shard, FIRST);
}
