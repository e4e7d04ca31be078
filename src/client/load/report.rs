//! What a load came to, for people and for programs.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::{Histogram, Processes, Tally, html};

/// The quantiles that are told.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// The result of one load.
#[derive(Debug)]
pub struct Report {
    /// Who was asked.
    pub url: String,
    /// From the first start to the last end.
    pub elapsed: Duration,
    /// What was counted.
    pub tally: Tally,
    /// What processes spent on it.
    pub processes: Vec<ProcessReport>,
}

/// What a process and all it started spent while the load ran.
#[derive(Debug, Clone)]
pub struct ProcessReport {
    /// Its number.
    pub pid: u32,
    /// Time on a processor.
    pub cpu: Duration,
    /// Resident memory before the load, in KiB.
    pub memory_before: u64,
    /// The most of it that was seen, in KiB.
    pub memory_most: u64,
}

impl Report {
    /// Of a load that took so long.
    pub fn new(url: &str, elapsed: Duration, tally: Tally, processes: &Processes) -> Self {
        let processes = processes.watched().iter().map(|watched| ProcessReport {
            pid: watched.pid,
            cpu: watched.cpu(),
            memory_before: watched.memory_before,
            memory_most: watched.memory_most,
        });
        Self {
            url: url.to_owned(),
            elapsed,
            tally,
            processes: processes.collect(),
        }
    }

    /// What was measured, by name. What was not measured is not told.
    pub(super) fn times(&self) -> Vec<(&'static str, &'static str, &Histogram)> {
        let tally = &self.tally;
        let times = [
            (
                "Time to first token",
                "time_to_first_token_ms",
                &tally.first_token,
            ),
            (
                "Time to first event",
                "time_to_first_event_ms",
                &tally.first_event,
            ),
            ("Inter-token latency", "inter_token_ms", &tally.gap),
            ("Whole stream", "stream_ms", &tally.total),
            ("Transit of a chunk", "transit_ms", &tally.transit),
        ];
        let measured = |(_, _, times): &(_, _, &Histogram)| times.count() > 0;
        times.into_iter().filter(measured).collect()
    }

    /// Chunks per second of the whole load.
    pub fn chunks_per_second(&self) -> f64 {
        self.tally.chunks as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// As text, of some twenty lines.
    pub fn to_text(&self) -> String {
        let tally = &self.tally;
        let mut text = format!(
            "{url}, {elapsed:.1} s\n\n\
             {completed} of {started} streams came whole, at most {most} at once\n\
             {chunks} chunks, {rate:.0} a second, and {sentinels} times [DONE], in {bytes} bytes\n\n\
             {:<22}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
            "ms",
            "mean",
            "p50",
            "p90",
            "p99",
            "max",
            url = self.url,
            elapsed = self.elapsed.as_secs_f64(),
            completed = tally.completed,
            started = tally.started,
            most = tally.most_open,
            chunks = tally.chunks,
            rate = self.chunks_per_second(),
            sentinels = tally.sentinels,
            bytes = tally.bytes,
        );
        for (name, _, times) in self.times() {
            // Writing to a string does not fail.
            let _ = write!(text, "{name:<22}{:>10.3}", millis(times.mean()));
            for (_, part) in QUANTILES {
                let _ = write!(text, "{:>10.3}", millis(times.quantile(part)));
            }
            let _ = writeln!(text, "{:>10.3}", millis(times.max()));
        }
        for process in &self.processes {
            let _ = writeln!(
                text,
                "\nprocess {}: {:.3} s on a processor, {:.3} µs per chunk; {} KiB before, {} KiB at most",
                process.pid,
                process.cpu.as_secs_f64(),
                self.micros_per_chunk(process),
                process.memory_before,
                process.memory_most,
            );
        }
        for (kind, errors) in &tally.errors {
            let _ = writeln!(
                text,
                "\n{} × {kind}, such as: {}",
                errors.count, errors.example
            );
        }
        text
    }

    /// As JSON: what `to_text` tells, and the kinds of errors with an example each.
    pub fn to_json(&self) -> Value {
        let tally = &self.tally;
        let mut json = json!({
            "url": self.url,
            "elapsed_s": self.elapsed.as_secs_f64(),
            "streams": {
                "started": tally.started,
                "completed": tally.completed,
                "failed": tally.failed(),
                "most_at_once": tally.most_open,
            },
            "chunks": tally.chunks,
            "chunks_per_second": self.chunks_per_second(),
            "sentinels": tally.sentinels,
            "bytes": tally.bytes,
        });
        for (_, key, times) in self.times() {
            json[key] = summary(times);
        }
        let errors = tally.errors.iter().map(|(kind, errors)| {
            let told = json!({"count": errors.count, "example": errors.example});
            (kind.clone(), told)
        });
        json["errors"] = Value::Object(errors.collect());
        let processes = self.processes.iter().map(|process| {
            json!({
                "pid": process.pid,
                "cpu_s": process.cpu.as_secs_f64(),
                "cpu_us_per_chunk": self.micros_per_chunk(process),
                "memory_before_kib": process.memory_before,
                "memory_most_kib": process.memory_most,
            })
        });
        json["processes"] = processes.collect();
        json
    }

    /// As a page that needs nothing but itself: the text, and a plot of each time.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    fn micros_per_chunk(&self, process: &ProcessReport) -> f64 {
        process.cpu.as_secs_f64() * 1e6 / self.tally.chunks.max(1) as f64
    }
}

fn summary(times: &Histogram) -> Value {
    let mut json = json!({
        "count": times.count(),
        "mean": millis(times.mean()),
        "max": millis(times.max()),
    });
    for (name, part) in QUANTILES {
        json[name] = millis(times.quantile(part)).into();
    }
    json
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
