//! The pieces that every chunk passes through, each by itself: `cargo bench`.
//!
//! What a whole server does with them is measured in `bench/`; what a chunk may cost in instructions is
//! held by `scripts/instructions`.

#![expect(clippy::expect_used, reason = "a bench of nothing would look fast")]

use std::{hint::black_box, rc::Rc, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::{FutureExt, StreamExt};
use tokenfall::{
    backend::{
        Backend, Body, Call, Credentials,
        mock::{Control, Mock},
    },
    config::Config,
    openai::{ChatRequest, Scanner, scan},
    sse::{Decoder, data_frame},
    stream::{
        Batch, Budget, Caps, Cursor, End, Event, Grace, Id, Kind, Log, Owner, Producer, Spec,
    },
    tokens::Tokens,
};

/// A chunk as OpenAI's servers write it, 229 bytes.
const CHUNK: &[u8] = br#"{"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-2024-08-06","service_tier":"default","choices":[{"index":0,"delta":{"content":" tokens"},"finish_reason":null}]}"#;
const ID: &str = "chatcmpl-0123456789abcdefghij";
const EVENTS: usize = 100;

fn sse(c: &mut Criterion) {
    let frame = data_frame(CHUNK);
    let read = Bytes::from(frame.repeat(EVENTS));
    let mut group = c.benchmark_group("sse");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("decode", |b| {
        let mut decoder = Decoder::new(1 << 20);
        b.iter(|| {
            decoder.push(read.clone());
            while let Some(event) = decoder.next() {
                let _ = black_box(event);
            }
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode", |b| b.iter(|| data_frame(black_box(CHUNK))));
    group.finish();
}

fn json(c: &mut Criterion) {
    let facts = scan(CHUNK).expect("a chunk");
    c.bench_function("json/scan", |b| b.iter(|| scan(black_box(CHUNK))));
    let next = String::from_utf8_lossy(CHUNK).replace("tokens", "streams");
    c.bench_function("json/scan what is like the last", |b| {
        let mut scanner = Scanner::default();
        let mut pair = [CHUNK, next.as_bytes()].into_iter().cycle();
        b.iter(|| scanner.scan(black_box(pair.next().expect("a cycle"))));
    });
    c.bench_function("json/rewrite the id", |b| {
        let mut out = BytesMut::with_capacity(1024);
        b.iter(|| {
            out.clear();
            facts.rewrite(black_box(CHUNK), ID, None, &mut out);
        });
    });
}

fn log() -> (Arc<Log>, Producer) {
    let spec = Spec {
        id: Id::new("chatcmpl-", [1; 16]),
        owner: Owner([1; 16]),
        about: Bytes::new(),
        grace: Grace(Duration::ZERO),
    };
    let caps = Caps {
        event_bytes: 1 << 20,
        log_bytes: 1 << 30,
        last_events: None,
    };
    let log = Log::new(spec, caps, Arc::new(Budget::new(1 << 30)));
    (Arc::clone(&log), Producer::new(log, |_| {}))
}

fn event() -> Event {
    Event {
        kind: Kind::Chunk,
        frame: data_frame(CHUNK).into(),
    }
}

fn log_events(c: &mut Criterion) {
    let event = event();
    let mut group = c.benchmark_group("log");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("append", |b| {
        let append_all = |(_log, mut producer): (Arc<Log>, Producer)| {
            for _ in 0..EVENTS {
                producer.append(event.clone()).expect("room");
            }
        };
        b.iter_batched(log, append_all, BatchSize::SmallInput);
    });
    for readers in [1, 10, 1000] {
        group.throughput(Throughput::Elements((EVENTS * readers) as u64));
        group.bench_function(format!("read by {readers}"), |b| {
            let (log, mut producer) = log();
            for _ in 0..EVENTS {
                producer.append(event.clone()).expect("room");
            }
            producer.finish([], End::Completed);
            let mut taken = Vec::with_capacity(EVENTS);
            b.iter(|| {
                for _ in 0..readers {
                    let mut reader = log.reader(Cursor::START).expect("the start");
                    while reader.batch(&mut taken).now_or_never() == Some(Batch::Events) {}
                    taken.clear();
                }
            });
        });
    }
    group.finish();
}

fn mock(c: &mut Criterion) {
    let config = Config::from_toml("mock.prompts = 'bench/prompts'\nmock.profile = 'instant'");
    let config = config.expect("settings");
    let folder = std::path::Path::new(&config.mock.prompts);
    let control = Control::new(Some(folder), &config.mock.profiles, 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (control, runtime) = (control.expect("scenarios"), runtime.expect("a runtime"));
    let mock = Mock::new(config.mock, Arc::new(control), Arc::new(Tokens::default()));
    let body =
        br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"200 chunks"}]}"#;
    let request = ChatRequest::parse(Bytes::from_static(body)).expect("a request");
    let call = Rc::new(Call {
        id: ID.to_owned(),
        created: 1,
        request: Rc::new(request),
        headers: Vec::new(),
        credentials: Credentials::Ours,
        partial: None,
    });
    let mut group = c.benchmark_group("mock");
    group.throughput(Throughput::Elements(200));
    group.bench_function("an answer of 200 chunks", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let answer = mock.open(Rc::clone(&call)).await.expect("an answer");
                match answer.body {
                    Body::Chunks(chunks) => chunks.count().await,
                    Body::Whole(_) | Body::Raw(_) => unreachable!("a stream was asked for"),
                }
            })
        });
    });
    group.finish();
}

criterion_group!(benches, sse, json, log_events, mock);
criterion_main!(benches);
