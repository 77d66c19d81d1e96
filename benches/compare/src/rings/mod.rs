//! Section `rings`: `u64` through our rings and their peers.

mod drive;
#[cfg(feature = "ring")]
mod ours;
mod peer;
mod scq;
mod spsc;
mod vyukov;

use crate::sample::{Column, Row};

/// The columns, in the order of each row's jobs.
pub const COLUMNS: [Column; 7] = [
    Column::alone("1 thread push+pop", Some(1)),
    Column::alone("1 thread 10+10", Some(1)),
    Column::shared("1P1C", Some(2)),
    Column::shared("1P1C batch 10", Some(2)),
    Column::shared("2P2C", Some(4)),
    Column::shared("2P2C batch 10", Some(4)),
    Column::shared("4P4C", Some(8)),
];

/// All rows, ours first.
pub fn rows(capacity: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    #[cfg(feature = "ring")]
    ours::add(&mut rows, capacity);
    spsc::add(&mut rows, capacity);
    vyukov::add(&mut rows, capacity);
    scq::add(&mut rows, capacity);
    rows
}

/// What has to be known to read the table.
pub fn notes(rows: &[Row]) -> Vec<String> {
    let mut notes = vec![
        "`*`: no batch call; the columns of tens are loops of single calls.".to_owned(),
        "Tens of gil and disruptor are read in place; ringmain Spsc and rtrb have a row for each \
         way; the others' are copied out. disruptor publishes ten or none."
            .to_owned(),
        "kanal has a batch call for receiving only, which takes all there is; gil's mpmc has one \
         in its sharded form only, where each producer has a ring of its own and there is no \
         order between producers."
            .to_owned(),
        "MPMC and sharded rows stop when a claimant is stopped in mid-operation (or hold a \
         lock); SCQ and Bag rows do not. 2P2C and 4P4C share two cores, where there are no more."
            .to_owned(),
    ];
    if !rows.iter().any(|row| row.name.starts_with("heapless")) {
        notes.push("heapless has its capacity in its type; only 1024 and 65536 are built.".into());
    }
    if !rows.iter().any(|row| row.is_ours()) {
        notes.push("Built without the feature `ring`: our rows are missing.".into());
    }
    notes
}
