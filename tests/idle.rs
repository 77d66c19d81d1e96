//! Waiting at rest: a hundred consumers in five processes sleep on an empty queue and use next to
//! no processor; a message wakes one of them. A participant that is killed, with a message in hand
//! or between publishing and waking, and a sender that stands still there, leave nobody asleep
//! beside a message. Readers of a stream rest as well. So it is, with 8 ms naps, where the kernel
//! has no inotify instance left.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

use common::filter::{self, Answer};
use common::{Dir, child};
use ringmain::{Mapped, Queue, QueueOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const TEN: (usize, Duration) = (10, Duration::from_millis(100));

/// One test at a time: they measure, and count threads of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A child that has said that it is ready.
struct Ready(Child, Box<dyn BufRead>);

impl Ready {
    fn start(test: &str, role: &str, path: &Path) -> Self {
        let mut command = child::command(test, role, path.to_str().expect("a path in UTF-8"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut ready = Self(child, Box::new(said));
        ready.hears("ready");
        ready
    }

    /// Reads until the child says `word`; what it says is a line of its own, or ends one.
    fn hears(&mut self, word: &str) -> String {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert_ne!(self.1.read_line(&mut line).expect("a line"), 0, "no {word}");
        }
        line
    }

    fn go(&mut self) {
        let mut input = self.0.stdin.as_ref().expect("its input");
        input.write_all(b"go\n").expect("a word");
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "\n{word}").and_then(|()| out.flush());
}

fn wait_for_word() {
    let mut word = String::new();
    let _ = std::io::stdin().read_line(&mut word);
    if word.is_empty() {
        std::process::exit(0); // the parent has gone
    }
}

fn create(path: &Path) -> Queue<Mapped> {
    let region = Mapped::create(path, 1 << 20).expect("a region");
    Queue::create(region, QueueOptions::new()).expect("a queue")
}

fn open(path: &Path) -> Queue<Mapped> {
    Queue::open(Mapped::open(path).expect("a region")).expect("a queue")
}

// ---- what children do

const ATTACHMENTS: usize = 2;
const THREADS: usize = 10;

/// Twenty threads over two attachments, each of which receives and receives.
fn consume(path: &Path) {
    let queues: Vec<_> = (0..ATTACHMENTS).map(|_| open(path)).collect();
    thread::scope(|scope| {
        for queue in &queues {
            for _ in 0..THREADS {
                let named = thread::Builder::new().name("consumer".into());
                let consumer = || {
                    loop {
                        if let Some(received) = queue.receive_timeout(LONG).expect("received") {
                            received.delete().expect("deleted");
                            say("received");
                        }
                    }
                };
                named.spawn_scoped(scope, consumer).expect("a thread");
            }
        }
        say("ready");
        wait_for_word();
        std::process::exit(0);
    });
}

fn as_child(role: &str) {
    let path = child::argument();
    let path = Path::new(&path);
    match role {
        "consumers" => consume(path),
        #[cfg(feature = "stream")]
        "readers" => streams::read(path),
        // Holds a message until it is killed.
        "holder" => {
            let queue = open(path);
            let held = queue.receive().expect("received").expect("a message");
            say("ready");
            wait_for_word();
            drop(held);
        }
        // Dies, or stands still, when it has published and goes to wake a sleeper.
        "sender that dies" | "sender that stops" => {
            let queue = open(path);
            say("ready");
            wait_for_word();
            let dies = role == "sender that dies";
            filter::set(
                libc::SYS_futex,
                if dies {
                    Answer::Death
                } else {
                    Answer::Standstill
                },
            );
            let _ = queue.send(b"published");
            panic!("nobody was asleep");
        }
        // Waits where the kernel has no inotify instance left.
        "without a warden" => {
            filter::set(libc::SYS_inotify_init1, Answer::Error(libc::EMFILE));
            let queue = open(path);
            say("ready");
            let received = queue.receive_timeout(LONG).expect("received");
            received.expect("woken").delete().expect("deleted");
            assert_eq!(threads("ringmain-warden").len(), 0);
            say("received");
            wait_for_word();
        }
        other => panic!("no role {other}"),
    }
}

/// This process's threads of that name.
fn threads(name: &str) -> Vec<String> {
    threads_of(std::process::id(), name)
}

/// The directories of a process's threads of that name; of all for an empty one.
fn threads_of(pid: u32, name: &str) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
    let dirs = tasks.map(|task| task.expect("a thread").path().display().to_string());
    let is_named = |dir: &String| {
        let comm = std::fs::read_to_string(format!("{dir}/comm")).unwrap_or_default();
        name.is_empty() || comm.trim_end() == name
    };
    dirs.filter(is_named).collect()
}

/// The processor time of a process, all its threads, by the scheduler's own count.
fn processor_time(pid: u32) -> Duration {
    let of_thread = |dir: String| {
        let text = std::fs::read_to_string(format!("{dir}/schedstat")).unwrap_or_default();
        let nanos = text.split_whitespace().next().map_or(Ok(0), str::parse);
        Duration::from_nanos(nanos.expect("nanoseconds"))
    };
    threads_of(pid, "").into_iter().map(of_thread).sum()
}

/// How often each of a process's consumers has gone to sleep.
fn sleeps(pid: u32) -> Vec<u64> {
    let of_thread = |dir: String| {
        let status = std::fs::read_to_string(format!("{dir}/status")).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse().expect("a count"))
    };
    let mut dirs = threads_of(pid, "consumer");
    dirs.sort();
    dirs.into_iter().map(of_thread).collect()
}

