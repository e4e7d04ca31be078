//! Events to bytes. Lines end in LF alone: older SDKs split on it.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr2, memchr3};

/// What a line of data begins with.
pub const DATA: &[u8] = b"data: ";
/// The end of a frame: that of its last line, and a blank one.
pub const FRAME_END: &[u8] = b"\n\n";

/// A field whose value must stay on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The event's id, which the browser sends back as `Last-Event-ID`.
    Id,
    /// The event's name.
    Event,
}

/// An `id` or `event` value that would break out of its line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an SSE `{0:?}` value may not hold CR, LF or NUL")]
pub struct FieldError(Field);

/// The whole frame of an unnamed event: `data: …`, then a blank line.
pub fn data_frame(data: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(DATA.len() + data.len() + FRAME_END.len());
    write_data(&mut frame, data);
    frame.put_u8(b'\n');
    frame.freeze()
}

/// Appends `data` as `data:` lines, split on CR, LF and CRLF, without the closing blank line.
pub fn write_data(out: &mut BytesMut, data: &[u8]) {
    let mut rest = data;
    loop {
        out.put_slice(DATA);
        let Some(end) = memchr2(b'\r', b'\n', rest) else {
            out.put_slice(rest);
            out.put_u8(b'\n');
            return;
        };
        out.put_slice(&rest[..end]);
        out.put_u8(b'\n');
        let is_crlf = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_crlf)..];
    }
}

/// Appends an `id:` or `event:` line.
///
/// # Errors
/// [`FieldError`] when the value holds CR, LF or NUL; nothing is written then.
pub fn write_field(out: &mut BytesMut, field: Field, value: &str) -> Result<(), FieldError> {
    if memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some() {
        return Err(FieldError(field));
    }
    let name: &[u8] = match field {
        Field::Id => b"id: ",
        Field::Event => b"event: ",
    };
    out.put_slice(name);
    out.put_slice(value.as_bytes());
    out.put_u8(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_split_on_every_kind_of_line_end() {
        let frame = data_frame(b"a\nb\r\nc\rd");
        assert_eq!(
            &frame[..],
            b"data: a\ndata: b\ndata: c\ndata: d\n\n".as_slice()
        );
    }

    #[test]
    fn empty_data_is_still_an_event() {
        assert_eq!(&data_frame(b"")[..], b"data: \n\n".as_slice());
    }

    #[test]
    fn values_that_leave_their_line_are_refused() {
        let mut out = BytesMut::new();
        for bad in ["a\nb", "a\rb", "a\0b"] {
            assert_eq!(
                write_field(&mut out, Field::Id, bad),
                Err(FieldError(Field::Id))
            );
        }
        assert!(out.is_empty());
        assert_eq!(write_field(&mut out, Field::Event, "chunk"), Ok(()));
        assert_eq!(&out[..], b"event: chunk\n".as_slice());
    }
}
