//! Power loss, by crash images: children work on queues and streams that survive it, while their
//! writes to the disk are recorded; images are made of what a crash at any moment may have left
//! there, and each is opened, emptied or read, and filled. What was durable has to be there, and
//! what was deleted for good must not be. Of a FIFO queue each group has to be in order, and an id
//! that is durable is not accepted again, nor one refused whose message is not there. Of a stream
//! nothing may be missing between two records that are there.
//!
//! ```text
//! cargo test --all-features --test crash                      a thinned run
//! cargo test --release ... --test crash -- --images 10000     the full one
//!   --images N   images in all          --minutes M   go on for so long instead
//!   --seed N     another run, or the same one again
//!   --only TEXT  trials whose names have it
//!   --dir DIR    where the children's disk is
//!   --twin       every third sync is swallowed, and of streams also each behind a ledger: the run
//!                has to find what is lost by it
//! ```
//!
//! It has its own `main`, with one thread, so that it may fork and trace.
#![cfg(not(ringmain_loom))]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("crash images are made on Linux on x86-64 only");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod common;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "crash"]
mod linux {
    pub mod disk;
    pub mod faults;
    pub mod image;
    pub mod machine;
    pub mod plan;
    pub mod queue {
        pub mod check;
        pub mod handle;
        pub mod subject;
        pub mod tale;
        pub mod work;
        pub use subject::Queues;
    }
    #[cfg(feature = "stream")]
    pub mod stream {
        pub mod check;
        pub mod subject;
        pub mod tale;
        pub mod work;
        pub use subject::Streams;
    }
    pub mod subject;
    pub mod tale;
    pub mod trace;
}
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use linux::*;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "crash/run.rs"]
mod run;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    run::main()
}
