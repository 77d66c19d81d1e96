//! The engine: names, tags, options and policies with their bounds; what many threads and processes
//! do to one name at once; what deaths leave, at each system call and at random; damaged
//! directories. The common checks run over both homes. `RINGMAIN_ENGINE_KILLS` sets how many
//! processes are killed at random (default 200).
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

#[path = "engine/checks.rs"]
mod checks;
#[path = "engine/damage.rs"]
mod damage;
#[path = "engine/deaths.rs"]
mod deaths;
#[path = "engine/delete.rs"]
mod delete;
#[cfg(feature = "fifo")]
#[path = "engine/fifo.rs"]
mod fifo;
#[cfg(feature = "stream")]
#[path = "engine/kept.rs"]
mod kept;
#[path = "engine/processes.rs"]
mod processes;
#[cfg(feature = "stream")]
#[path = "engine/reading.rs"]
mod reading;
#[path = "engine/redrive.rs"]
mod redrive;
#[path = "engine/settings.rs"]
mod settings;
#[cfg(feature = "stream")]
#[path = "engine/streams.rs"]
mod streams;
#[path = "engine/tracer.rs"]
mod tracer;

use common::Dir;
use ringmain::{Engine, Heap, Home, Mapped, QueueOptions, QueueSpec};

/// A small queue.
pub fn small() -> QueueSpec {
    QueueSpec::new().bytes(64 << 10)
}

/// A small queue with these options.
pub fn with(options: QueueOptions) -> QueueSpec {
    small().options(options)
}

/// An engine in shared memory, with the directory that it is in.
pub fn in_shm(name: &str) -> (Dir, Engine) {
    let dir = Dir::shm(name);
    let engine = Engine::open_or_create(dir.path()).expect("an engine");
    (dir, engine)
}

/// All that is as it should be in every engine at rest.
#[track_caller]
pub fn is_clean<H: Home>(engine: &Engine<H>) {
    let report = engine.verify().expect("a report");
    assert!(report.is_clean(), "{report}");
}

/// Runs a check over both homes.
macro_rules! over_both {
    ($($check:ident)*) => {
        mod in_memory {
            $(#[test] fn $check() {
                let engine = ringmain::Engine::<crate::Heap>::in_memory();
                super::$check(&engine);
                crate::is_clean(&engine);
            })*
        }
        mod in_a_directory {
            $(#[test] fn $check() {
                let (_dir, engine) = crate::in_shm("engine");
                super::$check(&engine);
                crate::is_clean(&engine);
            })*
        }
    };
}
pub(crate) use over_both;

#[test]
fn an_engine_may_be_sent_and_shared() {
    fn may<T: Send + Sync + Clone + std::fmt::Debug>() {}
    may::<Engine<Mapped>>();
    may::<Engine<Heap>>();
    fn may_be_shared<T: Send + Sync>() {}
    may_be_shared::<ringmain::EngineQueue<Heap>>();
    may_be_shared::<ringmain::EngineQueue<Mapped>>();
}
