//! Events of what is seldom: a subscriber of this test collects those of histories played on
//! purpose, deaths and a machine that stops among them. Where messages pass it hears nothing, and
//! nothing is allocated although it listens.
#![cfg(all(feature = "tracing", feature = "mapped", not(ringmain_loom)))]

mod common;

use common::{Dir, child, cycle};
use ringmain::{
    Durability, Engine, Error, Heap, ManualClock, Mapped, Queue, QueueOptions, QueueSpec,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands each call on to the system's allocator unchanged; the counter is a plain cell of
// the thread, without a destructor. The other methods are made of these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Hears everything, and writes down what is ours: `LEVEL text field=value`.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("a string takes it");
    }
}

impl Ear {
    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        if metadata.target() == "ringmain" {
            let before = ASKED.with(Cell::get);
            let mut line = Line(metadata.level().to_string());
            if metadata.is_span() {
                write!(line.0, " [{}]", metadata.name()).expect("a string takes it");
            }
            record(&mut line);
            self.0.lock().expect("no panic").push(line.0);
            ASKED.with(|asked| asked.set(before)); // the ear's own
        }
    }

    /// What was heard while `f` ran, on this thread.
    fn listen<T>(f: impl FnOnce(&Self) -> T) -> T {
        let ear = Self::default();
        tracing::subscriber::with_default(ear.clone(), || f(&ear))
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }

    /// Since the last look exactly these were heard: how each begins.
    #[track_caller]
    fn hears(&self, expected: &[&str]) {
        let heard = self.heard();
        let same = heard.len() == expected.len()
            && heard
                .iter()
                .zip(expected)
                .all(|(line, start)| line.starts_with(start));
        assert!(same, "heard {heard:#?}, not {expected:#?}");
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata(), |line| event.record(line));
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn what_is_seldom_is_told() {
    Ear::listen(|ear| {
        let dir = Dir::new("tracing");
        let path = dir.file("q.ring");
        let region = Mapped::create(&path, 1 << 18).expect("a region");
        ear.hears(&[
            "INFO region created bytes=262144 path=",
            "DEBUG region opened owner=1 path=",
        ]);
        let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
        ear.hears(&["DEBUG queue opened slots="]);
        let change = |options: QueueOptions| options.visibility(Duration::from_secs(5));
        queue.reconfigure(change).expect("other settings");
        ear.hears(&["INFO queue reconfigured queue= options="]);
        queue.send_batch(&["a", "b"]).expect("room");
        ear.hears(&[]);
        assert_eq!(queue.purge(), Ok(2));
        ear.hears(&["INFO queue purged purged=2"]);
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(4096))
            .expect("a shorter file");
        assert!(matches!(queue.tend(), Err(Error::Truncated { .. })));
        ear.hears(&["ERROR the file was cut short path="]);
    });
}

#[test]
fn queues_of_an_engine_are_told_by_name() {
    Ear::listen(|ear| {
        let engine = Engine::<Heap>::in_memory();
        let orders = engine
            .create_queue("orders", &QueueSpec::new())
            .expect("a queue");
        let heard = ear.heard();
        assert_eq!(heard[0], "INFO queue created queue=orders");
        assert!(heard[1].contains("DEBUG queue opened") && heard[1].contains("queue=orders"));
        orders.purge().expect("a purge");
        ear.hears(&["INFO queue purged purged=0 queue=orders"]);
        engine.delete_queue("orders").expect("a deletion");
        ear.hears(&["INFO queue deleted queue=orders"]);
    });
}

/// With somebody who listens to each level.
#[test]
fn nothing_is_told_or_allocated_where_messages_pass() {
    Ear::listen(|ear| {
        let dir = Dir::new("tracing-path");
        let region = Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region");
        let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
        assert_eq!(ear.heard().len(), 3);
        for round in 0..20 {
            let before = ASKED.with(Cell::get);
            let right = cycle::run(&queue);
            let asked = ASKED.with(Cell::get) - before;
            assert!(right && asked == 0, "{asked} calls to the allocator");
            // Each operation, and one purge, which the queue allows once a minute.
            match round {
                0 => ear.hears(&["INFO queue purged purged=1"]),
                _ => ear.hears(&[]),
            }
        }
        let before = ASKED.with(Cell::get);
        std::hint::black_box(vec![0u8; 100]);
        assert_eq!(
            ASKED.with(Cell::get) - before,
            2,
            "one allocation, and its return"
        );
    });
}

