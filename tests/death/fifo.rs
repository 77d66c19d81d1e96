//! FIFO queues under deaths and standstills: each operation on groups, killed or stopped after an
//! instruction. What is shown beside what the other matrices show: each deduplication id is
//! accepted once, whoever dies with it; each group comes in order, also what comes back; and a
//! group whose receiver stands still holds up no other.

mod busy;
pub mod ground;
mod image;
mod ledger;
mod operations;
mod stop;
mod survivor;

use super::kill::in_time;
use super::path::Path as Recorded;
use super::recovery::Recovery;
use super::stage::Stage;
use super::stop::Meanwhile;
use super::survivor::came_ns;
use super::tracer::{Stop, Traced, Way, told};
use super::world::{Row, World};
pub use busy::Busy;
pub use ground::Ground;
use ground::{Maker, open};
pub use operations::all;
use std::sync::atomic::Ordering::SeqCst;
use survivor::Survivor;

/// An operation on a FIFO queue.
#[derive(Clone, Copy)]
pub struct Grouped {
    pub name: &'static str,
    /// Makes what there is before. The image that it returns is the ground; without one, the copy
    /// is taken when all have left.
    prepare: fn(&Maker<'_>) -> Option<super::ground::Image>,
    /// What the traced process does, between `begin` and `end`.
    operate: fn(&Stage<'_>),
    /// Whether it takes the set-up lock.
    sets_up: bool,
    /// Whether the queue has a journal.
    journaled: bool,
}

/// Records the path of an operation. The traced one is killed at its end.
pub fn record(world: &World, grouped: &Grouped, ground: &Ground) -> Vec<u64> {
    world.begin_round(grouped.name);
    ground.lay(world.board, &world.path);
    let queue = open(world.board, &world.path);
    let _own = ledger::own(world.board, &queue);
    let path = start(world, grouped).record(None);
    path.unwrap_or_else(|status| panic!("{}: the traced one {}", grouped.name, told(status)))
}

fn start(world: &World, grouped: &Grouped) -> Traced {
    let stage = Stage {
        board: world.board,
        path: &world.path,
        receipts: &[],
    };
    let started = Traced::start(|| {
        (grouped.operate)(&stage);
        0
    });
    started.unwrap_or_else(|status| panic!("{}: the traced one {}", grouped.name, told(status)))
}

/// Takes the traced one its way.
fn advance(grouped: &Grouped, traced: &Traced, way: Way, row: &mut Row) {
    let stop = traced.advance(way, None);
    if let Stop::Astray(status) = stop {
        panic!("{}: the traced one {}", grouped.name, told(status));
    }
    row.elsewhere += usize::from(!stop.is_at_end_of(way));
}

/// One kill, after `k` instructions. `false`: a survivor hangs, so go no further.
pub fn kill(
    world: &World,
    grouped: &Grouped,
    ground: &Ground,
    busy: Option<&Busy>,
    (k, path): (usize, &Recorded),
    row: &mut Row,
) -> bool {
    in_time(world, k, row, |row| {
        kill_once(world, grouped, ground, busy, (k, path.way(k)), row)
    })
}

fn kill_once(
    world: &World,
    grouped: &Grouped,
    ground: &Ground,
    busy: Option<&Busy>,
    (k, way): (usize, Way),
    row: &mut Row,
) -> (u64, bool) {
    let board = world.board;
    world.begin_round(grouped.name);
    ground.lay(board, &world.path);
    let queue = open(board, &world.path);
    let own = ledger::own(board, &queue);
    if let Some(busy) = busy {
        busy.opens();
    }
    let traced = start(world, grouped);
    if let Some(busy) = busy {
        busy.works();
    }
    advance(grouped, &traced, way, row);
    board.dead.store(1, SeqCst);
    traced.kill();
    if grouped.journaled && busy.is_none() {
        super::machine::fifo_stops_here(world);
    }
    let recovery = Recovery::begins(busy.map(Busy::pid));
    let survivor = Survivor::new(board, &world.path, &queue, [10, 1, 3][k % 3]);
    survivor.tend();
    if let Some(busy) = busy
        && !busy.leaves()
    {
        return (0, false);
    }
    // Who sends the same ids comes now before what is there is received, now after it.
    let at_once = k.is_multiple_of(2);
    if at_once {
        survivor.again();
    }
    survivor.drain(false);
    let recovery_ns = recovery.took_ns(came_ns(board));
    if !at_once {
        survivor.is_at_rest(own.len() as u64);
        survivor.again();
        survivor.firsts_are_there();
        survivor.drain(false);
    }
    survivor.close(own);
    (recovery_ns, true)
}

/// One stop, after `k` instructions.
pub fn stop(
    world: &World,
    grouped: &Grouped,
    ground: &Ground,
    meanwhile: Meanwhile,
    (k, path): (usize, &Recorded),
    row: &mut Row,
) {
    row.rounds += 1;
    let way = (k, path.way(k));
    stop::once(world, grouped, ground, meanwhile, way, row);
    row.take_faults(world.board, k);
}
