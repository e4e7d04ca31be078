//! The decoder finds the same events however its bytes are split, and what is encoded is decoded.
#![no_main]

#[path = "../../src/sse/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is tried here")]
mod sse;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use sse::{DecodeError, Decoder, Event, data_frame};

const MAX_BYTES: usize = 256;

/// What comes of these reads, up to the first error.
fn decode<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<DecodeError>) {
    let mut decoder = Decoder::new(MAX_BYTES);
    let mut events = Vec::new();
    for read in reads {
        decoder.push(Bytes::copy_from_slice(read));
        while let Some(event) = decoder.next() {
            match event {
                Ok(event) => events.push(event),
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((&size, bytes)) = input.split_first() else {
        return;
    };
    let whole = decode([bytes].into_iter());
    let size = usize::from(size).max(1);
    let pieces = decode(bytes.chunks(size));
    assert_eq!(whole, pieces, "in pieces of {size}");
    for event in &whole.0 {
        assert!(event.data.len() <= MAX_BYTES + 1);
        assert!(!event.last_id.contains(&0));
        let frame: BytesMut = data_frame(&event.data).into_iter().collect();
        let (again, error) = decode([&frame[..]].into_iter());
        // The frame has a `data: ` for each line, so that it may be too large where the event is not.
        if error.is_none() {
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].data, event.data);
        }
    }
});
