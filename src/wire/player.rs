//! From events to writes, waits and an end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{
    At, Delivery, Eol, Fault, FaultKind, Plan, Split,
    split::{self, line_ends, malformed, oversized, without_finish},
};

/// How long a drip takes that names no time.
const DRIP: Duration = Duration::from_secs(1);
const BOM: &[u8] = "\u{feff}".as_bytes();
const COMMENT: &[u8] = b": a comment\n";
const FAILURE: &[u8] = b"data: {\"error\":{\"message\":\"The mock was asked to fail here.\",\
    \"type\":\"server_error\",\"param\":null,\"code\":\"mock_fault\"}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What is done next on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Write these bytes, so many at once, with a wait after each write.
    Write {
        /// What.
        bytes: Bytes,
        /// How many at once; at least 1.
        step: usize,
        /// The wait.
        gap: Duration,
    },
    /// Send nothing for so long.
    Pause(Duration),
    /// The end.
    End(End),
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As bodies do.
    Finished,
    /// The connection is closed.
    Cut,
    /// The connection is reset.
    Reset,
}

/// Plays a plan: events in, moves out. Nothing comes out after an end.
#[derive(Debug)]
pub struct Player {
    plan: Arc<Plan>,
    is_stream: bool,
    moves: VecDeque<Move>,
    // Events and bytes so far, of the body as it would have been.
    events: u64,
    bytes: u64,
    // The event that a reordering holds back.
    held: Option<Bytes>,
    // What is written together with what follows.
    joined: BytesMut,
    joined_events: usize,
    has_ended: bool,
}

impl Player {
    /// Plays for one body: a stream of events, or a whole reply as one event.
    pub fn new(plan: Arc<Plan>, is_stream: bool) -> Self {
        let mut player = Self {
            plan,
            is_stream,
            moves: VecDeque::new(),
            events: 0,
            bytes: 0,
            held: None,
            joined: BytesMut::new(),
            joined_events: 0,
            has_ended: false,
        };
        if is_stream && player.plan.framing.has_bom {
            player.split(Bytes::from_static(BOM), None);
        }
        player
    }

    /// The next thing to do, while there is one.
    pub fn next_move(&mut self) -> Option<Move> {
        self.moves.pop_front()
    }

    /// The next event of the log, as its frame.
    pub fn event(&mut self, frame: Bytes, is_done: bool) {
        self.events += 1;
        let mut frame = frame;
        let mut copies = 1;
        let mut drip = None;
        for fault in self.plan.clone().faults.iter() {
            if self.has_ended {
                return;
            }
            if fault.kind.has_place() && fault.place() != At::Event(self.events) {
                continue;
            }
            match fault.kind {
                FaultKind::Stall => self.pause(fault),
                FaultKind::Drip => drip = Some(fault.lasts.unwrap_or(DRIP)),
                FaultKind::Cut | FaultKind::Reset => self.break_off(fault),
                FaultKind::Truncated => {
                    let half = frame.len() / 2;
                    self.send(frame.slice(..half), None);
                    self.break_off(fault);
                }
                FaultKind::Error => {
                    let failure = self.plan.failure.clone();
                    self.send(failure.unwrap_or(Bytes::from_static(FAILURE)), None);
                    self.send(Bytes::from_static(DONE), None);
                    self.break_off(fault);
                }
                FaultKind::Malformed => frame = malformed(&frame),
                FaultKind::Oversized => frame = oversized(&frame),
                FaultKind::Duplicate => copies = 2,
                FaultKind::Reorder => {
                    self.happened(fault);
                    self.held = Some(frame);
                    return;
                }
                FaultKind::NoFinish => match without_finish(&frame) {
                    Some(rest) => frame = rest,
                    None => copies = 0,
                },
                FaultKind::NoDone if is_done => copies = 0,
                FaultKind::DoneTwice if is_done => copies = 2,
                FaultKind::NoDone
                | FaultKind::DoneTwice
                | FaultKind::Status(_)
                | FaultKind::ContentType => continue,
            }
            if !self.has_ended && fault.kind.has_place() {
                self.happened(fault);
            }
        }
        if self.has_ended {
            return;
        }
        for _ in 0..copies {
            self.send(frame.clone(), drip);
        }
        if let Some(held) = self.held.take() {
            self.send(held, None);
        }
    }

    /// Nothing follows for now: what is ready goes out.
    pub fn idle(&mut self) {
        if self.plan.framing.split == Split::Ready {
            self.flush();
        }
    }

    /// The log has ended.
    pub fn end(&mut self) {
        if self.has_ended {
            return;
        }
        if let Some(held) = self.held.take() {
            self.send(held, None);
        }
        self.flush();
        self.finish(End::Finished);
    }

