//! What is counted of this process, for Prometheus: one struct, one method per fact.
//!
//! Knows nothing of what it counts. Labels come from the configuration or from lists of our own,
//! never from a client, so that their number is bounded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet, text::encode},
    metrics::{MetricType, TypedMetric, counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Upper bounds of times to the first token, in milliseconds: a cache's to a long prompt's.
const FIRST_TOKEN: &[u64] = &[
    25, 50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 30_000, 120_000,
];
/// Upper bounds of times between two chunks, in milliseconds: hardware's best to a stall.
const BETWEEN: &[u64] = &[
    1, 2, 5, 10, 15, 20, 30, 50, 75, 100, 250, 1_000, 5_000, 30_000,
];

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge<i64, AtomicI64>>;
type Times = Family<Labels<1>, Histogram, fn() -> Histogram>;

/// All that is counted.
pub struct Metrics {
    registry: Registry,
    first_token: Times,
    between: Times,
    tokens: Counters<3>,
    ends: Counters<2>,
    cached: Counters<2>,
    waiting: Gauge,
    streaming: Gauge,
    attempts: Counters<1>,
    failures: Counters<2>,
    continuations: Counters<1>,
    breaker: Gauges<1>,
    requests: Counters<2>,
    readers: Gauge,
    readers_left: Counters<1>,
    resumes: Counter,
    heartbeats: Counter,
    records_lost: Counter,
    spans_dropped: Counters<1>,
    log_bytes: Gauge,
}

/// What is measured of one stream while it runs. Its methods take no lock and allocate nothing.
#[derive(Debug, Clone)]
pub struct Meter {
    between: Histogram,
    first_token: Histogram,
    waiting: Gauge,
    streaming: Gauge,
}

/// Times in buckets, each an atomic: the library's own histogram has a lock.
#[derive(Debug, Clone)]
pub struct Histogram {
    // In milliseconds.
    bounds: &'static [u64],
    // Threads count apart, so that none waits for a cache line that another has written.
    parts: Arc<[Buckets; PARTS]>,
}

/// How many threads count apart; others share.
const PARTS: usize = 8;
/// The most bounds of a histogram.
const MOST_BOUNDS: usize = 15;
const _: () = assert!(FIRST_TOKEN.len() <= MOST_BOUNDS && BETWEEN.len() <= MOST_BOUNDS);

/// On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Buckets {
    // One for each bound, and one for what is above the last.
    counts: [AtomicU64; MOST_BOUNDS + 1],
    nanos: AtomicU64,
}

/// Which part this thread counts in.
fn part() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PART: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PARTS;
    }
    PART.with(|part| *part)
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            parts: Arc::default(),
        }
    }

    fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // Most times between chunks that come together are none.
        let place = match nanos {
            0 => 0,
            _ => self
                .bounds
                .partition_point(|&bound| bound * 1_000_000 < nanos),
        };
        let buckets = &self.parts[part()];
        buckets.counts[place.min(MOST_BOUNDS)].fetch_add(1, Ordering::Relaxed);
        buckets.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What all threads have counted.
    fn sum(&self, of: impl Fn(&Buckets) -> &AtomicU64) -> u64 {
        let parts = self.parts.iter();
        parts.map(|part| of(part).load(Ordering::Relaxed)).sum()
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = self.bounds.iter().map(|&bound| seconds(bound * 1_000_000));
        let counts = (0..=self.bounds.len()).map(|place| self.sum(|part| &part.counts[place]));
        let pairs: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = pairs.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.sum(|part| &part.nanos));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &pairs, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tokenfall"),
            first_token: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN)),
            between: Family::new_with_constructor(|| Histogram::new(BETWEEN)),
            tokens: Family::default(),
            ends: Family::default(),
            cached: Family::default(),
            waiting: Gauge::default(),
            streaming: Gauge::default(),
            attempts: Family::default(),
            failures: Family::default(),
            continuations: Family::default(),
            breaker: Family::default(),
            requests: Family::default(),
            readers: Gauge::default(),
            readers_left: Family::default(),
            resumes: Counter::default(),
            heartbeats: Counter::default(),
            records_lost: Counter::default(),
            spans_dropped: Family::default(),
            log_bytes: Gauge::default(),
        };
        metrics.register_times();
        metrics.register_streams();
        metrics.register_upstreams();
        metrics
    }
}

