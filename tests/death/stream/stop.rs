//! A standstill in an operation on a stream. Writers go on; readers of the shard in which the
//! stopped one has a claim come up to it, and no further; and the claim stays its own.

use super::super::board::{Board, Fault, state};
use super::super::ground::Image;
use super::super::stop::ends;
use super::super::tracer::{Pid, Way, go_on};
use super::super::world::{Row, World};
use super::ground::{ASKED_MS, Ground, open};
use super::ledger::{SURVIVOR, TRACED};
use super::survivor::Survivor;
use super::{Kept, Streamed, advance, start};
use ringmain::Error;
use std::sync::atomic::Ordering::SeqCst;

/// What happens before the stopped one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// The others put, read and tend.
    Work,
    /// They split or merge as well.
    Resharded,
    /// They fill the rings, until nothing more is free; time passes.
    Wrapped,
}

pub const MEANWHILES: [Meanwhile; 3] = [Meanwhile::Work, Meanwhile::Resharded, Meanwhile::Wrapped];

impl Meanwhile {
    pub fn name(self) -> &'static str {
        match self {
            Meanwhile::Work => "work",
            Meanwhile::Resharded => "resharded",
            Meanwhile::Wrapped => "wrapped",
        }
    }
}

/// Whether an operation can be stopped in this way at all. Who would put is refused while one who
/// reserves the shard stands still; and where the oldest segment is to be given up, all wait for
/// who brings it to the disk.
pub fn applies(streamed: &Streamed) -> bool {
    let waits = streamed.kept != Kept::No && streamed.evicts;
    !streamed.reserves && !waits
}

const TENDS: u32 = 20;

pub fn once(
    world: &World,
    streamed: &Streamed,
    ground: &Ground,
    meanwhile: Meanwhile,
    (k, way): (usize, Way),
    row: &mut Row,
) {
    let board = world.board;
    world.begin_round(streamed.name);
    ground.lay(board, &world.path);
    let stream = open(board, &world.path);
    let traced = start(world, streamed);
    let alone = u32::from(meanwhile == Meanwhile::Work);
    board.alone.store(alone, SeqCst);
    advance(streamed, &traced, way, row);
    let pid = traced.stop();
    let lost = streamed.lost(world);
    let mut survivor = Survivor::new(board, &world.path, &stream);
    survivor.reading.lossy = meanwhile == Meanwhile::Wrapped;
    works(&mut survivor, pid);
    match meanwhile {
        Meanwhile::Work => {}
        Meanwhile::Resharded => reshards(&mut survivor, k.is_multiple_of(2)),
        Meanwhile::Wrapped => survivor.fills(true),
    }
    go_on(pid);
    ends(board, pid, &|| {});
    board.dead.store(1, SeqCst);
    all_are_told(board);
    survivor.tend();
    if !survivor.reading.lossy {
        survivor.fates_are_settled();
    }
    if let Some(lost) = lost {
        survivor.survives(&lost);
        // What was told to be durable meanwhile.
        let lost = streamed.lost(world).expect("as before");
        survivor.survives(&lost);
        survivor.syncs();
        let lost = streamed.lost(world).expect("as before");
        survivor.survives(&lost);
    }
    survivor.close(ground, streamed.given_up);
}

/// What does not change the shards.
fn works(survivor: &mut Survivor<'_>, pid: Pid) {
    let index = Image::of(survivor.path).index_of(pid);
    survivor.parents_are_closed();
    survivor.puts();
    survivor.reads();
    survivor.consumers_go_on();
    survivor.fates_are_open();
    for _ in 0..TENDS {
        survivor.board.pass_ms(ASKED_MS); // who is held up asks the kernel each time
        survivor.tend();
        survivor.reads();
    }
    survivor.fates_are_open();
    survivor.puts();
    if Image::of(survivor.path).index_of(pid) != index {
        survivor.fault(Fault::Taken, 0, "it lost its place in the registry");
    }
}

/// A split or a merge; it may be refused to who comes second.
fn reshards(survivor: &mut Survivor<'_>, splits: bool) {
    match survivor.change(splits) {
        Ok(()) | Err(Error::Resharding { .. } | Error::ShardLimit { .. }) => {}
        Err(error) => {
            eprintln!("resharding: {error}");
            survivor.fault(Fault::Stuck, splits.into(), "a change fails");
        }
    }
    survivor.puts();
    survivor.reads();
}

/// Who went on has been told what became of each of its records.
fn all_are_told(board: &Board) {
    for seed in TRACED..SURVIVOR {
        let entry = board.known(seed);
        if entry.has(state::SENDING) && !entry.has(state::SENT | state::REFUSED | state::HELD) {
            board.fault(Fault::Taken, seed, "nobody said what became of it");
        }
    }
}
