//! Waiting for records: each change that readers see wakes all who wait for it, and nobody else;
//! and whoever dies, wherever, leaves nobody asleep beside a record.
//! `RINGMAIN_STREAM_ROUNDS` sets how often two wait for each other (default 5000).

use crate::common::filter::{self, Answer};
use crate::common::{Dir, child, number_of};
use crate::homes::Home;
use ringmain::{
    Cursor, Error, Heap, ManualClock, Mapped, Queue, QueueOptions, Region, ShardId, Start, Stream,
    StreamEntry, StreamOptions, wait_any,
};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const BYTES: usize = 1 << 20;
/// Long enough for a thread to fall asleep.
const ASLEEP: Duration = Duration::from_millis(60);
/// By then a death is known to the wardens. Sleeps are longer than that.
const SOON: Duration = Duration::from_secs(3);

/// A cursor behind the latest record of a shard.
pub fn latest<'s, R: Region, C: ringmain::Clock>(
    stream: &'s Stream<R, C>,
    shard: u32,
) -> Cursor<'s, R, C> {
    let shard = ShardId::from_number(shard);
    stream.cursor(shard, Start::Latest).expect("a cursor")
}

pub fn a_wait_ends_by_itself<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1000);
    let stream = home.stream(BYTES, StreamOptions::new(), &clock);
    let mut cursor = latest(&stream, 0);
    let begun = Instant::now();
    let wait = Duration::from_millis(40);
    assert!(cursor.read_timeout(10, wait).expect("a read").is_empty());
    assert!(begun.elapsed() >= wait);
    let at_once = cursor.read_timeout(10, Duration::ZERO).expect("a read");
    assert!(at_once.is_empty());
    drop(at_once);
    let refused = cursor.read_timeout(10, LONG + wait).err();
    assert!(matches!(
        refused,
        Some(Error::OutOfRange { value: 20_040, .. })
    ));
    let refused = cursor.read_timeout(0, LONG).err();
    assert!(matches!(refused, Some(Error::OutOfRange { value: 0, .. })));
    stream.put("a", b"there").expect("room");
    let records = cursor.read_timeout(10, LONG).expect("a read");
    assert_eq!(records.len(), 1);
}

/// What each of these does, done while a reader sleeps, wakes it; it reads so many records.
pub fn each_change_wakes<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1000);
    let streams = home.streams(BYTES, StreamOptions::new(), &clock);
    let (here, there) = (&streams[0], streams.last().expect("a stream"));
    let woken_by = |name: &str, count: usize, act: &(dyn Fn() + Sync)| {
        let mut cursor = latest(here, 0);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let begun = Instant::now();
                let records = cursor.read_timeout(100, LONG).expect("a read");
                (records.len(), begun.elapsed())
            });
            thread::sleep(ASLEEP);
            act();
            let (read, took) = reader.join().expect("ends");
            assert!(took < LONG / 2, "{name}: {took:?}");
            assert!((1..=count).contains(&read), "{name}: {read}");
        });
    };
    woken_by("put", 1, &|| {
        there.put("a", b"1").expect("room");
    });
    woken_by("batch", 3, &|| {
        let batch = [StreamEntry::new("a", b"1"); 3];
        let told = |_, outcome: Result<_, Error>| assert!(outcome.is_ok());
        there.put_batch(&batch, told).expect("a batch");
    });
    woken_by("commit", 1, &|| {
        there.claim("a", 5).expect("room").commit().expect("there");
    });
    // What lies behind a claim is seen when that is given up.
    let claim = std::sync::Mutex::new(None);
    woken_by("a claim that is given up", 1, &|| {
        let claimed = there.claim("a", 5).expect("room");
        there.put("a", b"behind it").expect("room");
        thread::sleep(ASLEEP);
        *claim.lock().expect("mine") = Some(());
        drop(claimed);
    });
    assert!(claim.into_inner().expect("mine").is_some());
}

pub fn all_who_wait_are_woken<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1000);
    let streams = home.streams(BYTES, StreamOptions::new(), &clock);
    let there = streams.last().expect("a stream");
    thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|n| {
                let mut cursor = latest(&streams[n % streams.len()], 0);
                scope.spawn(move || {
                    let records = cursor.read_timeout(1, LONG).expect("a read");
                    let data = records.iter().next().map(|record| record.data().to_vec());
                    data.expect("a record")
                })
            })
            .collect();
        thread::sleep(ASLEEP);
        let begun = Instant::now();
        there.put("a", b"for all").expect("room");
        for reader in readers {
            assert_eq!(reader.join().expect("ends"), b"for all");
        }
        assert!(begun.elapsed() < LONG / 2);
    });
}

