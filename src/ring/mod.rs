//! Floor 1: lock-free algorithms over borrowed slots. No clock, no files; boxes only at creation.

mod backoff;
pub mod bag;
#[cfg(not(ringmain_loom))]
pub(crate) mod blocks;
#[cfg(ringmain_loom)]
pub mod blocks;
#[cfg(not(ringmain_loom))]
pub(crate) mod chains;
#[cfg(ringmain_loom)]
pub mod chains;
#[cfg(not(ringmain_loom))]
pub(crate) mod due;
#[cfg(ringmain_loom)]
pub mod due;
mod error;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
pub(crate) mod log;
#[cfg(all(feature = "stream", ringmain_loom))]
pub mod log;
#[cfg(not(ringmain_loom))]
pub(crate) mod maps;
#[cfg(ringmain_loom)]
pub mod maps;
pub mod mpmc;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
pub(crate) mod roster;
#[cfg(all(feature = "stream", ringmain_loom))]
pub mod roster;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
pub(crate) mod shards;
#[cfg(all(feature = "stream", ringmain_loom))]
pub mod shards;
mod slot;
pub mod spsc;
mod store;
#[cfg(not(ringmain_loom))]
pub(crate) mod tickets;
#[cfg(ringmain_loom)]
pub mod tickets;

pub use bag::Bag;
#[cfg(feature = "alloc")]
pub use bag::{BagBox, bag};
pub use error::{CapacityError, Full};
pub use mpmc::Mpmc;
#[cfg(feature = "alloc")]
pub use mpmc::{MpmcBox, mpmc};
#[cfg(feature = "alloc")]
pub use spsc::spsc;
pub use spsc::{Consumer, Producer, Spsc};