/// Processes that wait use next to no processor once their wardens are at rest.
fn they_rest(pids: &[u32], who: &str) {
    let all_time = || pids.iter().map(|&pid| processor_time(pid)).sum();
    thread::sleep(Duration::from_secs(6)); // until the wardens are at rest
    let (before, begun): (Duration, _) = (all_time(), Instant::now());
    thread::sleep(Duration::from_secs(5));
    let after: Duration = all_time();
    let (used, passed) = (after - before, begun.elapsed());
    let share = used.as_secs_f64() / passed.as_secs_f64();
    println!("{who}: {:.4} % of a core", share * 100.0);
    assert!(share < 0.005, "{used:?} in {passed:?}");
}

// ---- the tests

#[test]
fn a_hundred_waiters_rest() {
    const TEST: &str = "a_hundred_waiters_rest";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle");
    let path = dir.file("q.ring");
    let queue = create(&path);
    let mut crew: Vec<_> = (0..5)
        .map(|_| Ready::start(TEST, "consumers", &path))
        .collect();
    let pids: Vec<u32> = crew.iter().map(|ready| ready.0.id()).collect();
    they_rest(&pids, "100 waiters, 10 attachments, 5 processes");

    let all_sleeps = || pids.iter().flat_map(|&pid| sleeps(pid)).collect::<Vec<_>>();
    let mut woken = Vec::new();
    for _ in 0..5 {
        let before = all_sleeps();
        assert_eq!(before.len(), 100);
        queue.send(b"for one").expect("sent");
        thread::sleep(Duration::from_millis(100));
        let after = all_sleeps();
        woken.push(after.iter().zip(&before).filter(|(a, b)| a != b).count());
        let stat = queue.stat().expect("figures");
        assert_eq!(stat.slots_free, stat.slots, "received and deleted");
    }
    println!("consumers woken by each of five messages: {woken:?}");
    // A look of a warden in the very moment between send and receive wakes another one.
    assert!(
        woken.iter().filter(|&&count| count == 1).count() >= 3,
        "{woken:?}"
    );
    crew.iter_mut().for_each(Ready::go);
}

/// A waiter of this process sleeps for `asleep`, and then somebody dies; `times` times. How long it
/// took from the death until it had what was left.
fn after_deaths(
    test: &str,
    role: &str,
    path: &Path,
    (times, asleep): (usize, Duration),
) -> Vec<Duration> {
    let queue = create(path);
    let mut took: Vec<_> = (0..times)
        .map(|_| {
            let holds = role == "holder";
            if holds {
                queue.send(b"held").expect("sent");
            }
            let mut victim = Ready::start(test, role, path);
            thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let received = queue.receive_timeout(LONG).expect("received");
                    let now = Instant::now();
                    received
                        .expect("woken by the death")
                        .delete()
                        .expect("deleted");
                    now
                });
                thread::sleep(asleep);
                let begun = Instant::now();
                if holds {
                    victim.0.kill().expect("SIGKILL");
                } else {
                    victim.go();
                }
                waiter.join().expect("ends") - begun
            })
        })
        .collect();
    took.sort();
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
    println!(
        "{role}: median {:?}, longest {:?}",
        took[times / 2],
        took[times - 1]
    );
    took
}

