//! What a region holds.

use super::home::Wish;
#[cfg(feature = "stream")]
use super::layout::{KIND_FIFO, KIND_QUEUE};
use super::memory::Place;
#[cfg(feature = "stream")]
use super::stream::{KIND_STREAM, StreamPlace};
use crate::error::Error;

/// What lies in a region, once it is verified.
#[derive(Debug, Clone, Copy)]
pub enum Section {
    /// A queue of either kind.
    Queue(Place),
    /// A stream.
    #[cfg(feature = "stream")]
    Stream(StreamPlace),
}

impl Section {
    /// The queue; an error if it is something else.
    pub fn queue(self, wish: &Wish) -> Result<Place, Error> {
        let _ = wish;
        match self {
            Self::Queue(place) => Ok(place),
            #[cfg(feature = "stream")]
            Self::Stream(_) => Err(Error::Kind {
                found: KIND_STREAM,
                expected: match wish.fifo {
                    Some(_) => KIND_FIFO,
                    None => KIND_QUEUE,
                },
            }),
        }
    }

    /// The stream; an error if it is something else.
    #[cfg(feature = "stream")]
    pub fn stream(self) -> Result<StreamPlace, Error> {
        match self {
            Self::Stream(place) => Ok(place),
            Self::Queue(place) => Err(Error::Kind {
                found: match place.shape.fifo.is_fifo() {
                    true => KIND_FIFO,
                    false => KIND_QUEUE,
                },
                expected: KIND_STREAM,
            }),
        }
    }
}
