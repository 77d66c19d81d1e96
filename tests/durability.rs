//! What survives the machine: levels, positions, the journal's ring, and recovery from it.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

#[cfg(feature = "fifo")]
#[path = "durability/fifo.rs"]
mod fifo;
#[path = "durability/levels.rs"]
mod levels;
#[path = "durability/machine.rs"]
mod machine;
#[path = "durability/recovery.rs"]
mod recovery;
#[path = "durability/refusals.rs"]
mod refusals;
