//! FIFO queues: groups in exact order, and ids that are accepted once.

pub mod layout;