    fn happened(&self, fault: &Fault) {
        self.delivery().fault(fault.to_string());
    }

    fn delivery(&self) -> &Delivery {
        &self.plan.delivery
    }

    fn finish(&mut self, end: End) {
        self.has_ended = true;
        self.moves.push_back(Move::End(end));
    }

    /// What was ready goes out, and then nothing more.
    fn break_off(&mut self, fault: &Fault) {
        if self.has_ended {
            return;
        }
        self.flush();
        self.happened(fault);
        self.finish(fault.kind.end());
    }

    fn pause(&mut self, fault: &Fault) {
        self.flush();
        let lasts = fault.lasts.unwrap_or(super::ENDLESS);
        self.moves.push_back(Move::Pause(lasts));
    }

    /// Sends an event's bytes, unless something is to happen at one of them.
    fn send(&mut self, frame: Bytes, drip: Option<Duration>) {
        let mut rest = self.dressed(frame);
        let plan = Arc::clone(&self.plan);
        let mut drip = drip;
        while let Some((fault, at)) = self.fault_within(&plan.faults, rest.len()) {
            self.split(rest.split_to(at), drip);
            if fault.kind == FaultKind::Stall {
                self.pause(fault);
            } else if fault.kind == FaultKind::Drip {
                drip = Some(fault.lasts.unwrap_or(DRIP));
            } else {
                return self.break_off(fault);
            }
            self.happened(fault);
            if rest.is_empty() {
                return;
            }
            // The byte itself, so that the same fault is not met again.
            self.split(rest.split_to(1), drip);
        }
        self.split(rest, drip);
    }

    /// The first fault at one of the next bytes, and how many come before it.
    fn fault_within<'a>(&self, faults: &'a [Fault], length: usize) -> Option<(&'a Fault, usize)> {
        let places = faults.iter().filter_map(|fault| match fault.at {
            Some(At::Byte(byte)) => {
                let before = usize::try_from(byte.checked_sub(self.bytes + 1)?).ok()?;
                (before < length).then_some((fault, before))
            }
            Some(At::Event(_)) | None => None,
        });
        places.min_by_key(|(_, before)| *before)
    }

    /// With the line ends and comments of the plan.
    fn dressed(&self, frame: Bytes) -> Bytes {
        let framing = self.plan.framing;
        if !self.is_stream || (framing.eol == Eol::Lf && !framing.has_comments) {
            return frame;
        }
        let mut dressed = BytesMut::with_capacity(frame.len() + 64);
        if framing.has_comments {
            dressed.extend_from_slice(COMMENT);
        }
        dressed.extend_from_slice(&frame);
        line_ends(dressed.freeze(), framing.eol)
    }

    /// Cuts bytes into writes.
    fn split(&mut self, bytes: Bytes, drip: Option<Duration>) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len() as u64;
        let gap = self.plan.framing.gap;
        if let Some(lasts) = drip {
            self.flush();
            let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            return self.write(bytes, 1, lasts / count);
        }
        match self.plan.framing.split {
            Split::Ready => self.joined.extend_from_slice(&bytes),
            Split::Event => self.write_all(bytes),
            Split::Coalesce(count) => {
                self.joined.extend_from_slice(&bytes);
                self.joined_events += 1;
                if self.joined_events >= count {
                    self.flush();
                }
            }
            Split::Bytes(step) => self.write(bytes, step, gap),
            Split::Utf8 => self.cut(bytes, split::in_characters),
            Split::Crlf => self.cut(bytes, split::in_line_ends),
            Split::Newlines => self.cut(bytes, split::between_newlines),
            Split::Sweep => {
                let turn = self.plan.seed.wrapping_add(self.events);
                self.cut(bytes, |bytes| split::in_turn(bytes, turn));
            }
        }
    }

    fn cut(&mut self, mut bytes: Bytes, places: impl Fn(&[u8]) -> Vec<usize>) {
        let mut done = 0;
        for place in places(&bytes) {
            let piece = bytes.split_to(place - done);
            done = place;
            self.write_all(piece);
        }
        self.write_all(bytes);
    }

    fn flush(&mut self) {
        let joined = self.joined.split().freeze();
        self.joined_events = 0;
        self.write_all(joined);
    }

    fn write_all(&mut self, bytes: Bytes) {
        let gap = self.plan.framing.gap;
        self.write(bytes, usize::MAX, gap);
    }

    fn write(&mut self, bytes: Bytes, step: usize, gap: Duration) {
        if !bytes.is_empty() {
            self.moves.push_back(Move::Write { bytes, step, gap });
        }
    }
}

#[cfg(test)]
#[path = "player_tests.rs"]
mod tests;
