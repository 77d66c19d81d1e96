//! Our queue in its heap and mapped homes.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ringmain::{Error, Heap, Mapped, Queue, QueueOptions, Region};

use super::{
    message::{BODY, Body, Tally},
    pair,
    store::{Store, cycle},
};
use crate::sample::{Failure, Job, Row};

/// Adds a row a home.
///
/// # Errors
///
/// A region that cannot be made.
pub fn add(rows: &mut Vec<Row>, bytes: u64, memory: &Path, disk: &Path) -> Result<(), Failure> {
    let heap = Heap::new(usize::try_from(bytes)?)?;
    let heap = Rc::new(Queue::create(Arc::new(heap), options())?);
    rows.push(row("ringmain, heap", &heap, None));
    for (name, folder) in [
        ("ringmain, mapped, /dev/shm", memory),
        ("ringmain, mapped, disk", disk),
    ] {
        let path = folder.join("messages.ring");
        let region = Mapped::create(&path, bytes)?;
        let queue = Rc::new(Queue::create(Arc::new(region), options())?);
        rows.push(row(name, &queue, Some(path)));
    }
    Ok(())
}

fn options() -> QueueOptions {
    QueueOptions::new()
        .visibility(Duration::from_secs(30))
        .typical_body(BODY)
}

/// All columns; two processes where there is a file that they can share.
fn row<R>(name: &str, queue: &Rc<Queue<R>>, path: Option<PathBuf>) -> Row
where
    R: Region + Send + Sync + 'static,
{
    let with = |run: fn(&Queue<R>, Duration) -> _| -> Job {
        let queue = Rc::clone(queue);
        Box::new(move |time| run(&queue, time))
    };
    let processes: Option<Job> = path.map(|path| -> Job {
        let queue = Rc::clone(queue);
        Box::new(move |time| pair::processes(&queue, &path, time))
    });
    Row {
        name: name.into(),
        family: "queue",
        against: &["queue"],
        jobs: vec![
            Some(with(|queue, time| {
                cycle(&mut ByTens(queue), super::message::TEN, time)
            })),
            Some(with(|queue, time| cycle(&mut Single(queue), 1, time))),
            Some(with(pair::threads)),
            processes,
        ],
    }
}

/// Batches of ten.
struct ByTens<'a, R: Region>(&'a Queue<R>);

impl<R: Region> Store for ByTens<'_, R> {
    #[inline(always)]
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        for outcome in self.0.send_batch(bodies)? {
            outcome?;
        }
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure> {
        take_batch(self.0, max, tally)
    }
}

/// One at a time.
struct Single<'a, R: Region>(&'a Queue<R>);

impl<R: Region> Store for Single<'_, R> {
    #[inline(always)]
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        for body in bodies {
            self.0.send(body)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn take(&mut self, _: usize, tally: &mut Tally) -> Result<usize, Failure> {
        let Some(received) = self.0.receive()? else {
            return Ok(0);
        };
        tally.consume(received.body());
        received.delete()?;
        Ok(1)
    }
}

/// Receives up to `max`, looks at each body, deletes them all, and says how many.
#[inline(always)]
pub fn take_batch<R: Region>(
    queue: &Queue<R>,
    max: usize,
    tally: &mut Tally,
) -> Result<usize, Failure> {
    let batch = queue.receive_batch(max)?;
    let taken = batch.len();
    for received in batch.iter() {
        tally.consume(received.body());
    }
    for outcome in batch.delete() {
        outcome?;
    }
    Ok(taken)
}

/// Sends ten; those that did not fit are moved to the front, and how many these are is said.
#[inline(always)]
pub fn send_some<R: Region>(
    queue: &Queue<R>,
    bodies: &mut [Body],
    tally: &mut Tally,
) -> Result<usize, Failure> {
    let mut left = 0;
    for (index, outcome) in queue.send_batch(bodies)?.into_iter().enumerate() {
        match outcome {
            Ok(_) => tally.add(&bodies[index]),
            Err(Error::Full) => {
                bodies.swap(left, index);
                left += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(left)
}
