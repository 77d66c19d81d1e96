//! Registered consumers: names with a quota of their own, and subscriptions.
//!
//! `ring::roster` tells how names come and go, `ring::roster::feed` how a shard's subscription is
//! taken, taken over and ended. A cursor that reads for a consumer has a `Reader`, which it asks
//! before each read.

#[cfg(feature = "async")]
mod asynchronous;
mod consumer;
mod name;
mod reader;
mod register;
mod subscription;
#[cfg(any(feature = "std", feature = "async"))]
mod waiting;

pub use consumer::{ConsumerStats, StreamConsumer};
pub use name::{ConsumerInfo, ConsumerName};
pub(super) use reader::Reader;
pub use subscription::{Subscription, SubscriptionEnd};