/// Who waits at a shard is told of its end when it is split or merged.
pub fn a_closed_shard_wakes<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1000);
    let options = StreamOptions::new().max_shards(4);
    let streams = home.streams(4 * BYTES, options, &clock);
    let (here, there) = (&streams[0], streams.last().expect("a stream"));
    let mut children = Vec::new();
    for round in 0..2 {
        let shard = here.shard_of(0).expect("a shard");
        let mut cursor = here.cursor(shard, Start::Latest).expect("a cursor");
        let begun = Instant::now();
        let told = thread::scope(|scope| {
            let waiter = scope.spawn(|| cursor.read_timeout(1, LONG).map(drop));
            thread::sleep(ASLEEP);
            children = match round {
                0 => there.split(shard, 1 << 127).expect("a split").to_vec(),
                _ => vec![there.merge(children[0], children[1]).expect("a merge")],
            };
            waiter.join().expect("ends")
        });
        let child = |n: usize| children.get(n).map(|child| child.number());
        let children = [child(0), child(1)];
        assert_eq!(told, Err(Error::ShardClosed { children }));
        assert!(begun.elapsed() < LONG / 2);
    }
}

pub fn one_of_several_is_named<R: Region + Sync>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1000);
    let streams = home.streams(4 * BYTES, StreamOptions::new().shards(3), &clock);
    let (here, there) = (&streams[0], streams.last().expect("a stream"));
    let queue = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
    let queue = queue.expect("a queue");
    for round in 0..4 {
        let mut cursors = [0, 1, 2].map(|shard| latest(here, shard));
        let [a, b, c] = &cursors;
        let found = thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_any(&[a, b, c, &queue], LONG));
            thread::sleep(ASLEEP);
            match round {
                3 => queue.send(b"a message").map(|_| ()).expect("sent"),
                shard => {
                    let hash = here
                        .shard_info(ShardId::from_number(shard))
                        .expect("it")
                        .hashes
                        .0;
                    let entry = StreamEntry::new("a", b"a record").hash(hash);
                    there.put_entry(&entry).map(|_| ()).expect("room");
                }
            }
            waiter.join().expect("ends").expect("a wait")
        });
        assert_eq!(found, Some(round as usize));
        if let Some(cursor) = cursors.get_mut(round as usize) {
            assert_eq!(cursor.read(10).expect("a read").len(), 1);
        }
    }
    // A message that nobody has received is there at once.
    let cursor = latest(here, 0);
    assert_eq!(wait_any(&[&cursor, &queue], LONG), Ok(Some(1)));
    let none = wait_any(&[&cursor], Duration::from_millis(30));
    assert_eq!(none, Ok(None));
}

/// Puts in shard `to` and waits for an answer in its cursor's shard, or answers.
fn play<R: Region, C: ringmain::Clock>(
    stream: &Stream<R, C>,
    cursor: &mut Cursor<'_, R, C>,
    to: u32,
    begins: bool,
) {
    let info = stream.shard_info(ShardId::from_number(to));
    let hash = info.expect("a shard").hashes.0;
    let put = |round: u64| {
        let bytes = round.to_le_bytes();
        let entry = StreamEntry::new("a", &bytes).hash(hash);
        stream.put_entry(&entry).expect("room");
    };
    for round in 0..number_of("RINGMAIN_STREAM_ROUNDS", 5000) {
        if begins {
            put(round);
        }
        let begun = Instant::now();
        let records = cursor.read_timeout(1, LONG).expect("a read").len();
        assert_eq!(records, 1, "asleep beside a record, round {round}");
        // Not by itself either, after the longest sleep.
        assert!(begun.elapsed() < SOON, "asleep too long, round {round}");
        if !begins {
            put(round);
        }
    }
}

/// Two that wait for each other, each with a stream of its own: whoever sleeps beside a record
/// stops both.
fn no_wake_up_is_lost<R: Region + Sync>(streams: &[Stream<R>; 2]) {
    let [a, b] = streams;
    let (mut first, mut second) = (latest(a, 0), latest(b, 1));
    thread::scope(|scope| {
        scope.spawn(move || play(b, &mut second, 0, false));
        scope.spawn(move || play(a, &mut first, 1, true));
    });
}

pub fn options() -> StreamOptions {
    StreamOptions::new()
        .shards(2)
        .full(ringmain::FullPolicy::Evict)
}

#[test]
fn no_wake_up_is_lost_in_the_heap() {
    let region = std::sync::Arc::new(Heap::new(BYTES).expect("memory"));
    let one = Stream::create(std::sync::Arc::clone(&region), options()).expect("a stream");
    let other = Stream::open(region).expect("the stream");
    no_wake_up_is_lost(&[one, other]);
}

