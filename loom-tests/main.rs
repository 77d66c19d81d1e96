//! Models of every protocol, run by loom over all interleavings up to a few preemptions:
//! `RUSTFLAGS="--cfg ringmain_loom" cargo test --release --test loom -- --nocapture`.
//!
//! Each model has a broken twin, which has to fail; it prints its name when it does. Loom knows
//! nothing of death, so models of deaths choose the step at which a participant stops for ever.
#![cfg(ringmain_loom)]

mod attempts;
mod bag;
mod chains;
mod chains_terms;
mod deletes;
mod dues;
mod event;
mod feeds;
mod fifo_kept;
mod fixture;
mod groups;
mod ids;
mod kept;
mod log;
mod log_reserve;
mod log_waits;
mod maps;
mod marks;
mod moving;
mod mpmc;
mod peek;
mod queue;
mod roster;
mod sends;
mod shards;
mod spsc;
mod tickets;
mod twin;
