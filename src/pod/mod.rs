//! Floor 0: plain data, which may be read from any bytes.

pub use bytemuck::{Pod, Zeroable, bytes_of, pod_read_unaligned};
