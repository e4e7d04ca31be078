//! One entry of a stream: the events of one batch as bytes.
//!
//! All numbers are big-endian: epoch (4), place (8), first event's number (8), number of events
//! (4); per event its kind (1), length (4) and frame; then what is kept aside and the end, each a
//! length (4) and bytes, where the length is all ones if there is none.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::stream::{End, Event, Kind, Seq};

/// The length of what is not there.
const NONE: u32 = u32::MAX;

/// Some events of a log, in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Who wrote them.
    pub(super) epoch: u32,
    /// The number of the first of them, or of the one to come where there are none.
    pub(super) first: Seq,
    pub(super) events: Vec<Event>,
    /// What is kept beside the log, if it has changed.
    pub(super) aside: Option<Bytes>,
    /// How the log ended, if it did.
    pub(super) end: Option<End>,
}

impl Batch {
    /// The entry's own number: that of its last event. An end that comes without an event has
    /// the next one, or the entry could not be told from the one before; what only begins an epoch
    /// has the one before, which belongs to another.
    pub(super) fn place(&self) -> Seq {
        let events = self.events.len() as u64;
        let own = events.max(self.end.is_some().into());
        Seq(self.first.0 + own - 1)
    }

    pub(super) fn encode(&self) -> Bytes {
        let frames: usize = self.events.iter().map(|e| e.frame.len() + 5).sum();
        let aside = self.aside.as_ref().map_or(0, Bytes::len);
        let mut out = BytesMut::with_capacity(64 + frames + aside);
        out.put_u32(self.epoch);
        out.put_u64(self.place().0);
        out.put_u64(self.first.0);
        out.put_u32(length(self.events.len()));
        for event in &self.events {
            out.put_u8(kind_code(event.kind));
            out.put_u32(length(event.frame.len()));
            event.frame.write_to(&mut out);
        }
        put(&mut out, self.aside.as_deref());
        put(
            &mut out,
            self.end.as_ref().map(|end| end_text(end).as_bytes()),
        );
        out.freeze()
    }

    /// `None` when the bytes are not a batch.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let epoch = bytes.try_get_u32().ok()?;
        let _place = bytes.try_get_u64().ok()?;
        let first = Seq(bytes.try_get_u64().ok()?);
        let count = bytes.try_get_u32().ok()?;
        let mut events = Vec::new();
        for _ in 0..count {
            let kind = kind_of(bytes.try_get_u8().ok()?)?;
            let frame = take(&mut bytes)??;
            let frame = frame.into();
            events.push(Event { kind, frame });
        }
        let aside = take(&mut bytes)?;
        let end = match take(&mut bytes)? {
            Some(text) => Some(end_of(&text)?),
            None => None,
        };
        Some(Self {
            epoch,
            first,
            events,
            aside,
            end,
        })
    }
}

fn length(length: usize) -> u32 {
    // Logs are bounded far below this.
    u32::try_from(length).unwrap_or(NONE - 1)
}

fn put(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            out.put_u32(length(bytes.len()));
            out.put_slice(bytes);
        }
        None => out.put_u32(NONE),
    }
}

/// The outer `None` is for bytes that end too early, the inner one for what is not there.
fn take(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    match bytes.try_get_u32().ok()? {
        NONE => Some(None),
        length => {
            let length = usize::try_from(length).ok()?;
            (length <= bytes.len()).then(|| Some(bytes.split_to(length)))
        }
    }
}

fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Chunk => b'c',
        Kind::Usage => b'u',
        Kind::Failure => b'f',
        Kind::Done => b'd',
        Kind::Whole => b'w',
    }
}

fn kind_of(code: u8) -> Option<Kind> {
    let all = [
        Kind::Chunk,
        Kind::Usage,
        Kind::Failure,
        Kind::Done,
        Kind::Whole,
    ];
    all.into_iter().find(|kind| kind_code(*kind) == code)
}

/// A failure's code is never one of the two words of the others.
fn end_text(end: &End) -> &str {
    match end {
        End::Completed => "+completed",
        End::Cancelled => "+cancelled",
        End::Failed(code) => code,
    }
}

fn end_of(text: &[u8]) -> Option<End> {
    Some(match std::str::from_utf8(text).ok()? {
        "+completed" => End::Completed,
        "+cancelled" => End::Cancelled,
        code => End::Failed(code.to_owned().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(end: Option<End>) -> Batch {
        let kinds = [
            Kind::Chunk,
            Kind::Usage,
            Kind::Failure,
            Kind::Done,
            Kind::Whole,
        ];
        let event = |kind| Event {
            kind,
            frame: Bytes::from_static("data: é\n\n".as_bytes()).into(),
        };
        Batch {
            epoch: 3,
            first: Seq(9),
            events: kinds.into_iter().map(event).collect(),
            aside: Some(Bytes::new()),
            end,
        }
    }

    #[test]
    fn a_batch_survives_its_bytes() {
        let failed = End::Failed("upstream_lost".into());
        for end in [
            None,
            Some(End::Completed),
            Some(End::Cancelled),
            Some(failed),
        ] {
            let batch = batch(end);
            assert_eq!(Batch::decode(batch.encode()), Some(batch));
        }
    }

    #[test]
    fn bytes_that_end_too_early_are_no_batch() {
        let whole = batch(Some(End::Completed)).encode();
        for end in 0..whole.len() {
            assert_eq!(Batch::decode(whole.slice(..end)), None, "{end}");
        }
    }

    #[test]
    fn an_entry_is_numbered_by_its_last_event_and_an_end_alone_by_the_next() {
        assert_eq!(batch(None).place(), Seq(13));
        let end = Batch {
            events: Vec::new(),
            ..batch(Some(End::Completed))
        };
        assert_eq!(end.place(), Seq(9));
    }
}
