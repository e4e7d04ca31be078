//! A log before its pump.

use super::{Code, Failure, frame::Framer};
use crate::stream::{End, Id, Producer};

/// The producer of a log that nobody fills yet. Dropped, as when the client that asked for it
/// leaves, it ends the log: others may wait for it already, and would for ever.
pub(super) struct Unfilled {
    producer: Option<Producer>,
    framer: Framer,
}

impl Unfilled {
    pub(super) fn new(producer: Producer, has_sequence: bool) -> Self {
        Self {
            framer: Framer::new(producer.log().id().clone(), has_sequence),
            producer: Some(producer),
        }
    }

    /// The log's id.
    pub(super) fn id(&self) -> Id {
        self.framer.id.clone()
    }

    /// The producer, for who fills the log.
    pub(super) fn into_producer(mut self) -> Option<Producer> {
        self.producer.take()
    }
}

impl Drop for Unfilled {
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else {
            return;
        };
        let message = "The client that asked for this left before it began.";
        let failure = Failure::new(Code::Cancelled, message);
        let last = [
            self.framer.failure(&failure, producer.next_seq()),
            Framer::done(),
        ];
        producer.finish(last, End::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{completion::test_log, stream::Cursor};

    #[tokio::test]
    async fn a_log_that_nobody_will_fill_ends_with_a_reason() {
        let log = test_log::log(&test_log::about());
        let mut reader = log.reader(Cursor::START).expect("start");
        let unfilled = Unfilled::new(Producer::new(Arc::clone(&log), |_| {}), false);
        assert_eq!(unfilled.id(), *log.id());
        drop(unfilled);
        let events = reader.rest().await;
        assert_eq!(log.end(), Some(End::Cancelled));
        let text = String::from_utf8_lossy(&events[0].frame.to_bytes()).into_owned();
        assert!(text.contains(r#""code":"cancelled""#), "{text}");
        assert_eq!(&events[1].frame.to_bytes()[..], b"data: [DONE]\n\n");
    }
}
