//! How far a stream has been read, as the server says it: in the ids of its events.

/// A place in a completion's stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    /// The completion, where the server keeps it.
    pub(super) id: Option<String>,
    /// The id of the last event that was read.
    pub(super) cursor: String,
    has_events: bool,
}

/// Where an event stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It was read before.
    Old,
    /// It follows, as far as anyone can tell.
    Next,
    /// Events before it are missing.
    Ahead,
}

impl Place {
    /// Whether the server can be asked for the rest: it has to name the completion, and the events.
    pub(super) fn is_known(&self) -> bool {
        self.id.is_some() && (!self.has_events || numbers(&self.cursor).is_some())
    }

    /// Where the event with this id stands.
    pub(super) fn order(&self, id: &str) -> Order {
        let (Some((epoch, seq)), Some((last_epoch, last))) = (numbers(id), numbers(&self.cursor))
        else {
            return Order::Next;
        };
        match epoch == last_epoch {
            true if seq <= last => Order::Old,
            true if seq > last + 1 => Order::Ahead,
            true | false => Order::Next,
        }
    }

    /// The event with this id has been read.
    pub(super) fn advance(&mut self, id: &str) {
        self.has_events = true;
        id.clone_into(&mut self.cursor);
    }
}

/// `<epoch>-<seq>`.
fn numbers(id: &str) -> Option<(u32, u64)> {
    let (epoch, seq) = id.split_once('-')?;
    Some((epoch.parse().ok()?, seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_come_twice_or_too_early_are_told_apart() {
        let mut place = Place::default();
        assert_eq!(place.order("1-1"), Order::Next);
        place.advance("1-4");
        let orders = ["1-3", "1-4", "1-5", "1-6", "2-9", ""].map(|id| place.order(id));
        let (old, next) = (Order::Old, Order::Next);
        assert_eq!(
            orders,
            [
                Order::Old,
                old,
                Order::Next,
                Order::Ahead,
                next,
                Order::Next
            ]
        );
    }

    #[test]
    fn without_a_name_or_ids_no_rest_can_be_asked_for() {
        let mut place = Place::default();
        assert!(!place.is_known());
        place.id = Some("chatcmpl-1".to_owned());
        assert!(place.is_known(), "from the beginning");
        place.advance("");
        assert!(!place.is_known());
        place.advance("1-2");
        assert!(place.is_known());
    }
}
