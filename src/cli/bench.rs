//! `tokenfall bench`.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::{FAILED, WRONG_INPUT, duration, fail, key, raise_open_files, say, wait_for, warn};
use crate::{
    backend::mock,
    client::load::{self, Ask, Load, Processes, Report, Tally, Target},
};

/// How long it takes where nothing is said.
const DURATION: Duration = Duration::from_secs(10);
/// How often progress is shown, and processes are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The most streams at once: each takes a port.
const MAX_STREAMS: u64 = 60_000;

const AFTER_HELP: &str = "\
The exit code is 0 if every stream came whole, else 1.

Examples:
  tokenfall bench http://127.0.0.1:8000/v1 --model llama-3 --streams 50 --duration 30s
  tokenfall bench http://127.0.0.1:8000/v1 --model llama-3 --rate 5 --html load.html
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct BenchArgs {
    /// The model server's base URL, such as http://127.0.0.1:8000/v1
    url: String,
    /// The model to ask for
    #[arg(long, value_name = "NAME", default_value = mock::MODEL)]
    model: String,
    /// How many streams there are at once, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_STREAMS))]
    streams: u64,
    /// How many streams in all [default: as many as --duration has time for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// For how long streams are started, such as 30s [default: 10s, or until --requests]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Streams started per second, however slow the answers are [default: one when one has ended]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// What is asked
    #[arg(long, value_name = "TEXT", default_value = "Say something.")]
    prompt: String,
    /// The most tokens of an answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// The environment variable that holds the server's key
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// How long nothing may come of a stream
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a page with plots, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Follow what is at this path and query, in place of a chat
    #[arg(long, value_name = "PATH", hide = true)]
    get: Option<String>,
    /// Tell what this process, and all it started, spend
    #[arg(long, value_name = "PID", hide = true)]
    pid: Vec<u32>,
    /// Read the stamps in chunks, of an upstream on this machine
    #[arg(long, hide = true)]
    stamps: bool,
}

pub(super) fn run(args: &BenchArgs) -> ExitCode {
    let prepared = match Prepared::new(args) {
        Ok(prepared) => prepared,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    raise_open_files();
    let measured = wait_for(prepared.measure(&args.url));
    let (report, page) = match measured {
        Ok(measured) => measured,
        Err(error) => return fail(FAILED, &error),
    };
    say(&match args.json {
        true => format!("{:#}\n", report.to_json()),
        false => report.to_text(),
    });
    if let Some(Err(error)) = page.map(|mut page| page.write_all(report.to_html().as_bytes())) {
        return fail(FAILED, &format!("--html: {error}"));
    }
    let tally = &report.tally;
    if tally.completed == tally.started && tally.completed > 0 {
        return ExitCode::SUCCESS;
    }
    let wrong = tally.started - tally.completed;
    fail(
        FAILED,
        &format!("{wrong} of {} streams did not come whole", tally.started),
    )
}

/// Everything that can be wrong with the arguments has been looked at.
struct Prepared {
    target: Target,
    load: Load,
    processes: Processes,
    page: Option<File>,
}

impl Prepared {
    fn new(args: &BenchArgs) -> Result<Self, String> {
        let key = key("--api-key-env", args.api_key_env.as_deref())?;
        let ask = match &args.get {
            Some(path) => Ask::Get(path.clone()),
            None => Ask::Chat(body(args)),
        };
        let target = Target::new(&args.url, key.as_ref().map(|key| &key.0[..]), &ask);
        let page = args.html.as_ref().map(File::create).transpose();
        let is_endless = args.requests.is_none() && args.duration.is_none();
        Ok(Self {
            target: target.map_err(|error| error.to_string())?,
            load: Load {
                streams: usize::try_from(args.streams).unwrap_or(usize::MAX),
                requests: args.requests,
                duration: args.duration.or(is_endless.then_some(DURATION)),
                rate: args.rate,
                patience: args.timeout,
                reads_stamps: args.stamps,
            },
            processes: Processes::watch(&args.pid).map_err(|error| format!("--pid: {error}"))?,
            page: page.map_err(|error| format!("--html: {error}"))?,
        })
    }

    async fn measure(mut self, url: &str) -> (Report, Option<File>) {
        let tally = RefCell::new(Tally::default());
        let begun = Instant::now();
        let mut looks = interval(LOOK);
        let mut progress = Progress::new(begun);
        let mut running = Box::pin(load::run(&self.target, &self.load, &tally));
        let elapsed = loop {
            tokio::select! {
                () = &mut running => break begun.elapsed(),
                _ = looks.tick() => {
                    self.processes.sample();
                    progress.show(&tally.borrow());
                }
            }
        };
        drop(running);
        self.processes.sample();
        progress.clear();
        let report = Report::new(url, elapsed, tally.into_inner(), &self.processes);
        (report, self.page)
    }
}

fn body(args: &BenchArgs) -> Value {
    let mut body = json!({
        "model": args.model,
        "stream": true,
        "messages": [{"role": "user", "content": args.prompt}],
    });
    if let Some(most) = args.max_tokens {
        body["max_tokens"] = most.into();
    }
    body
}

/// One line on a terminal, written over and over.
struct Progress {
    begun: Instant,
    chunks: u64,
    is_shown: bool,
}

impl Progress {
    fn new(begun: Instant) -> Self {
        Self {
            begun,
            chunks: 0,
            is_shown: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, tally: &Tally) {
        if !self.is_shown {
            return;
        }
        let new = tally.chunks - std::mem::replace(&mut self.chunks, tally.chunks);
        warn(&format!(
            "\r\x1b[K{:.0} s: {} open, {} whole, {} failed, {:.0} chunks/s",
            self.begun.elapsed().as_secs_f64(),
            tally.open,
            tally.completed,
            tally.failed(),
            new as f64 / LOOK.as_secs_f64(),
        ));
    }

    fn clear(&self) {
        if self.is_shown {
            warn("\r\x1b[K");
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err("expected a number from 0.001 to 1000000".to_owned()),
    }
}