/// A child takes two messages and is gone.
#[test]
fn deaths_are_told_with_who_and_how_much() {
    if child::role().is_some() {
        let region = Mapped::open(child::argument()).expect("the region");
        let queue = Queue::open(&region).expect("the queue");
        let batch = queue.receive_batch(2).expect("a batch");
        assert_eq!(batch.len(), 2);
        // SAFETY: ends this process at once, which is what a death is.
        unsafe { libc::_exit(0) };
    }
    let dir = Dir::new("tracing-death");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 18).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    queue.send_batch(&["a", "b", "c"]).expect("room");
    let argument = path.to_str().expect("a path of this test");
    let die = || {
        let test = "deaths_are_told_with_who_and_how_much";
        let mut child = child::command(test, "holder", argument)
            .spawn()
            .expect("a child");
        let pid = child.id();
        assert!(child.wait().expect("its end").success());
        pid
    };
    Ear::listen(|ear| {
        let pid = die();
        let tended = queue.tend().expect("a look");
        assert_eq!((tended.dead, tended.returned), (1, 2));
        let heard = ear.heard();
        assert_eq!(heard.len(), 3, "{heard:?}");
        assert!(heard[0].starts_with("WARN [repair] path="), "{heard:?}");
        assert!(heard[0].contains("owner=2") && heard[0].contains(&format!("pid={pid}")));
        assert_eq!(heard[1], "WARN a participant died returned=2");
        assert!(
            heard[2].starts_with("INFO queue tended dead=1 returned=2"),
            "{heard:?}"
        );
        queue.tend().expect("a look at nothing");
        ear.hears(&[]);
    });
}

fn write(path: &Path, at: u64, bytes: &[u8]) {
    let file = File::options().write(true).open(path).expect("the file");
    file.write_all_at(bytes, at).expect("other bytes");
}

#[test]
fn a_recovery_is_told_with_what_came_back() {
    let dir = Dir::new("tracing-recovery");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 18).expect("a region");
    let options = QueueOptions::new().durability(Durability::BeforeOk);
    let queue = Queue::create_with(&region, options, ManualClock::new(1000)).expect("a queue");
    queue.send_batch(&["a", "b", "c"]).expect("room");
    let _ = queue;
    drop(region);
    write(&path, 48, &[7; 16]); // another boot
    Ear::listen(|ear| {
        Mapped::open(&path).expect("the region");
        ear.hears(&[
            "INFO [recovery] path=",
            "INFO made again from the journal messages=3 damaged=0",
            "DEBUG region opened",
        ]);
        write(&path, 48, &[8; 16]); // and another, with the queue's head damaged
        write(&path, 20_480, &[0xff; 8]);
        Mapped::open(&path).expect("the region");
        ear.hears(&[
            "WARN the head of a queue was damaged",
            "INFO [recovery] path=",
            "INFO made again from the journal messages=3 damaged=0",
            "DEBUG region opened",
        ]);
    });
}

/// In a child, whose files may not grow to where the journal goes.
#[test]
fn trouble_with_the_journal_is_told() {
    if child::role().is_none() {
        let mut child = child::command("trouble_with_the_journal_is_told", "full", "")
            .spawn()
            .expect("a child");
        assert!(child.wait().expect("its end").success());
        return;
    }
    let dir = Dir::new("tracing-journal");
    let region = Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region");
    let options = QueueOptions::new().durability(Durability::BeforeOk);
    let queue = Queue::create(&region, options).expect("a queue");
    let limit = libc::rlimit {
        rlim_cur: 4096,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: plain calls that change this process alone.
    let set = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
    };
    assert_eq!(set, 0, "a limit");
    Ear::listen(|ear| {
        let refused = queue.send(b"a");
        assert!(
            matches!(refused, Err(Error::NotDurable { .. })),
            "{refused:?}"
        );
        ear.hears(&["ERROR a commit to the journal failed path="]);
    });
}