#[test]
fn no_wake_up_is_lost_in_a_file() {
    let dir = Dir::shm("stream-rounds");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, BYTES as u64).expect("a region");
    let one = Stream::create(region, options()).expect("a stream");
    no_wake_up_is_lost(&[one, opened(&path)]);
}

pub fn opened(path: &Path) -> Stream<Mapped> {
    Stream::open(Mapped::open(path).expect("the region")).expect("the stream")
}

/// How often the calling thread has gone to sleep.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("its status");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.expect("a line").trim().parse().expect("a count")
}

#[test]
fn a_record_wakes_nobody_at_another_shard() {
    let dir = Dir::shm("stream-others");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, BYTES as u64).expect("a region");
    let stream = Stream::create(region, options()).expect("a stream");
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let mut cursor = latest(&stream, 1);
                scope.spawn(move || {
                    let before = sleeps();
                    let wait = Duration::from_millis(1500);
                    let records = cursor.read_timeout(1, wait).expect("a read");
                    assert!(records.is_empty());
                    sleeps() - before
                })
            })
            .collect();
        let mut cursor = latest(&stream, 0);
        let awake = scope.spawn(move || {
            let mut read = 0;
            while read < 2000 {
                let records = cursor.read_timeout(100, LONG).expect("a read");
                assert!(!records.is_empty());
                read += records.len();
            }
        });
        for n in 0..2000_u32 {
            let bytes = n.to_le_bytes();
            let entry = StreamEntry::new("a", &bytes).hash(0);
            stream.put_entry(&entry).expect("room");
            if n % 100 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        awake.join().expect("ends");
        for waiter in waiters {
            let slept = waiter.join().expect("ends");
            assert!(slept < 20, "woken {slept} times");
        }
    });
}

// ---- deaths

/// A child that has said that it is ready.
pub struct Ready(Child, BufReader<std::process::ChildStdout>);

impl Ready {
    pub fn start(test: &str, role: &str, path: &Path) -> Self {
        let mut command = child::command(test, role, path.to_str().expect("a path in UTF-8"));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a child");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut ready = Self(child, said);
        ready.hears("ready");
        ready
    }

    fn hears(&mut self, word: &str) {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert_ne!(self.1.read_line(&mut line).expect("a line"), 0, "no {word}");
        }
    }

    pub fn go(&mut self) {
        drop(self.0.stdin.take());
    }

    pub fn kill(&mut self) {
        self.0.kill().expect("SIGKILL");
        self.0.wait().expect("its end");
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn say(word: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{word}").and_then(|()| out.flush());
}

fn until_told() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

pub fn as_child(role: &str) {
    let path = child::argument();
    let stream = opened(Path::new(&path));
    match role {
        "claims" => {
            let claim = stream.claim("a", 9).expect("room");
            say("ready");
            until_told();
            drop(claim);
        }
        "puts" => {
            say("ready");
            until_told();
            stream.put("a", b"from there").expect("room");
        }
        // Has committed, and goes to wake a sleeper.
        "dies before it wakes" | "stands still before it wakes" => {
            say("ready");
            until_told();
            let dies = role == "dies before it wakes";
            let answer = if dies {
                Answer::Death
            } else {
                Answer::Standstill
            };
            filter::set(libc::SYS_futex, answer);
            let _ = stream.put("a", b"committed");
            panic!("nobody was asleep");
        }
        "waits" => {
            let mut cursor = latest(&stream, 0);
            say("ready");
            let _ = cursor.read_timeout(1, LONG);
        }
        // Waits where the kernel has no inotify instance left.
        "waits unwatched" => {
            filter::set(libc::SYS_inotify_init1, Answer::Error(libc::EMFILE));
            let start = Start::Oldest;
            let mut cursor = stream
                .cursor(stream.shard_of(0).expect("a shard"), start)
                .expect("a cursor");
            say("ready");
            assert_eq!(cursor.read_timeout(1, LONG).expect("a read").len(), 1);
            say("read");
        }
        // Waits where a thread can sleep at one place only.
        "waits at one" => {
            filter::set(libc::SYS_futex_waitv, Answer::Error(libc::ENOSYS));
            let queue = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
            let cursor = latest(&stream, 0);
            say("ready");
            let found = wait_any(&[&queue.expect("a queue"), &cursor], LONG);
            assert_eq!(found, Ok(Some(1)));
            say("read");
        }
        other => panic!("no role {other}"),
    }
}

pub fn created(dir: &Dir) -> (std::path::PathBuf, Stream<Mapped>) {
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, BYTES as u64).expect("a region");
    let stream = Stream::create(region, StreamOptions::new()).expect("a stream");
    (path, stream)
}

