//! The ids of a span as they travel: W3C Trace Context, level 1.

use std::fmt;

/// A span's id within its trace.
pub type SpanId = [u8; 8];

/// Which span of which trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace's id.
    pub trace: [u8; 16],
    /// The span's own.
    pub span: SpanId,
    /// The trace is kept.
    pub is_sampled: bool,
}

impl Context {
    /// The context that a `traceparent` header has; `None` for anything that is none.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (span, flags) = (parts.next()?, parts.next()?);
        let [version] = bytes::<1>(version)?;
        // Later versions may have more parts; this one may not.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let context = Self {
            trace: bytes(trace)?,
            span: bytes(span)?,
            is_sampled: bytes::<1>(flags)?[0] & 1 == 1,
        };
        let is_valid = context.trace != [0; 16] && context.span != [0; 8];
        is_valid.then_some(context)
    }

    /// The first span of a new trace, kept with this probability. `None` without randomness.
    pub(super) fn root(sample_ratio: f64) -> Option<Self> {
        let trace = random::<16>()?;
        // As every SDK has it: the trace's own last bytes decide.
        let [.., a, b, c, d, e, f, g, h] = trace;
        let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 11;
        // 53 bits are exact in a float.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let place = place as f64 / (1_u64 << 53) as f64;
        Some(Self {
            trace,
            span: random()?,
            is_sampled: place < sample_ratio,
        })
    }

    /// A span within this one. `None` without randomness.
    pub fn child(&self) -> Option<Self> {
        Some(Self {
            span: random()?,
            ..*self
        })
    }
}

/// As a `traceparent` header.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", hex(&self.trace), hex(&self.span))
    }
}

/// Digits of bytes, in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly so many bytes, from lower-case digits.
fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let is_digit = |c: &u8| c.is_ascii_digit() || (b'a'..=b'f').contains(c);
    if digits.len() != 2 * N || !digits.as_bytes().iter().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    // All zeros mean no id.
    (bytes != [0; N]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_is_read_and_written_again() {
        let context = Context::parse(HEADER).expect("valid");
        assert!(context.is_sampled);
        assert_eq!(context.to_string(), HEADER);
        let later = HEADER.replacen("00", "cc", 1) + "-more";
        assert_eq!(Context::parse(&later), Some(context));
        let child = context.child().expect("random");
        assert_eq!(child.trace, context.trace);
        assert_ne!(child.span, context.span);
    }

    #[test]
    fn what_is_no_header_is_none() {
        for wrong in [
            "",
            "00",
            &HEADER.replacen("00", "ff", 1),
            &format!("{HEADER}-more"),
            &HEADER.to_uppercase(),
            &HEADER.replace("b7ad6b7169203331", "0000000000000000"),
            &HEADER.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &HEADER.replace("0af7", "0af"),
            &HEADER.replace("0af7", "é"),
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_share_of_new_traces_is_kept() {
        let kept = |ratio| {
            let contexts = (0..1000).filter_map(|_| Context::root(ratio));
            contexts.filter(|context| context.is_sampled).count()
        };
        assert_eq!(kept(0.0), 0);
        assert_eq!(kept(1.0), 1000);
        assert!((300..700).contains(&kept(0.5)));
    }
}
