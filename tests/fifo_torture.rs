//! The torture of FIFO queues: producers and consumers, each a process, over one mapped queue,
//! killed at any moment and begun anew; then the history of each group is checked. `--help` tells
//! the options; `fifo_torture/check.rs` tells what must hold.
#![cfg_attr(ringmain_loom, allow(unused))]
#![allow(clippy::disallowed_types)] // boards that processes share; the rule is for the library

#[cfg(not(ringmain_loom))]
mod common;
#[cfg(not(ringmain_loom))]
#[path = "fifo_torture"]
mod fifo_torture {
    pub mod ambush;
    pub mod board;
    pub mod check;
    pub mod conductor;
    pub mod consumer;
    pub mod hand;
    pub mod history;
    pub mod options;
    #[path = "../torture/os.rs"]
    #[allow(dead_code)] // the other torture uses more of it
    pub mod os;
    pub mod producer;
    pub mod run;

    use super::common;
}

/// Nothing to do under the model checker.
#[cfg(ringmain_loom)]
fn main() {}

#[cfg(not(ringmain_loom))]
fn main() -> std::process::ExitCode {
    match fifo_torture::options::Options::read(std::env::args().skip(1)) {
        Ok(options) => fifo_torture::run::run(&options),
        Err((text, status)) => {
            println!("{text}");
            std::process::ExitCode::from(status)
        }
    }
}
