//! Who wrote which events: an epoch is the time of one writer.

use super::{Cursor, Seq};

/// The epochs of a log after the first, each with the last event before it. A log that nobody
/// has taken over has none.
#[derive(Debug, Default)]
pub(super) struct Epochs(Vec<(u32, Seq)>);

impl Epochs {
    /// The epoch that an event belongs to.
    pub(super) fn of(&self, seq: Seq) -> u32 {
        let later = self.0.iter().rev().find(|(_, before)| *before < seq);
        later.map_or(Cursor::START.epoch, |(epoch, _)| *epoch)
    }

    /// The last event of an epoch that is still part of a log with this top.
    pub(super) fn last_of(&self, epoch: u32, top: Seq) -> Option<Seq> {
        let is_known = epoch == Cursor::START.epoch || self.0.iter().any(|(e, _)| *e == epoch);
        let next = self.0.iter().find(|(e, _)| *e > epoch);
        is_known.then(|| next.map_or(top, |(_, before)| *before))
    }

    /// The last event, of those after `seq`, before the next epoch begins.
    pub(super) fn boundary_after(&self, seq: Seq) -> Option<Seq> {
        let mut boundaries = self.0.iter().map(|(_, before)| *before);
        boundaries.find(|before| *before > seq)
    }

    /// Another writer goes on behind `before`.
    pub(super) fn begin(&mut self, epoch: u32, before: Seq) {
        self.0.push((epoch, before));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.last_of(1, Seq(7)), Some(Seq(7)));
        assert_eq!((epochs.of(Seq(0)), epochs.of(Seq(9))), (1, 1));
        epochs.begin(2, Seq(3));
        epochs.begin(5, Seq(4));
        assert_eq!([0, 3, 4, 5].map(|seq| epochs.of(Seq(seq))), [1, 1, 2, 5]);
        let last = |epoch| epochs.last_of(epoch, Seq(9)).map(|seq| seq.0);
        assert_eq!(
            [1, 2, 3, 5, 6].map(last),
            [Some(3), Some(4), None, Some(9), None]
        );
        assert_eq!(epochs.boundary_after(Seq(3)), Some(Seq(4)));
        assert_eq!(epochs.boundary_after(Seq(4)), None);
    }
}
