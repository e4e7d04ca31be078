//! Digests as they are written.

/// Appends the bytes, two digits each.
pub(super) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xF] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
}

/// The 32 bytes that 64 hexadecimal digits are; `None` for anything else.
pub(super) fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        for digit in pair {
            // A digit alone: numbers may have a sign, which digests do not.
            let value = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_a_digest() {
        let digits = "0123456789abcdefABCDEF".repeat(3)[..64].to_owned();
        let digest = digest_from_hex(&digits).expect("a digest");
        assert_eq!(
            digest[..12],
            [
                1, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xAB, 0xCD, 0xEF, 1
            ]
        );
        for bad in [
            String::new(),
            digits[1..].to_owned(),
            format!("{digits}0"),
            digits.replacen('0', "+", 1),
            digits.replacen('0', "g", 1),
            format!("é{}", &digits[2..]),
        ] {
            assert_eq!(digest_from_hex(&bad), None, "{bad}");
        }
    }
}
