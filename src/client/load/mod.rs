//! Load on a model server: many streams at once, each read to its end and counted.
//!
//! Replies are read from raw sockets: a whole HTTP client costs more per chunk than the servers that
//! are measured. Start at [`run`]; [`Tally`] is what comes of it.

mod answer;
mod connection;
mod fault;
mod histogram;
mod html;
mod process;
mod report;
mod starts;
mod tally;
mod target;

use std::{cell::RefCell, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{sleep, sleep_until};

use answer::Answer;
use connection::{Buffer, Connection};
use fault::Fault;
pub use histogram::Histogram;
pub use process::{ProcessError, Processes};
pub use report::{ProcessReport, Report};
use starts::Starts;
pub use tally::{Errors, Tally};
pub use target::{Ask, Target};

use crate::http1::Reply;

/// How long a place stays empty after a stream that failed: a server that refuses is not to be hammered.
const AFTER_FAULT: Duration = Duration::from_millis(100);

/// How much is asked.
#[derive(Debug, Clone)]
pub struct Load {
    /// The most streams at once.
    pub streams: usize,
    /// How many streams in all; `None` for as many as there is time for.
    pub requests: Option<u64>,
    /// For how long streams are started; those under way then are read to their end.
    pub duration: Option<Duration>,
    /// How many streams are started per second (open loop); `None` starts one when one has ended.
    pub rate: Option<f64>,
    /// How long nothing may come of a stream.
    pub patience: Duration,
    /// Read the stamps in chunks, of an upstream on this machine.
    pub reads_stamps: bool,
}

/// Asks until everything was asked and has ended. `tally` can be looked at meanwhile.
pub async fn run(target: &Target, load: &Load, tally: &RefCell<Tally>) {
    let all = usize::try_from(load.requests.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let generator = Generator {
        target,
        load,
        tally,
        starts: Starts::new(load),
        buffer: Buffer::default(),
    };
    let places = (0..load.streams.min(all)).map(|_| generator.place());
    let mut places: FuturesUnordered<_> = places.collect();
    // All places are one task to tokio, whose budget for a task would have most of them polled twice.
    tokio::task::unconstrained(async { while places.next().await.is_some() {} }).await;
}

/// What all places share.
struct Generator<'a> {
    target: &'a Target,
    load: &'a Load,
    tally: &'a RefCell<Tally>,
    starts: Starts,
    buffer: Buffer,
}

impl Generator<'_> {
    /// One stream after the other, on one connection while that holds.
    async fn place(&self) {
        let mut connection = None;
        while let Some(due) = self.starts.next() {
            // A stream that could not be started when it was due counts from then: what a slow
            // server keeps from being asked is its own delay.
            let late = due.elapsed();
            sleep_until(due).await;
            let begun = monotonic().saturating_sub(nanos(late));
            self.tally.borrow_mut().begin();
            let end = self.stream(&mut connection, begun).await;
            let has_failed = end.is_err();
            self.tally.borrow_mut().end(end);
            if has_failed {
                sleep(AFTER_FAULT).await;
            }
        }
    }

    /// One stream, on the connection that is left from the last, or a new one.
    async fn stream(&self, kept: &mut Option<Connection>, begun: u64) -> Result<(), Fault> {
        if let Some(mut connection) = kept.take() {
            let mut reply = Reply::new();
            match self.exchange(&mut connection, &mut reply, begun).await {
                // The server may close a connection just when it is used again.
                Err(Fault::Broken(_) | Fault::Truncated) if !reply.has_begun() => {}
                end => {
                    self.keep(kept, connection, &reply);
                    return end;
                }
            }
        }
        let mut connection = Connection::open(self.target, self.load.patience).await?;
        let mut reply = Reply::new();
        let end = self.exchange(&mut connection, &mut reply, begun).await;
        self.keep(kept, connection, &reply);
        end
    }

    fn keep(&self, kept: &mut Option<Connection>, connection: Connection, reply: &Reply) {
        *kept = reply.leaves_open().then_some(connection);
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        reply: &mut Reply,
        begun: u64,
    ) -> Result<(), Fault> {
        connection.send(&self.target.request).await?;
        let mut answer = Answer::new(self.tally, begun, self.load.reads_stamps);
        while !reply.has_ended() {
            let read = connection.read(&self.buffer).await?;
            let is_closed = read.is_empty();
            reply.push(read);
            while let Some(piece) = reply.piece()? {
                let head = reply.head().ok_or(Fault::Truncated)?;
                answer.take(head, piece)?;
            }
            if is_closed {
                reply.close();
                break;
            }
        }
        match reply.head() {
            Some(head) if reply.has_ended() => answer.end(head),
            Some(_) | None => Err(Fault::Truncated),
        }
    }
}

/// Nanoseconds of the clock that all processes of this machine share.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Neither is negative.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