impl Metrics {
    fn register_times(&mut self) {
        let help = "From the request to the first content";
        let unit = || Unit::Seconds;
        let times = self.first_token.clone();
        self.registry
            .register_with_unit("time_to_first_token", help, unit(), times);
        let help = "Between two chunks with content";
        let times = self.between.clone();
        self.registry
            .register_with_unit("inter_token_latency", help, unit(), times);
    }

    fn register_streams(&mut self) {
        let all = &mut self.registry;
        let help = "Tokens used, by model, kind and where the figure comes from";
        all.register("tokens", help, self.tokens.clone());
        let help = "Completions that have ended, by model and how";
        all.register("completions", help, self.ends.clone());
        let help = "Completions whose answer may be shared, by model and how they are answered";
        all.register("cache", help, self.cached.clone());
        let help = "Completions under way, by whether they have said something";
        let open: Gauges<1> = Family::default();
        let state = |state: &str| open.get_or_create_owned(&[("state", state.to_owned())]);
        (self.waiting, self.streaming) = (state("waiting"), state("streaming"));
        all.register("streams_open", help, open);
        let help = "Streams that are being written to clients";
        all.register("readers", help, self.readers.clone());
        let help = "Readers that left before the end, by whether there was more to be sent to them";
        all.register("readers_left", help, self.readers_left.clone());
        let help = "Streams that were read on from a cursor, or from their beginning";
        all.register("resumes", help, self.resumes.clone());
        let help = "Heartbeats that were sent";
        all.register("heartbeats", help, self.heartbeats.clone());
        let help = "Usage records that were not written, because too many waited";
        all.register("usage_records_lost", help, self.records_lost.clone());
        let help = "Spans that were lost: too many waited, or the collector did not take them";
        all.register("spans_dropped", help, self.spans_dropped.clone());
        let help = "What streams hold in memory, live and kept";
        let bytes = self.log_bytes.clone();
        all.register_with_unit("log", help, Unit::Bytes, bytes);
        let help = "Requests that were answered, by route and class of status";
        all.register("http_requests", help, self.requests.clone());
    }

    fn register_upstreams(&mut self) {
        let all = &mut self.registry;
        let help = "Attempts to have an answer of an upstream";
        all.register("attempts", help, self.attempts.clone());
        let help = "Attempts that failed, by cause";
        all.register("attempt_failures", help, self.failures.clone());
        let help = "Answers that an upstream went on with after another was lost in the middle";
        all.register("continuations", help, self.continuations.clone());
        let help = "An upstream is asked (0), rests because it said so (1), or fails too often (2)";
        all.register("breaker_state", help, self.breaker.clone());
    }

    /// All of it as text, in the OpenMetrics format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// What measures a stream of this model, which counts as waiting from now on.
    pub fn stream(&self, model: &str) -> Meter {
        let of_model = [("model", model.to_owned())];
        let meter = Meter {
            first_token: self.first_token.get_or_create_owned(&of_model),
            between: self.between.get_or_create_owned(&of_model),
            waiting: self.waiting.clone(),
            streaming: self.streaming.clone(),
        };
        meter.waiting.inc();
        meter
    }

    /// A completion has ended in this way.
    pub fn ended(&self, model: &str, end: &str) {
        let labels = [("model", model.to_owned()), ("end", end.to_owned())];
        self.ends.get_or_create(&labels).inc();
    }

    /// A completion whose answer may be shared is answered in this way.
    pub fn cached(&self, model: &str, outcome: &str) {
        let labels = [("model", model.to_owned()), ("outcome", outcome.to_owned())];
        self.cached.get_or_create(&labels).inc();
    }

    /// Tokens were used, of this kind; `source` says how that is known.
    pub fn tokens(&self, model: &str, (kind, source): (&str, &str), count: u64) {
        let labels = [
            ("model", model.to_owned()),
            ("kind", kind.to_owned()),
            ("source", source.to_owned()),
        ];
        self.tokens.get_or_create(&labels).inc_by(count);
    }