#[test]
fn what_a_killed_one_held_wakes_a_waiter() {
    const TEST: &str = "what_a_killed_one_held_wakes_a_waiter";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle-death");
    let took = after_deaths(TEST, "holder", &dir.file("q.ring"), TEN);
    assert!(took[5] < Duration::from_millis(200), "{took:?}");
    assert!(took[9] < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_sender_that_dies_before_it_wakes() {
    const TEST: &str = "a_sender_that_dies_before_it_wakes";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle-sender");
    let took = after_deaths(TEST, "sender that dies", &dir.file("q.ring"), TEN);
    assert!(took[5] < Duration::from_millis(200), "{took:?}");
    assert!(took[9] < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_sender_that_stands_still_before_it_wakes() {
    const TEST: &str = "a_sender_that_stands_still_before_it_wakes";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle-stop");
    let at_rest = (1, Duration::from_secs(6)); // the wardens look every four seconds
    let took = after_deaths(TEST, "sender that stops", &dir.file("q.ring"), at_rest);
    assert!(took[0] < Duration::from_secs(10), "{took:?}");
}

#[test]
fn without_a_warden_waiters_look_for_themselves() {
    const TEST: &str = "without_a_warden_waiters_look_for_themselves";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle-naps");
    let path = dir.file("q.ring");
    let queue = create(&path);
    queue.send(b"held").expect("sent");
    let mut holder = Ready::start(TEST, "holder", &path);
    let mut waiter = Ready::start(TEST, "without a warden", &path);
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    holder.0.kill().expect("SIGKILL");
    waiter.hears("received");
    println!("without a warden: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(3));
    waiter.go();
}

#[test]
fn closes_by_others_are_harmless() {
    let _alone = alone();
    let dir = Dir::shm("idle-closes");
    let path = dir.file("q.ring");
    let queue = create(&path);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.receive_timeout(LONG).map(|r| r.map(|m| m.delete())));
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            let file = std::fs::File::options().append(true).open(&path);
            drop(file.expect("opened"));
            drop(Mapped::open(&path).expect("attached"));
        }
        // The name goes; the watch is on the file.
        std::fs::remove_file(&path).expect("removed");
        queue.send(b"at last").expect("sent");
        let received = waiter.join().expect("ends").expect("received");
        received.expect("woken").expect("deleted");
    });
    assert_eq!(threads("ringmain-warden").len(), 1, "it stays for a while");
    drop(queue);
    assert_eq!(
        threads("ringmain-warden").len(),
        0,
        "and ends with its region"
    );
}

#[test]
fn a_name_that_was_never_opened_goes_last() {
    const TEST: &str = "a_name_that_was_never_opened_goes_last";
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let _alone = alone();
    let dir = Dir::shm("idle-links");
    let (path, link) = (dir.file("q.ring"), dir.file("link.ring"));
    let queue = create(&path);
    std::fs::hard_link(&path, &link).expect("a link");
    queue.send(b"held").expect("sent");
    let mut holder = Ready::start(TEST, "holder", &path);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let received = queue.receive_timeout(LONG).expect("received");
            received
                .expect("woken by the death")
                .delete()
                .expect("deleted");
        });
        thread::sleep(Duration::from_millis(100));
        std::fs::remove_file(&path).expect("removed");
        std::fs::remove_file(&link).expect("removed"); // the kernel drops the watch
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        holder.0.kill().expect("SIGKILL");
        waiter.join().expect("ends");
        println!("after the last name: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(3));
    });
}

/// Two sleep, and one message comes. One of them keeps it in flight for `visibility`, which the
/// other, asleep, knows nothing of; how long the other waits for it.
fn after_a_timeout(path: &Path, queues: Duration, visibility: Option<Duration>) -> Duration {
    let region = Mapped::create(path, 1 << 20).expect("a region");
    let options = QueueOptions::new().visibility(queues);
    let queue = Queue::create(region, options).expect("a queue");
    let others = open(path);
    // When it was sent, which no receive is before; and whether one has received it.
    let begun = Mutex::new((Instant::now(), false));
    thread::scope(|scope| {
        let waiters = [&queue, &others].map(|queue| {
            let begun = &begun;
            scope.spawn(move || {
                let received = queue.receive_timeout(LONG).expect("received");
                let mut held = received.expect("a message");
                let (sent, again) = {
                    let mut begun = begun.lock().expect("a time");
                    (begun.0, std::mem::replace(&mut begun.1, true))
                };
                if again {
                    held.delete().expect("deleted");
                    return sent.elapsed();
                }
                if let Some(visibility) = visibility {
                    held.extend(visibility).expect("extended");
                }
                Duration::ZERO
            })
        });
        thread::sleep(Duration::from_millis(50));
        begun.lock().expect("a time").0 = Instant::now();
        queue.send(b"twice").expect("sent");
        waiters
            .map(|waiter| waiter.join().expect("ends"))
            .into_iter()
            .sum()
    })
}

