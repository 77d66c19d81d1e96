//! Floor 3: the envelope, which queues, streams and topics share.
//!
//! What is sent is a body and up to ten typed attributes. [`rules`] and [`number`] say what names
//! and values may be, [`message`](mod@message) gathers them at the sender, [`layout`] is how they
//! lie in memory, and [`attributes`] reads them in place at the receiver, without belief in a byte.
#![forbid(unsafe_code)]

mod attributes;
mod layout;
#[expect(clippy::module_inception, reason = "a file is named after its noun")]
mod message;
#[cfg(feature = "fifo")]
mod names;
mod number;
mod origin;
mod rules;
mod value;

pub use attributes::{Attributes, AttributesIter};
pub use message::Message;
#[cfg(feature = "fifo")]
pub(crate) use names::{Names, name_refused};
pub(crate) use origin::Origin;
pub use value::Value;
