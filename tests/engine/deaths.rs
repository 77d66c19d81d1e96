//! Deaths of creators, deleters and those who change policies: at each system call that they make,
//! and at random. After each the engine is whole but for what `verify` may find, usable, and clean
//! when somebody has tended.

use crate::common::{Dir, Numbers, child, number_of};
use crate::delete::turmoil;
use crate::{in_shm, is_clean, small, tracer};
use ringmain::{Durability, Engine, EngineQueue, Error, Problem, QueueOptions, QueueSpec};
use std::path::Path;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

fn journaled() -> QueueSpec {
    let options = QueueOptions::new().durability(Durability::BeforeOk);
    small().options(options.typical_body(1000))
}

/// What a death may leave: nothing that is damaged, and nothing of queues that it did not touch.
/// How much there is.
fn may_be_left(engine: &Engine, untouched: &[&str]) -> usize {
    let findings = engine.verify().expect("a report").findings;
    for finding in &findings {
        let left = matches!(
            finding.problem,
            Problem::HalfMade
                | Problem::HalfDeleted
                | Problem::HalfChanged
                | Problem::MetadataAlone
                | Problem::JournalAlone
                | Problem::Unnamed
        );
        // A deletion that has begun takes the journal and the metadata first.
        let of = finding.file.split('.').next().unwrap_or("");
        assert!(left && !untouched.contains(&of), "{finding}");
    }
    findings.len()
}

fn works(queue: &EngineQueue) {
    queue.send(b"works").expect("room");
    let received = queue.receive().expect("received").expect("a message");
    assert_eq!(received.body(), b"works");
    received.delete().expect("deleted");
}

/// Lets `act` die at each of its system calls in turn. `prepare` makes what it begins with, `check`
/// looks at what is there afterwards.
pub fn at_each_call<T>(
    prepare: impl Fn(&Engine) -> T,
    act: impl Fn(&Engine),
    check: impl Fn(&Engine, usize, T),
) {
    let (dir, survivor) = in_shm("deaths");
    let path = dir.path();
    let mut left = 0;
    for stops in 0.. {
        let prepared = prepare(&survivor);
        let died = tracer::dies_at(stops, || dying(path, &act));
        left += may_be_left(&survivor, &["other"]);
        check(&survivor, stops, prepared);
        survivor.tend().expect("tended");
        is_clean(&survivor);
        for name in survivor.queues("").expect("names") {
            survivor.delete_queue(&name).expect("deleted");
        }
        #[cfg(feature = "stream")]
        for name in survivor.streams("").expect("names") {
            survivor.delete_stream(&name).expect("deleted");
        }
        assert_eq!(dir.names(), ["ringmain.engine"], "after {stops} stops");
        if !died {
            assert!(
                stops > 20 && left > 5,
                "{stops} stops have left {left} things"
            );
            return;
        }
    }
}

fn dying(path: &Path, act: &impl Fn(&Engine)) {
    let engine = Engine::open(path).expect("an engine");
    act(&engine);
}

#[test]
fn a_creator_dies_at_each_call() {
    for spec in [small(), journaled()] {
        at_each_call(
            |_| {},
            |engine| {
                engine
                    .create_queue("q", &spec.clone().tag("k", "v"))
                    .expect("a queue");
            },
            |engine, stops, ()| {
                let there = engine.queues("q").expect("names");
                let opened = engine.open_queue("q");
                match there.len() {
                    0 => assert_eq!(opened.map(|_| ()), Err(Error::NoQueue)),
                    _ => works(&opened.expect("it is whole")),
                }
                let queue = engine.create_queue("q", &spec.clone().tag("k", "v"));
                works(&queue.unwrap_or_else(|error| panic!("after {stops} stops: {error}")));
                assert_eq!(engine.describe("q").expect("it").tags["k"], "v");
            },
        );
    }
}

#[test]
fn a_deleter_dies_at_each_call() {
    for spec in [small(), journaled()] {
        at_each_call(
            |engine| {
                let queue = engine.create_queue("q", &spec).expect("a queue");
                queue.send(b"old").expect("room");
            },
            |engine| engine.delete_queue("q").expect("deleted"),
            |engine, stops, ()| match engine.open_queue("q") {
                Ok(queue) => assert_eq!(queue.stat().expect("figures").visible, 1),
                Err(error) => {
                    assert_eq!(error, Error::NoQueue, "after {stops} stops");
                    assert_eq!(engine.queues("").expect("names"), [""; 0]);
                    let queue = engine.create_queue("q", &spec).expect("another one");
                    works(&queue);
                }
            },
        );
    }
}

