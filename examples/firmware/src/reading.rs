//! What travels: a sequence number and a value, eight bytes.

/// One reading of the sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Counts the readings that the queue accepted.
    pub sequence: u32,
    /// What the sensor showed.
    pub value: u32,
}

impl Reading {
    /// Bytes of a reading.
    pub const BYTES: usize = 8;

    /// Reads the sensor: a stand-in whose value follows from the sequence number, so that the audit
    /// can tell a damaged reading from a sound one.
    pub fn take(sequence: u32) -> Self {
        Self {
            sequence,
            value: sequence.wrapping_mul(0x9E37_79B9) ^ 0x5EED_CAFE,
        }
    }

    /// The bytes that are sent.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        (u64::from(self.value) << 32 | u64::from(self.sequence)).to_le_bytes()
    }

    /// The reading in a body; `None` if the body has another length.
    pub fn from_bytes(body: &[u8]) -> Option<Self> {
        let both = u64::from_le_bytes(body.try_into().ok()?);
        Some(Self {
            sequence: both as u32,
            value: (both >> 32) as u32,
        })
    }
}
