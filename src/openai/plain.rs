//! The bytes of a JSON string that need no look.

/// How many of the first bytes are a string's and need no look: ASCII, no control character, quote or
/// backslash. They are told eight at a time; up to seven more may follow.
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is zero; of those after the first, maybe others.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (eights, _) = bytes.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let quotes = zeros(word ^ (ONES * u64::from(b'"')));
        let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
        let found = (controls | word) & HIGH | quotes | backslashes;
        if found != 0 {
            // Less than eight.
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    eights.len() * 8
}
