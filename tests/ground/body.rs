//! Bodies that carry their own proof: whatever bytes a receiver gets, it can be told whether
//! somebody sent them whole.

/// Bytes of the proof at the start of a body: the least length.
pub const PROOF_BYTES: usize = 8;

/// A body of `len` bytes (at least [`PROOF_BYTES`]), its bytes drawn from `seed`.
pub fn sealed(seed: u64, len: usize) -> Vec<u8> {
    let mut body = vec![0; len.max(PROOF_BYTES)];
    fill(seed, &mut body);
    body
}

/// Writes what [`sealed`] makes over `body`.
pub fn fill(seed: u64, body: &mut [u8]) {
    let len = body.len();
    let (start, rest) = body.split_at_mut(PROOF_BYTES);
    let mut word = mix(seed, ODD);
    for chunk in rest.chunks_mut(8) {
        word = word.wrapping_mul(ODD).wrapping_add(seed | 1);
        chunk.copy_from_slice(&word.rotate_left(29).to_le_bytes()[..chunk.len()]);
    }
    start.copy_from_slice(&proof(rest, len).to_le_bytes());
}

/// Whether these bytes are a body that [`sealed`] made: all of it, and nothing else.
pub fn is_sealed(body: &[u8]) -> bool {
    let Some((start, rest)) = body.split_at_checked(PROOF_BYTES) else {
        return false;
    };
    start == proof(rest, body.len()).to_le_bytes()
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(ODD);
    product ^ (product >> 31)
}

/// 64 bits over all bytes and their number; not the library's own checksum, and quick even where
/// every branch is watched.
fn proof(rest: &[u8], len: usize) -> u64 {
    let (words, tail) = rest.as_chunks::<8>();
    let state = words.iter().fold(mix(len as u64, ODD), |state, word| {
        mix(state, u64::from_le_bytes(*word))
    });
    tail.iter()
        .fold(state, |state, byte| mix(state, u64::from(*byte) + 1))
}
