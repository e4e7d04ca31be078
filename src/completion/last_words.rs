//! How a completion ends whose node is gone.

use super::{About, Failure, frame::Framer};
use crate::stream::{End, Event, Log, Seq};

/// The last events of a log that is taken over at `seq`, and its end.
pub(super) fn last_words(log: &Log, seq: Seq) -> (Vec<Event>, End) {
    let about = About::of(log);
    let failure = Failure::lost();
    let has_sequence = about.as_ref().is_ok_and(|about| about.has_sequence);
    let mut framer = Framer::new(log.id().clone(), has_sequence);
    let mut events = vec![framer.failure(&failure, seq)];
    // A completion in one piece has no sentinel behind it.
    if about.is_ok_and(|about| about.is_streamed) {
        events.push(Framer::done());
    }
    (events, End::Failed(failure.code().label().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::test_log;

    #[test]
    fn a_lost_completion_ends_as_its_request_asked() {
        let texts = |is_streamed, has_sequence| {
            let about = About {
                is_streamed,
                has_sequence,
                ..test_log::about()
            };
            let log = test_log::log(&about);
            let (events, end) = last_words(&log, Seq(7));
            assert_eq!(end.label(), "upstream_lost");
            let text = |event: Event| String::from_utf8_lossy(&event.frame.to_bytes()).into_owned();
            events.into_iter().map(text).collect::<Vec<_>>()
        };
        let streamed = texts(true, true);
        assert!(
            streamed[0].contains("\"sequence_number\":7"),
            "{streamed:?}"
        );
        assert!(
            streamed[0].contains("\"code\":\"upstream_lost\""),
            "{streamed:?}"
        );
        assert_eq!(streamed[1], "data: [DONE]\n\n");
        let whole = texts(false, false);
        assert_eq!(whole.len(), 1);
        assert!(!whole[0].contains("sequence_number"), "{whole:?}");
    }
}
