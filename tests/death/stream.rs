//! Streams under deaths and standstills: each operation, killed or stopped after an instruction.
//! What is shown: a record whose put had returned is read once, as it was put, in the order of its
//! shard and of its key, also across a split or merge; one that was being put is there whole or not
//! at all; who comes next goes on at once; and no pin, segment or place of a shard stays behind.

mod consumers;
mod fates;
mod ground;
mod ledger;
mod operations;
mod stop;
mod survives;
mod survivor;

use super::board::{Fault, monotonic_ns};
use super::kill::in_time;
use super::path::Path as Recorded;
use super::recovery::Recovery;
use super::stage::Stage;
use super::tracer::{Stop, Traced, Way, told};
use super::world::{Row, World};
pub use ground::Ground;
use ground::{Log, Maker, open};
pub use operations::all;
use std::sync::atomic::Ordering::SeqCst;
pub use stop::{MEANWHILES, Meanwhile, applies};
use survivor::Survivor;

/// An operation on a stream.
#[derive(Clone, Copy)]
pub struct Streamed {
    pub name: &'static str,
    /// Whether a full shard gives up its oldest segment.
    evicts: bool,
    /// Makes what there is before. The image that it returns is the ground; without one, the copy
    /// is taken when all have left.
    prepare: fn(&Maker<'_>) -> Option<super::ground::Image>,
    /// What the traced process does, between `begin` and `end`.
    operate: fn(&Stage<'_>),
    /// Whether the operation, left alone, has done what its name says.
    does: fn(&Ground, &Log) -> bool,
    /// The most segments of a shard that may be given up for it.
    given_up: u64,
    /// Whether it keeps others out of a shard: they are refused while it stands still.
    pub reserves: bool,
    /// What survives the machine.
    pub kept: Kept,
}

/// What of a stream survives the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    No,
    /// Each put waits for the disk, whoever puts: others wait for who writes there, also while that
    /// stands still.
    BeforeOk,
    /// With an interval whose end nobody sees: only who asks for it commits. So others go on.
    Timed,
}

/// Records the path of an operation, and sees that it does what its name says. The traced one is
/// killed at its end.
pub fn record(world: &World, streamed: &Streamed, ground: &Ground) -> Vec<u64> {
    let name = streamed.name;
    world.begin_round(name);
    ground.lay(world.board, &world.path);
    let stream = open(world.board, &world.path);
    let traced = start(world, streamed);
    world.board.alone.store(1, SeqCst);
    let path = traced.record(None);
    let path = path.unwrap_or_else(|status| panic!("{name}: the traced one {}", told(status)));
    assert!((streamed.does)(ground, &stream), "{name}: it does not");
    let faults = world.board.faults();
    assert!(faults.is_empty(), "{name}, undisturbed: {faults:?}");
    path
}

fn start(world: &World, streamed: &Streamed) -> Traced {
    let stage = Stage {
        board: world.board,
        path: &world.path,
        receipts: &[],
    };
    let started = Traced::start(|| {
        (streamed.operate)(&stage);
        0
    });
    started.unwrap_or_else(|status| panic!("{}: the traced one {}", streamed.name, told(status)))
}

/// Takes the traced one its way.
fn advance(streamed: &Streamed, traced: &Traced, way: Way, row: &mut Row) {
    let stop = traced.advance(way, None);
    if let Stop::Astray(status) = stop {
        panic!("{}: the traced one {}", streamed.name, told(status));
    }
    row.elsewhere += usize::from(!stop.is_at_end_of(way));
}

/// One kill, after `k` instructions. `false`: go no further.
pub fn kill(
    world: &World,
    streamed: &Streamed,
    ground: &Ground,
    (k, path): (usize, &Recorded),
    row: &mut Row,
) -> bool {
    in_time(world, k, row, |row| {
        (
            kill_once(world, streamed, ground, (k, path.way(k)), row),
            true,
        )
    })
}

fn kill_once(
    world: &World,
    streamed: &Streamed,
    ground: &Ground,
    (k, way): (usize, Way),
    row: &mut Row,
) -> u64 {
    let board = world.board;
    world.begin_round(streamed.name);
    ground.lay(board, &world.path);
    let stream = open(board, &world.path);
    let traced = start(world, streamed);
    advance(streamed, &traced, way, row);
    board.dead.store(1, SeqCst);
    traced.kill();
    let lost = streamed.lost(world);
    let recovery = Recovery::begins(None);
    let mut survivor = Survivor::new(board, &world.path, &stream);
    survivor.puts_durably = streamed.kept != Kept::No;
    survivor.parents_are_closed();
    // Who writes goes on at once, before anybody has asked who is dead.
    survivor.puts();
    survivor.consumers_go_on();
    if k.is_multiple_of(2) {
        survivor.tend();
    } else {
        board.pass_ms(ground::ASKED_MS); // a reader that is held up asks by itself
    }
    survivor.fates_are_settled();
    survivor.reads();
    survivor.own_are_read();
    let recovery_ns = recovery.took_ns(monotonic_ns());
    survivor.tend();
    if let Some(lost) = lost {
        survivor.survives(&lost);
        survivor.syncs();
        let lost = streamed.lost(world).expect("as before");
        survivor.survives(&lost);
    }
    survivor.close(ground, streamed.given_up);
    recovery_ns
}

/// One stop, after `k` instructions.
pub fn stop(
    world: &World,
    streamed: &Streamed,
    ground: &Ground,
    meanwhile: Meanwhile,
    (k, path): (usize, &Recorded),
    row: &mut Row,
) {
    row.rounds += 1;
    stop::once(world, streamed, ground, meanwhile, (k, path.way(k)), row);
    row.take_faults(world.board, k);
}

impl Survivor<'_> {
    fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        self.board.fault(fault, seed, what);
    }
}
