//! The mock's wire plan: how the bytes of one reply are broken, late, or missing on their way to
//! the client that asked (PROTOCOL, section 6). The log behind it stays whole.
//!
//! A [`Plan`] is data; [`Player`] turns events into [`Move`]s. Neither does any I/O.

mod delivery;
mod parse;
mod player;
mod split;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

pub use delivery::{Delivered, Delivery, Lateness};
pub use parse::PlanError;
pub use player::{End, Move, Player};

/// How long a stall lasts that names no time: longer than any client waits, and not for ever.
pub const ENDLESS: Duration = Duration::from_secs(3600);

/// What happens to one reply between its log and the socket.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Where the writes begin and end.
    pub framing: Framing,
    /// The frame of a planned error, in place of OpenAI's.
    pub failure: Option<Bytes>,
    /// What is sent while there is nothing to send, in place of a heartbeat.
    pub waiting: Option<&'static str>,
    /// From where `sweep` begins.
    pub seed: u64,
    /// Waits are not waited for.
    pub is_virtual: bool,
    /// No heartbeat comes between the bytes.
    pub is_exact: bool,
    /// Where what was sent is written down.
    pub delivery: Arc<Delivery>,
}

impl Plan {
    /// Nothing is to be done to the bytes.
    pub fn is_plain(&self) -> bool {
        self.faults.is_empty() && self.framing == Framing::default() && !self.is_exact
    }

    /// Waits so long, unless time is virtual.
    pub async fn wait(&self, time: Duration) {
        if !self.is_virtual && !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }

    /// The reply says to be of another kind than it is.
    pub fn has_wrong_content_type(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|fault| fault.kind == FaultKind::ContentType)
    }
}

/// One thing that goes wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Where; its kind's own place if `None`.
    pub at: Option<At>,
    /// How long, for those that take time.
    pub lasts: Option<Duration>,
    /// How probable it is, from 0 to 1.
    pub probability: f64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An HTTP error in place of the reply.
    Status(u16),
    /// Silence before this place.
    Stall,
    /// Byte by byte, spread over a time.
    Drip,
    /// The connection ends before this place, by FIN.
    Cut,
    /// The connection ends before this place, by RST.
    Reset,
    /// An error event in place of this event, and the sentinel.
    Error,
    /// The body ends, as if it were whole, in the middle of this event.
    Truncated,
    /// This event's JSON is broken.
    Malformed,
    /// No choice says why it ended.
    NoFinish,
    /// There is no sentinel.
    NoDone,
    /// There are two.
    DoneTwice,
    /// This event comes twice.
    Duplicate,
    /// This event comes after the next.
    Reorder,
    /// This event is larger than clients and proxies take.
    Oversized,
    /// The head names another type of content.
    ContentType,
}

/// A place in a body, counted from 1. What stands there is itself not sent as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// An event, the sentinel included.
    Event(u64),
    /// A byte of the body as it would have been sent.
    Byte(u64),
}

/// Where writes begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Framing {
    /// What is written at once.
    pub split: Split,
    /// How long between two writes.
    pub gap: Duration,
    /// How lines end.
    pub eol: Eol,
    /// A byte-order mark comes first.
    pub has_bom: bool,
    /// A comment comes before every event.
    pub has_comments: bool,
}

/// What is written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// All that is ready.
    #[default]
    Ready,
    /// One event.
    Event,
    /// So many events.
    Coalesce(usize),
    /// So many bytes.
    Bytes(usize),
    /// Up to the middle of a character.
    Utf8,
    /// Up to between the two bytes of a line's end.
    Crlf,
    /// Up to between the two line ends that close an event.
    Newlines,
    /// Half events, cut at every place in turn.
    Sweep,
}

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eol {
    /// `\n`
    #[default]
    Lf,
    /// `\r\n`
    Crlf,
    /// `\r`
    Cr,
}

impl FaultKind {
    /// As it is written, without the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Stall => "stall",
            Self::Drip => "drip",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Error => "error",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::NoFinish => "no_finish",
            Self::NoDone => "no_done",
            Self::DoneTwice => "done_twice",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Oversized => "oversized",
            Self::ContentType => "content_type",
        }
    }

    /// The status, if it is an HTTP error.
    pub fn status(self) -> Option<u16> {
        if let Self::Status(status) = self {
            return Some(status);
        }
        None
    }

    /// How the body ends where it breaks off.
    pub(super) fn end(self) -> End {
        if self == Self::Cut {
            return End::Cut;
        }
        if self == Self::Reset {
            return End::Reset;
        }
        End::Finished
    }

    /// Whether it is at one place of the body.
    pub fn has_place(self) -> bool {
        match self {
            Self::Stall
            | Self::Drip
            | Self::Cut
            | Self::Reset
            | Self::Error
            | Self::Truncated
            | Self::Malformed
            | Self::Duplicate
            | Self::Reorder
            | Self::Oversized => true,
            Self::Status(_)
            | Self::NoFinish
            | Self::NoDone
            | Self::DoneTwice
            | Self::ContentType => false,
        }
    }

    /// Whether a byte can be its place.
    pub fn can_be_at_byte(self) -> bool {
        match self {
            Self::Stall | Self::Drip | Self::Cut | Self::Reset | Self::Truncated => true,
            Self::Status(_)
            | Self::Error
            | Self::Malformed
            | Self::NoFinish
            | Self::NoDone
            | Self::DoneTwice
            | Self::Duplicate
            | Self::Reorder
            | Self::Oversized
            | Self::ContentType => false,
        }
    }

    /// Whether it takes a time.
    pub fn has_duration(self) -> bool {
        matches!(self, Self::Stall | Self::Drip | Self::Status(_))
    }
}

impl Fault {
    /// Where it happens: as it says, else at the second event, which is the first with content.
    pub fn place(&self) -> At {
        self.at.unwrap_or(At::Event(2))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let FaultKind::Status(status) = self.kind {
            write!(f, "={status}")?;
        }
        if self.kind.has_place() {
            match self.place() {
                At::Event(event) => write!(f, "@event={event}")?,
                At::Byte(byte) => write!(f, "@byte={byte}")?,
            }
        }
        if let Some(lasts) = self.lasts {
            write!(
                f,
                ",for={}",
                humantime_serde::re::humantime::format_duration(lasts)
            )?;
        }
        Ok(())
    }
}