#[test]
fn what_becomes_due_while_all_sleep_wakes() {
    let _alone = alone();
    let dir = Dir::shm("idle-due");
    let second = Duration::from_secs(1);
    let whole = after_a_timeout(&dir.file("1.ring"), second, None);
    println!("the queue's own timeout of 1 s: {whole:?}");
    assert!(whole > second * 9 / 10 && whole < second * 4, "{whole:?}");
    let (long, short) = (second * 30, second / 5);
    let short_one = after_a_timeout(&dir.file("2.ring"), long, Some(short));
    println!("a timeout made 200 ms: {short_one:?}");
    assert!(
        short_one > short * 9 / 10 && short_one < second * 3,
        "{short_one:?}"
    );
}

/// Readers of a stream: each sleeps for its shard, and a record wakes those of its shard alone.
#[cfg(feature = "stream")]
mod streams {
    use super::*;
    use ringmain::{ShardId, Start, Stream, StreamEntry, StreamOptions};

    const SHARDS: u32 = 2;

    /// Twenty threads over two attachments, each of which reads and reads: those of even numbers in
    /// the first shard, the others in the second.
    pub fn read(path: &Path) {
        let open = || Stream::open(Mapped::open(path).expect("a region")).expect("a stream");
        let streams: Vec<_> = (0..ATTACHMENTS).map(|_| open()).collect();
        thread::scope(|scope| {
            for stream in &streams {
                for number in 0..THREADS as u32 {
                    let shard = ShardId::from_number(number % SHARDS);
                    let mut cursor = stream.cursor(shard, Start::Latest).expect("a cursor");
                    let named = thread::Builder::new().name("consumer".into());
                    let reader = move || {
                        loop {
                            drop(cursor.read_timeout(10, LONG).expect("a read"));
                        }
                    };
                    named.spawn_scoped(scope, reader).expect("a thread");
                }
            }
            say("ready");
            wait_for_word();
            std::process::exit(0);
        });
    }

    #[test]
    fn forty_readers_rest() {
        const TEST: &str = "streams::forty_readers_rest";
        if let Some(role) = child::role() {
            return as_child(&role);
        }
        let _alone = alone();
        let dir = Dir::shm("idle-readers");
        let path = dir.file("q.ring");
        let region = Mapped::create(&path, 1 << 20).expect("a region");
        let stream = Stream::create(region, StreamOptions::new().shards(SHARDS));
        let stream = stream.expect("a stream");
        let mut crew: Vec<_> = (0..2)
            .map(|_| Ready::start(TEST, "readers", &path))
            .collect();
        let pids: Vec<u32> = crew.iter().map(|ready| ready.0.id()).collect();
        they_rest(&pids, "40 readers, 4 attachments, 2 processes");
        let all_sleeps = || pids.iter().flat_map(|&pid| sleeps(pid)).collect::<Vec<_>>();
        let mut woken = Vec::new();
        for _ in 0..5 {
            let before = all_sleeps();
            assert_eq!(before.len(), 40);
            let entry = StreamEntry::new("a", b"for half of them").hash(0);
            stream.put_entry(&entry).expect("room");
            let count = || {
                let after = all_sleeps();
                after.iter().zip(&before).filter(|(a, b)| a != b).count()
            };
            // All of them have their turn, however busy the machine is; then others would.
            let begun = Instant::now();
            while count() < 20 && begun.elapsed() < LONG {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_millis(50));
            woken.push(count());
        }
        println!("readers woken by each of five records: {woken:?}");
        // All look by themselves once in four seconds.
        assert!(
            woken.iter().filter(|&&count| count == 20).count() >= 3,
            "{woken:?}"
        );
        crew.iter_mut().for_each(Ready::go);
    }
}