/// A reader of this process sleeps, and then `act` is done to a child: how long until it has read.
fn woken_after(stream: &Stream<Mapped>, act: impl FnOnce()) -> Duration {
    let mut cursor = latest(stream, 0);
    woken_at(&mut cursor, act)
}

fn woken_at(
    cursor: &mut Cursor<'_, Mapped, ringmain::DefaultClock>,
    act: impl FnOnce(),
) -> Duration {
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = cursor.read_timeout(1, LONG).expect("a read").len();
            assert_eq!(read, 1, "asleep beside a record");
            Instant::now()
        });
        thread::sleep(ASLEEP);
        let begun = Instant::now();
        act();
        reader
            .join()
            .expect("ends")
            .saturating_duration_since(begun)
    })
}

#[test]
fn a_put_of_another_process_wakes() {
    const TEST: &str = "waiting::a_put_of_another_process_wakes";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-wakes");
    let (path, stream) = created(&dir);
    let mut writer = Ready::start(TEST, "puts", &path);
    let took = woken_after(&stream, || writer.go());
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_committer_that_dies_before_it_wakes() {
    const TEST: &str = "waiting::a_committer_that_dies_before_it_wakes";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-dies");
    let (path, stream) = created(&dir);
    for _ in 0..5 {
        let mut victim = Ready::start(TEST, "dies before it wakes", &path);
        let took = woken_after(&stream, || victim.go());
        println!("woken {took:?} after its committer was told to die");
        assert!(took < SOON, "{took:?}");
    }
}

#[test]
fn a_committer_that_stands_still_before_it_wakes() {
    const TEST: &str = "waiting::a_committer_that_stands_still_before_it_wakes";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-stands");
    let (path, stream) = created(&dir);
    let mut victim = Ready::start(TEST, "stands still before it wakes", &path);
    let took = woken_after(&stream, || victim.go());
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_claim_of_the_dead_wakes_who_stands_before_it() {
    const TEST: &str = "waiting::a_claim_of_the_dead_wakes_who_stands_before_it";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-claims");
    let (path, stream) = created(&dir);
    for _ in 0..5 {
        let mut cursor = latest(&stream, 0);
        let mut victim = Ready::start(TEST, "claims", &path);
        stream.put("a", b"behind it").expect("room");
        let took = woken_at(&mut cursor, || victim.kill());
        println!("woken {took:?} after the kill");
        assert!(took < SOON, "{took:?}");
    }
}

#[test]
fn unwatched_waiters_look_for_themselves() {
    const TEST: &str = "waiting::unwatched_waiters_look_for_themselves";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-naps");
    let (path, stream) = created(&dir);
    let mut victim = Ready::start(TEST, "claims", &path);
    stream.put("a", b"behind it").expect("room");
    drop(stream); // nobody else asks who has died
    let mut waiter = Ready::start(TEST, "waits unwatched", &path);
    thread::sleep(ASLEEP);
    let begun = Instant::now();
    victim.kill();
    waiter.hears("read");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn who_can_sleep_at_one_place_looks_at_the_others() {
    const TEST: &str = "waiting::who_can_sleep_at_one_place_looks_at_the_others";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-one");
    let (path, stream) = created(&dir);
    let mut waiter = Ready::start(TEST, "waits at one", &path);
    thread::sleep(ASLEEP);
    stream.put("a", b"a record").expect("room");
    let begun = Instant::now();
    waiter.hears("read");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[test]
fn a_killed_waiter_leaves_nothing() {
    const TEST: &str = "waiting::a_killed_waiter_leaves_nothing";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("stream-waiter");
    let (path, stream) = created(&dir);
    for _ in 0..3 {
        let mut waiter = Ready::start(TEST, "waits", &path);
        thread::sleep(ASLEEP);
        waiter.kill();
        stream.put("a", b"for nobody").expect("room");
        let took = woken_after(&stream, || {
            stream.put("a", b"for one who lives").expect("room");
        });
        assert!(took < SOON, "{took:?}");
    }
}

#[test]
fn a_file_that_is_cut_short_ends_a_wait() {
    let dir = Dir::shm("stream-cut");
    let (path, stream) = created(&dir);
    let mut cursor = latest(&stream, 0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| cursor.read_timeout(1, LONG).map(|records| records.len()));
        thread::sleep(ASLEEP);
        let begun = Instant::now();
        let file = std::fs::File::options().write(true).open(&path);
        let file = file.expect("opened");
        file.set_len(BYTES as u64 / 2).expect("cut short");
        drop(file); // which the warden is told of
        let ended = reader.join().expect("ends");
        assert!(matches!(ended, Err(Error::Truncated { .. })), "{ended:?}");
        assert!(begun.elapsed() < LONG / 2);
    });
}
