//! The kill matrix: each operation, killed after each of its instructions, with an idle and with a
//! busy survivor.

use super::board::Time;
use super::board::{Fault, seeds, state};
use super::busy::{Busy, Order};
use super::ground::{Ground, Held, Image, Jobs, Kind, ONE, Single, open_apart, open_both};
use super::ground::{open_or_create, open_region, options, send, unlinked};
use super::machine;
use super::operations::Operation;
use super::recovery::Recovery;
use super::stage::Stage;
use super::survivor::{Survivor, came_ns};
use super::tracer::{Stop, Traced, Way, told};
use super::world::{Row, World};
use ringmain::{Mapped, Queue};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// What the dead one held must be back within this.
pub const RECOVERY_NS_MAX: u64 = 10_000_000;
/// A round that took longer is done again this often: the machine may have taken the processor.
const AGAIN_MAX: u32 = 4;

/// The living side of a round, before the traced one comes.
#[derive(Default)]
pub struct Living {
    region: Option<Arc<Mapped>>,
    apart: Cell<Option<(Single, Single)>>,
    both: OnceCell<(Jobs, Option<Jobs>)>,
}

impl Living {
    pub fn new(world: &World, kind: Kind) -> Self {
        let mut living = Self::default();
        match kind {
            Kind::Nothing => {}
            Kind::Vacant => living.region = Some(open_region(&world.path)),
            Kind::MidMove => {
                living.apart = Cell::new(Some(open_apart(world.board, &world.path)));
            }
            _ => living.both = OnceCell::from(open_both(world.board, &world.path)),
        }
        living
    }

    pub fn queue(&self) -> Option<&Jobs> {
        self.both.get().map(|(queue, _)| queue)
    }

    pub fn dead(&self) -> Option<&Jobs> {
        self.both.get().and_then(|(_, dead)| dead.as_ref())
    }

    /// Links the two queues, if they were opened apart.
    pub fn link(&self, world: &World) {
        if let Some((queue, dead)) = self.apart.take() {
            let region = Arc::clone(dead.region());
            let to = Queue::open_with(region, Time(world.board)).expect("it opens");
            let queue = queue.with_dead_letters(to).expect("linked");
            let set = self.both.set((queue, Some(unlinked(dead))));
            assert!(set.is_ok(), "they were not linked");
        }
    }

    /// What the operation wants the survivor to hold.
    pub fn hold(&self, world: &World, operation: &Operation) -> Vec<Held<'_>> {
        self.queue()
            .map_or(Vec::new(), |queue| (operation.hold)(world.board, queue))
    }

    /// Does what the operation wants done for one who sleeps.
    pub fn wake(&self, world: &World, operation: &Operation) {
        if let (Some(wake), Some(queue)) = (operation.asleep, self.queue()) {
            wake(world.board, queue);
        }
    }

    /// A queue where none was: what was begun is finished or done anew.
    pub fn make_queue(&self, world: &World) -> Jobs {
        let made = match self.region.clone() {
            Some(region) => {
                Queue::open_or_create_with(region, options(), Time(world.board)).map(unlinked)
            }
            None => open_or_create(world.board, &world.path),
        };
        made.unwrap_or_else(|error| panic!("no queue can be had any more: {error}"))
    }
}

/// Records the path of an operation. The traced one is killed at its end.
pub fn record(world: &World, operation: &Operation, ground: &Ground) -> Vec<u64> {
    world.begin_round(operation.name);
    ground.lay(world.board, &world.path);
    let living = Living::new(world, ground.kind());
    let held = living.hold(world, operation);
    let traced = start(world, operation, &held);
    let wake = || living.wake(world, operation);
    let asleep: Option<&dyn Fn()> = operation.asleep.map(|_| &wake as &dyn Fn());
    traced
        .record(asleep)
        .unwrap_or_else(|status| panic!("{}: the traced one {}", operation.name, told(status)))
}

