//! Letting requests in, and what they take until their answers have ended.

use std::{fmt, sync::Arc, time::Duration};

use super::{Held, Limiter, Quota, Refused, Room, Standing, levels::MOST, room::Place};

/// What stands between a request and its answer.
pub struct Admission {
    limiter: Arc<dyn Limiter>,
    room: Room,
}

/// What an answer takes: a place on this node, a stream of its key's, a hold on tokens. All of it
/// is free again when this is dropped, on whatever way out.
#[must_use]
pub struct Reservation {
    limiter: Arc<dyn Limiter>,
    held: Option<Held>,
    standing: Option<Standing>,
    // What is counted if nobody says better.
    used: u64,
    // Below, so that the key's stream is free before somebody else takes the place.
    place: Option<Place>,
}

impl Admission {
    /// Keys are counted by `limiter`, this node's answers by `room`.
    pub fn new(limiter: Arc<dyn Limiter>, room: Room) -> Self {
        Self { limiter, room }
    }

    /// The same keys and answers under way, with other limits of this node.
    pub fn resized(&self, places: usize, queue: usize, patience: Duration) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
            room: self.room.resized(places, queue, patience),
        }
    }

    /// Lets a request in that may use so many tokens. The key comes first, so that one which has
    /// used what it may keeps nobody else out of the queue.
    ///
    /// # Errors
    /// [`Refused`] says which limit was met. A request that finds no place counts as one of its
    /// key's, as OpenAI has it, but its tokens do not.
    pub async fn admit(
        &self,
        quota: Option<&Arc<Quota>>,
        tokens: u64,
    ) -> Result<Reservation, Refused> {
        let mut reservation = Reservation {
            limiter: Arc::clone(&self.limiter),
            held: None,
            standing: None,
            used: 0,
            place: None,
        };
        if let Some(quota) = quota {
            let (held, standing) = self.limiter.reserve(quota, tokens.min(MOST)).await?;
            reservation.held = Some(held);
            reservation.standing = Some(standing);
        }
        reservation.place = Some(self.room.enter().await.ok_or(Refused::Busy)?);
        Ok(reservation)
    }
}

impl Reservation {
    /// What was left of the key's limits when this was taken.
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// The answer is begun: without a better word it has used what is held.
    pub fn begin(&mut self) {
        self.used = self.held.as_ref().map_or(0, |held| held.tokens);
    }

    /// The answer has ended and used these tokens.
    pub fn settle(mut self, used: u64) {
        self.used = used;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            self.limiter.end(held, self.used);
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}