    /// An upstream is asked.
    pub fn attempt(&self, upstream: &str) {
        let labels = [("upstream", upstream.to_owned())];
        self.attempts.get_or_create(&labels).inc();
    }

    /// It has failed.
    pub fn attempt_failed(&self, upstream: &str, cause: &str) {
        let labels = [
            ("upstream", upstream.to_owned()),
            ("cause", cause.to_owned()),
        ];
        self.failures.get_or_create(&labels).inc();
    }

    /// It goes on with what another one had begun.
    pub fn continued(&self, upstream: &str) {
        let labels = [("upstream", upstream.to_owned())];
        self.continuations.get_or_create(&labels).inc();
    }

    /// Forgets every upstream's state: those that are no longer there have none.
    pub fn forget_breakers(&self) {
        self.breaker.clear();
    }

    /// Whether an upstream is asked (0), rests (1) or fails too often (2).
    pub fn breaker(&self, upstream: &str, state: i64) {
        let labels = [("upstream", upstream.to_owned())];
        self.breaker.get_or_create(&labels).set(state);
    }

    /// A request was answered; `route` is the pattern that its path has.
    pub fn request(&self, route: &str, status: u16) {
        let class = format!("{}xx", status / 100);
        let labels = [("route", route.to_owned()), ("status", class)];
        self.requests.get_or_create(&labels).inc();
    }

    /// So many streams are being written.
    pub fn readers(&self, count: usize) {
        self.readers.set(count.try_into().unwrap_or(i64::MAX));
    }

    /// A reader has left before the end; `is_behind` if there was more to be sent to it.
    pub fn reader_left(&self, is_behind: bool) {
        let labels = [("behind", is_behind.to_string())];
        self.readers_left.get_or_create(&labels).inc();
    }

    /// Somebody has come back to a stream.
    pub fn resumed(&self) {
        self.resumes.inc();
    }

    /// A heartbeat was sent.
    pub fn heartbeat(&self) {
        self.heartbeats.inc();
    }

    /// A usage record will not be written.
    pub fn record_lost(&self) {
        self.records_lost.inc();
    }

    /// So many spans were lost, for this cause.
    pub fn spans_dropped(&self, cause: &str, count: usize) {
        let labels = [("cause", cause.to_owned())];
        let count = count.try_into().unwrap_or(u64::MAX);
        self.spans_dropped.get_or_create(&labels).inc_by(count);
    }

    /// Streams hold so much memory.
    pub fn log_bytes(&self, bytes: usize) {
        self.log_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    }
}

impl Meter {
    /// It has said something for the first time.
    pub fn first_token(&self, after: Duration) {
        self.first_token.observe(after);
        self.waiting.dec();
        self.streaming.inc();
    }

    /// It has said something more.
    pub fn next_token(&self, after: Duration) {
        self.between.observe(after);
    }

    /// It is over.
    pub fn ended(&self, has_begun: bool) {
        let state = if has_begun {
            &self.streaming
        } else {
            &self.waiting
        };
        state.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_the_bucket_that_they_fit() {
        let metrics = Metrics::default();
        let meter = metrics.stream("m");
        meter.first_token(Duration::from_millis(25));
        meter.next_token(Duration::from_micros(1500));
        meter.next_token(Duration::from_secs(60));
        let text = metrics.text();
        for line in [
            "tokenfall_time_to_first_token_seconds_bucket{le=\"0.025\",model=\"m\"} 1",
            "tokenfall_inter_token_latency_seconds_bucket{le=\"0.001\",model=\"m\"} 0",
            "tokenfall_inter_token_latency_seconds_bucket{le=\"0.002\",model=\"m\"} 1",
            "tokenfall_inter_token_latency_seconds_bucket{le=\"30.0\",model=\"m\"} 1",
            "tokenfall_inter_token_latency_seconds_bucket{le=\"+Inf\",model=\"m\"} 2",
            "tokenfall_inter_token_latency_seconds_sum{model=\"m\"} 60.0015",
            "tokenfall_streams_open{state=\"streaming\"} 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