/// A handle of the survivor waits while another process dies over the deletion: it is told by the
/// one that died, or by who meets what that one has left; or the deletion had not begun.
#[test]
fn who_waits_is_told_by_who_finishes_a_deletion() {
    at_each_call(
        |engine| {
            let queue = engine.create_queue("q", &small()).expect("a queue");
            std::thread::spawn(move || {
                let begun = Instant::now();
                let told = queue.receive_timeout(LONG).err();
                (told, begun.elapsed())
            })
        },
        |engine| engine.delete_queue("q").expect("deleted"),
        |engine, stops, waiter| {
            if !engine.queues("").expect("names").is_empty() {
                engine.delete_queue("q").expect("deleted");
            }
            let (told, after) = waiter.join().expect("ends");
            assert_eq!(told, Some(Error::Deleted), "after {stops} stops");
            assert!(
                after < LONG / 2,
                "told, and not timed out, after {stops} stops"
            );
        },
    );
}

#[test]
fn who_changes_a_policy_dies_at_each_call() {
    let prepare = |engine: &Engine| {
        for name in ["a", "b", "other"] {
            engine.create_queue(name, &small()).expect("a queue");
        }
        engine
            .create_queue("q", &small().dead_letters("a", 3))
            .expect("a queue");
    };
    at_each_call(
        prepare,
        |engine| {
            engine.set_dead_letters("q", Some(("b", 4))).expect("set");
            engine.tag("q", "k", "v").expect("tagged");
            engine.set_dead_letters("q", None).expect("taken away");
        },
        |engine, stops, ()| {
            engine.tend().expect("tended");
            let told = engine.describe("q").expect("it");
            let policy = told.dead_letters.map(|p| (p.target, p.max_receives));
            let policy = policy
                .as_ref()
                .map(|(target, receives)| (target.as_str(), *receives));
            let either = [Some(("a", 3)), Some(("b", 4)), None].contains(&policy);
            assert!(either, "after {stops} stops: {policy:?}");
            let options = engine.open_queue("q").expect("it").options();
            let same = told.options == options
                && policy.is_none_or(|(_, n)| options == options.max_receives(n));
            assert!(same, "after {stops} stops: {options:?}");
            works(&engine.open_queue("q").expect("it"));
        },
    );
}

#[test]
fn who_makes_an_engine_dies_at_each_call() {
    let dir = Dir::shm("maker");
    for stops in 0.. {
        let path = dir.file(&format!("{stops}"));
        let died = tracer::dies_at(stops, || {
            Engine::create(&path).expect("an engine");
        });
        let engine = Engine::open_or_create(&path).expect("made, or made now");
        works(&engine.create_queue("q", &small()).expect("a queue"));
        engine.tend().expect("tended");
        is_clean(&engine);
        if !died {
            assert!(stops > 10, "it made {stops} stops in all");
            return;
        }
    }
}

/// Two processes make and delete the same queues; both are killed at some moment.
#[test]
fn processes_die_at_random() {
    const TEST: &str = "deaths::processes_die_at_random";
    if let Some(seed) = child::role() {
        let engine = Engine::open(child::argument()).expect("an engine");
        turmoil(&engine, seed.parse().expect("a number"), u64::MAX);
        return;
    }
    let kills = number_of("RINGMAIN_ENGINE_KILLS", 200);
    let mut numbers = Numbers(7);
    let dirs = [Dir::new("random"), Dir::shm("random")];
    let mut left = 0;
    for round in 0..kills / 2 {
        let dir = &dirs[usize::from(round % 10 != 0)]; // a disk is slow
        let engine = Engine::open_or_create(dir.path()).expect("an engine");
        let argument = dir.path().to_str().expect("UTF-8");
        let mut children = [0, 1].map(|n| {
            let seed = (2 * round + n).to_string();
            child::command(TEST, &seed, argument)
                .spawn()
                .expect("a child")
        });
        std::thread::sleep(Duration::from_micros(4000 + numbers.below(12_000))); // when they die
        for child in &mut children {
            assert_eq!(
                child.try_wait().expect("a child"),
                None,
                "it lives until then"
            );
            child.kill().expect("SIGKILL");
            child.wait().expect("an end");
        }
        left += may_be_left(&engine, &["other"]);
        for name in engine.queues("").expect("names") {
            let queue = engine.open_queue(&name).expect("whole");
            queue.send(b"works").expect("room");
        }
        works_anew(&engine);
        engine.tend().expect("tended");
        is_clean(&engine);
    }
    assert!(
        left > 0,
        "{kills} deaths have left nothing: none was in the midst of something"
    );
}

fn works_anew(engine: &Engine) {
    for name in ["a", "b", "c"] {
        let _ = engine.delete_queue(name); // it may be there or not
        works(&engine.create_queue(name, &small()).expect("a queue"));
    }
}
