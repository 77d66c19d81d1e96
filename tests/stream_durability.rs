//! Durability of streams: levels, and what is there again when the machine has stopped.
#![cfg(all(feature = "stream", feature = "mapped", not(ringmain_loom)))]

mod common;

#[path = "stream_durability"]
mod parts {
    pub mod levels;
    pub mod machine;
    pub mod recovery;
    pub mod refusals;
}
use parts::machine;