pub fn start(world: &World, operation: &Operation, held: &[Held<'_>]) -> Traced {
    let receipts: Vec<_> = held.iter().map(|held| held.receipt()).collect();
    let stage = Stage {
        board: world.board,
        path: &world.path,
        receipts: &receipts,
    };
    let started = Traced::start(|| {
        (operation.operate)(&stage);
        0
    });
    started.unwrap_or_else(|status| panic!("{}: the traced one {}", operation.name, told(status)))
}

/// One kill. The row gets its faults and its time. `false`: a survivor hangs, so go no further.
pub fn kill(
    world: &World,
    operation: &Operation,
    ground: &Ground,
    busy: Option<&Busy>,
    (k, way): (usize, Way),
    row: &mut Row,
) -> bool {
    in_time(world, k, row, |row| {
        kill_once(world, operation, ground, busy, way, row)
    })
}

/// Does a kill, which says how long the recovery took and whether to go on; again if it was slow.
pub fn in_time(
    world: &World,
    k: usize,
    row: &mut Row,
    mut kill_once: impl FnMut(&mut Row) -> (u64, bool),
) -> bool {
    row.rounds += 1;
    let elsewhere = row.elsewhere;
    for again in 0..=AGAIN_MAX {
        row.elsewhere = elsewhere;
        let (recovery_ns, goes_on) = kill_once(row);
        let slow = recovery_ns > RECOVERY_NS_MAX;
        row.longest_ns = row.longest_ns.max(recovery_ns);
        let faults = !world.board.faults().is_empty();
        if slow && !faults && again < AGAIN_MAX {
            row.again += 1;
            continue;
        }
        if slow {
            world.board.fault(
                Fault::Stuck,
                recovery_ns / 1_000_000,
                "ms until all was back",
            );
        }
        row.take_faults(world.board, k);
        return goes_on;
    }
    true
}

fn kill_once(
    world: &World,
    operation: &Operation,
    ground: &Ground,
    busy: Option<&Busy>,
    way: Way,
    row: &mut Row,
) -> (u64, bool) {
    let board = world.board;
    world.begin_round(operation.name);
    ground.lay(board, &world.path);
    let living = Living::new(world, ground.kind());
    let held = living.hold(world, operation);
    if let Some(busy) = busy
        && ground.kind().has_queue()
        && ground.kind() != Kind::MidMove
    {
        busy.tell(Order::Open);
        busy.has_done();
    }
    let traced = start(world, operation, &held);
    if let Some(busy) = busy {
        // Where something is to be created or finished, both begin at once.
        match ground.kind() {
            Kind::Vacant | Kind::Nothing => busy.tell(Order::Create),
            Kind::MidMove => busy.tell(Order::Join),
            _ => {
                busy.tell(Order::Work);
                busy.goes_on();
            }
        }
    }
    let wake = || living.wake(world, operation);
    let asleep: Option<&dyn Fn()> = operation.asleep.map(|_| &wake as &dyn Fn());
    let stop = traced.advance(way, asleep);
    if let Stop::Astray(status) = stop {
        panic!("{}: the traced one {}", operation.name, told(status));
    }
    row.elsewhere += !stop.is_at_end_of(way) as usize;
    board.dead.store(1, SeqCst);
    traced.kill();
    if ground.kind() == Kind::Journaled && busy.is_none() {
        machine::stops_here(world);
    }
    let recovery = Recovery::begins(busy.map(Busy::pid));
    living.link(world);

    let made;
    let queue = match living.queue() {
        Some(queue) => queue,
        None => {
            made = living.make_queue(world);
            &made
        }
    };
    let survivor = Survivor {
        board,
        path: &world.path,
        queue,
        dead: living.dead(),
    };
    survivor.tend();
    let goes_on = match busy {
        Some(busy) => finish(world, busy, &survivor),
        None => true,
    };
    survivor.drain(false);
    let recovery_ns = recovery.took_ns(came_ns(board));
    if goes_on {
        survivor.close(held);
    }
    if ground.kind() == Kind::Nothing && world.dir.names() != ["region"] {
        board.fault(Fault::Leaked, 0, "a file is left behind");
    }
    (recovery_ns, goes_on)
}

/// Lets the busy survivor go on until all is back, be woken once, and leave. `false`: it hangs.
fn finish(world: &World, busy: &Busy, survivor: &Survivor<'_>) -> bool {
    let board = world.board;
    let back = || {
        let gone = state::DELETING | state::DELETED | state::DETACHED | state::LATE;
        let away = board.named().any(|(_, entry)| {
            entry.has(state::HELD) && !entry.has(gone) && entry.came_ns.load(SeqCst) == 0
        });
        !away
    };
    if !busy.goes_on() || !busy.waits(back) {
        return false;
    }
    busy.tell(Order::Drain);
    if !busy.has_done() {
        return false;
    }
    busy.tell(Order::Wait);
    let asleep = || busy.sleeps() && Image::of(&world.path).asleep();
    if !busy.waits(asleep) {
        return false;
    }
    let wakes = Image::of(&world.path).wakes();
    if send(board, survivor.queue, seeds::TRACER + 5, ONE).is_err() {
        board.fault(Fault::Leaked, 0, "no room for the message that wakes");
        return false;
    }
    if Image::of(&world.path).wakes() == wakes {
        board.fault(
            Fault::Stuck,
            0,
            "a send wakes nobody though somebody sleeps",
        );
    }
    if !busy.has_done() {
        return false;
    }
    busy.tell(Order::Leave);
    busy.has_done()
}
