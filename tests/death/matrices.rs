//! The matrices, cell by cell.
#![allow(clippy::disallowed_types)] // memory shared with other processes, outside of the library

mod arguments;
mod board;
mod busy;
#[path = "../common/mod.rs"]
mod common;
mod engine;
mod fifo;
mod ground;
mod kill;
mod machine;
mod operations;
mod path;
mod recovery;
mod stage;
mod stop;
mod stream;
mod survivor;
mod table;
mod tracer;
mod world;

use arguments::{Arguments, parse};
use engine::Change;
use fifo::Grouped;
use ground::{Ground, Kind};
use operations::{Operation, engines};
use path::{ALIKE_FROM, ALIKE_FROM_EARLY, Path, Spread};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stop::MEANWHILES;
use stream::Streamed;
use table::{Matrix, markdown};
use world::{Row, World};

/// Rounds of a cell that a thinned run does however slow the machine is.
const ROUNDS_MIN: usize = 8;
/// The same of the cells of FIFO queues and streams, which are many, and long.
const ROUNDS_MIN_LONG: usize = 4;

/// So many cells with faults show that a twin fails.
const TWIN_CELLS: usize = 3;

pub fn main() -> ExitCode {
    let (arguments, matrices) = match parse(std::env::args()) {
        Ok(parsed) => parsed,
        Err(text) => {
            eprint!("{text}");
            return ExitCode::from(2);
        }
    };
    let only = arguments.only.clone().unwrap_or_default();
    let mut operations = operations::all();
    operations.retain(|operation| operation.name.contains(&only));
    let mut changes = engines::ALL.to_vec();
    changes.retain(|change| change.name.contains(&only));
    let mut grouped = fifo::all();
    grouped.retain(|grouped| grouped.name.contains(&only));
    let mut streamed = stream::all();
    streamed.retain(|streamed| streamed.name.contains(&only));
    if arguments.list {
        let names = operations.iter().map(|operation| operation.name);
        let names = names.chain(changes.iter().map(|change| change.name));
        let names = names.chain(grouped.iter().map(|grouped| grouped.name));
        let names = names.chain(streamed.iter().map(|streamed| streamed.name));
        names.for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let rows = [
        operations.len() + grouped.len(),
        changes.len(),
        streamed.len(),
    ];
    let mut run = Run::new(arguments, rows, matrices);
    for operation in &operations {
        if !run.has_found_twin() {
            run.operation(operation, matrices);
        }
    }
    for grouped in &grouped {
        if !run.has_found_twin() {
            run.grouped(grouped, matrices);
        }
    }
    for streamed in &streamed {
        if !run.has_found_twin() {
            run.streamed(streamed, matrices);
        }
    }
    if !run.arguments.twin {
        changes
            .iter()
            .for_each(|change| run.change(change, matrices));
    }
    run.finish()
}

/// One run over the matrices.
struct Run {
    arguments: Arguments,
    world: World,
    begun: Instant,
    cells_left: u32,
    kills: Vec<Row>,
    stops: Vec<Row>,
    fifo_kills: Vec<Row>,
    fifo_stops: Vec<Row>,
    stream_kills: Vec<Row>,
    stream_stops: Vec<Row>,
}

impl Run {
    fn new(arguments: Arguments, rows: [usize; 3], matrices: [bool; 2]) -> Self {
        let world = World::new();
        warm_up(&world);
        let [kills, stops] = matrices.map(usize::from);
        let cells = rows[0] * (1 + 2 * kills + MEANWHILES.len() * stops);
        let cells = cells + rows[1] * (1 + kills + stops);
        let cells = cells + rows[2] * (1 + kills + stream::MEANWHILES.len() * stops);
        Self {
            arguments,
            world,
            begun: Instant::now(),
            cells_left: cells as u32,
            kills: Vec::new(),
            stops: Vec::new(),
            fifo_kills: Vec::new(),
            fifo_stops: Vec::new(),
            stream_kills: Vec::new(),
            stream_stops: Vec::new(),
        }
    }

    fn operation(&mut self, operation: &Operation, [kills, stops]: [bool; 2]) {
        let world = &self.world;
        world.begin_round(operation.name);
        let ground = Ground::new(world.board, &world.path, operation.kind, operation.prepare);
        let path = Path::new(&kill::record(world, operation, &ground), ALIKE_FROM);
        self.cells_left -= 1;
        for busy in [false, true].into_iter().filter(|_| kills) {
            let row = self.kill_cell(operation, &ground, &path, busy);
            self.kills.push(row);
        }
        for meanwhile in MEANWHILES.into_iter().filter(|_| stops) {
            if stop::applies(&ground, meanwhile) {
                let row = self.stop_cell(operation, &ground, &path, meanwhile);
                self.stops.push(row);
            } else {
                self.cells_left -= 1;
            }
        }
    }

    fn grouped(&mut self, grouped: &Grouped, [kills, stops]: [bool; 2]) {
        let world = &self.world;
        world.begin_round(grouped.name);
        let ground = grouped.ground(world);
        let path = Path::new(&fifo::record(world, grouped, &ground), ALIKE_FROM);
        self.cells_left -= 1;
        for busy in [false, true].into_iter().filter(|_| kills) {
            let survivor = if busy { "busy" } else { "idle" };
            let companion = busy.then(|| fifo::Busy::start(&self.world));
            let row = self.cell((grouped.name, survivor), &path, |world, k, row| {
                fifo::kill(world, grouped, &ground, companion.as_ref(), (k, &path), row)
            });
            self.fifo_kills.push(row);
        }
        for meanwhile in MEANWHILES.into_iter().filter(|_| stops) {
            let row = self.cell((grouped.name, meanwhile.name()), &path, |world, k, row| {
                fifo::stop(world, grouped, &ground, meanwhile, (k, &path), row);
                true
            });
            self.fifo_stops.push(row);
        }
    }

    fn streamed(&mut self, streamed: &Streamed, [kills, stops]: [bool; 2]) {
        let world = &self.world;
        world.begin_round(streamed.name);
        let ground = streamed.ground(world);
        let path = Path::new(&stream::record(world, streamed, &ground), ALIKE_FROM);
        self.cells_left -= 1;
        if kills {
            let row = self.cell((streamed.name, "idle"), &path, |world, k, row| {
                stream::kill(world, streamed, &ground, (k, &path), row)
            });
            self.stream_kills.push(row);
        }
        let timed = streamed.timed();
        let on_timed = timed.filter(|_| stops).map(|timed| {
            let world = &self.world;
            world.begin_round(timed.name);
            let ground = timed.ground(world);
            let path = Path::new(&stream::record(world, &timed, &ground), ALIKE_FROM);
            (timed, ground, path)
        });
        let (streamed, ground, path) = match &on_timed {
            Some((timed, ground, path)) => (timed, ground, path),
            None => (streamed, &ground, &path),
        };
        for meanwhile in stream::MEANWHILES.into_iter().filter(|_| stops) {
            if !stream::applies(streamed) {
                self.cells_left -= 1;
                continue;
            }
            let row = self.cell((streamed.name, meanwhile.name()), path, |world, k, row| {
                stream::stop(world, streamed, ground, meanwhile, (k, path), row);
                true
            });
            self.stream_stops.push(row);
        }
    }

    /// A cell: rounds at one instruction after the other, until one says that it cannot go on.
    fn cell(
        &mut self,
        (operation, survivor): (&'static str, &'static str),
        path: &Path,
        mut round: impl FnMut(&World, usize, &mut Row) -> bool,
    ) -> Row {
        self.cells_left -= 1;
        let deadline = self.deadline();
        let mut row = Row {
            operation,
            survivor,
            instructions: path.len(),
            ..Row::default()
        };
        for k in self.spread(path, operation) {
            if !round(&self.world, k, &mut row) || self.is_over(&row, deadline) {
                break;
            }
        }
        done(&row);
        row
    }

    fn change(&mut self, change: &Change, [kills, stops]: [bool; 2]) {
        self.world.begin_round(change.name);
        let ground = engine::Ground::new(&self.world, change);
        let path = Path::new(&ground.record(&self.world, change), ALIKE_FROM_EARLY);
        self.cells_left -= 1;
        for (stops, _) in [(false, kills), (true, stops)].iter().filter(|(_, is)| *is) {
            let survivor = if *stops { "work" } else { "idle" };
            let row = self.cell((change.name, survivor), &path, |world, k, row| {
                ground.round(world, change, *stops, (k, &path), row);
                true
            });
            match stops {
                true => self.stops.push(row),
                false => self.kills.push(row),
            }
        }
    }

    /// Until when this cell may go on: the time left in equal shares.
    fn deadline(&self) -> Instant {
        let left = self.arguments.time.saturating_sub(self.begun.elapsed());
        Instant::now() + left / (self.cells_left + 1)
    }

    fn spread<'p>(&self, path: &'p Path, operation: &str) -> impl Iterator<Item = usize> + use<'p> {
        let seed = operation
            .bytes()
            .fold(7u64, |seed, byte| seed.wrapping_mul(31) + byte as u64);
        let whole = self.arguments.whole;
        Spread::new(path.len(), whole, seed).filter(move |&k| !whole || path.is_taken(k))
    }

    fn kill_cell(
        &mut self,
        operation: &Operation,
        ground: &Ground,
        path: &Path,
        busy: bool,
    ) -> Row {
        let survivor = if busy { "busy" } else { "idle" };
        let companion = busy.then(|| self.world.busy());
        self.cell((operation.name, survivor), path, |world, k, row| {
            let way = (k, path.way(k));
            kill::kill(world, operation, ground, companion.as_ref(), way, row)
        })
    }

    fn stop_cell(
        &mut self,
        operation: &Operation,
        ground: &Ground,
        path: &Path,
        meanwhile: stop::Meanwhile,
    ) -> Row {
        self.cell((operation.name, meanwhile.name()), path, |world, k, row| {
            let way = (k, path.way(k));
            stop::stop(world, operation, ground, meanwhile, way, row);
            true
        })
    }

    fn is_over(&self, row: &Row, deadline: Instant) -> bool {
        progress(row);
        let late = !self.arguments.whole && Instant::now() >= deadline;
        let enough = self.arguments.twin && row.has_faults();
        let is_long = ["FIFO", "Stream"]
            .iter()
            .any(|kind| row.operation.starts_with(kind));
        let least = match is_long {
            true => ROUNDS_MIN_LONG,
            false => ROUNDS_MIN,
        };
        enough || (late && row.rounds >= least)
    }

    /// Cells with faults.
    fn faulty(&self) -> usize {
        let rows = self.tables().into_iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| row.has_faults()).count()
    }

    fn has_found_twin(&self) -> bool {
        self.arguments.twin && self.faulty() >= TWIN_CELLS
    }

    fn tables(&self) -> [(Matrix, &[Row]); 6] {
        [
            (Matrix::Kill, &self.kills),
            (Matrix::Stop, &self.stops),
            (Matrix::FifoKill, &self.fifo_kills),
            (Matrix::FifoStop, &self.fifo_stops),
            (Matrix::StreamKill, &self.stream_kills),
            (Matrix::StreamStop, &self.stream_stops),
        ]
    }

    fn finish(self) -> ExitCode {
        let faulty = self.faulty();
        for (matrix, rows) in self.tables() {
            if rows.is_empty() {
                continue;
            }
            let text = markdown(matrix, rows);
            println!("{}\n\n{text}", matrix.name());
            if let Some(page) = &self.arguments.page
                && let Err(error) = table::write(page, matrix, &text)
            {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
        let rows = || self.tables().into_iter().flat_map(|(_, rows)| rows);
        let again: usize = rows().map(|row| row.again).sum();
        println!(
            "{} cells, {faulty} with faults, {again} kills done again for their time, {:.1} s",
            rows().count(),
            self.begun.elapsed().as_secs_f64()
        );
        match (self.arguments.twin, faulty) {
            (true, 0) => {
                println!("the twin passed: this matrix cannot fail");
                ExitCode::FAILURE
            }
            (true, _) => {
                println!("failed as it must: {faulty} cells have faults");
                ExitCode::SUCCESS
            }
            (false, 0) => ExitCode::SUCCESS,
            (false, _) => ExitCode::FAILURE,
        }
    }
}

/// What the library does once in a process, it does here, and not under trace in each child.
fn warm_up(world: &World) {
    let none = |_: &ground::Maker<'_>| None;
    let ground = Ground::new(world.board, &world.path, Kind::Queue, none);
    ground.lay(world.board, &world.path);
    let queue = ground::open(world.board, &world.path);
    let waited = queue.receive_timeout(Duration::from_millis(1));
    assert!(
        waited.is_ok_and(|received| received.is_none()),
        "an empty queue"
    );
}

fn is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}

/// The line that says how far a cell is.
fn progress(row: &Row) {
    if row.rounds.is_multiple_of(100) && is_terminal() {
        let (operation, survivor) = (row.operation, row.survivor);
        eprint!(
            "\r{operation} ({survivor}): {} of {}\x1b[K",
            row.rounds,
            row.instructions + 1
        );
    }
}

fn done(row: &Row) {
    let start = if is_terminal() { "\r" } else { "" };
    let (operation, survivor, of) = (row.operation, row.survivor, row.instructions + 1);
    let (rounds, elsewhere) = (row.rounds, row.elsewhere);
    let faults: usize = row.faults.iter().sum();
    eprintln!(
        "{start}{operation} ({survivor}): {rounds} of {of}, {elsewhere} on another path, \
         {faults} faults"
    );
}
