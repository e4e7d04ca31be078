//! What stands in a source: chunks as they came, each with its time.

use std::time::Duration;

use crate::{
    backend::Chunk,
    openai::scan,
    sse::Decoder,
    stream::{End, Event, Kind, Log},
};

/// A chunk of a source, and how long after the source's beginning it came. `None` for what is no
/// chunk.
pub(in crate::completion) fn read(event: &Event) -> Option<(Duration, Chunk)> {
    // The fields around the chunk come on top of its own bytes, which were held to a limit.
    let mut decoder = Decoder::new(event.frame.len());
    decoder.push(event.frame.to_bytes());
    let event = decoder.next()?.ok()?;
    let millis = std::str::from_utf8(&event.last_id).ok()?.parse().ok()?;
    let facts = scan(&event.data).ok()?;
    let json = event.data;
    Some((Duration::from_millis(millis), Chunk::new(json, facts)))
}

/// Whether a source has the whole answer to be given again: it ended well, and each of so many
/// choices said all that it had to say.
pub(super) fn is_reusable(log: &Log, choices: u32) -> bool {
    if log.end() != Some(End::Completed) {
        return false;
    }
    let (events, _) = log.snapshot();
    let mut finished: u128 = 0;
    // From the end, where choices finish.
    for event in events.iter().rev() {
        match event.kind {
            Kind::Chunk => {}
            Kind::Usage | Kind::Done => continue,
            Kind::Failure | Kind::Whole => return false,
        }
        let Some((_, chunk)) = read(event) else {
            return false;
        };
        if chunk.facts.is_cut_short {
            return false;
        }
        finished |= chunk.facts.finished;
        if finished.count_ones() >= choices {
            return true;
        }
    }
    finished != 0
}
