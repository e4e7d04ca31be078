//! What goes past actix, and when.

use std::{sync::Arc, task::Waker, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    api::line::Socket,
    stream::{Budget, Caps, End, Event, Grace, Id, Kind, Owner, Producer, Spec, turns},
};

const CAPS: Caps = Caps {
    event_bytes: 1 << 20,
    log_bytes: 1 << 27,
    last_events: None,
};

/// A stream of no events, the client that it goes to, and what actix has of the connection.
async fn begin() -> (Producer, Arc<Feed>, Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a bound socket");
    let client = TcpStream::connect(address).await.expect("it listens");
    let (accepted, _) = listener.accept().await.expect("a connection");
    let socket = Socket::new(accepted);
    let spec = Spec {
        id: Id::new("chatcmpl-", [7; 16]),
        owner: Owner([0; 16]),
        about: Bytes::new(),
        grace: Grace(Duration::from_secs(60)),
    };
    let log = Log::new(spec, CAPS, Arc::new(Budget::new(1 << 24)));
    let reader = log.reader(log.top()).expect("its start");
    let producer = Producer::new(log, |_| {});
    let feed = Feed::new(reader, Show::default(), (Some(Bypass::to(&socket)), None));
    (producer, feed, socket, client)
}

fn event(text: &str) -> Event {
    Event {
        kind: Kind::Chunk,
        frame: Bytes::copy_from_slice(text.as_bytes()).into(),
    }
}

/// Actix polls the body, which has nothing.
fn poll_nothing(feed: &Arc<Feed>) {
    assert!(
        feed.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
}

async fn append(producer: &mut Producer, texts: &[&str]) {
    turns(async {
        for text in texts {
            producer.append(event(text)).expect("room");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_turn_appends_is_one_chunk_once_the_head_is_out() {
    let (mut producer, feed, mut socket, mut client) = begin().await;
    poll_nothing(&feed);
    // Actix has the head still.
    append(&mut producer, &["early "]).await;
    let early = feed.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(early, Poll::Ready(Ok(Some(bytes))) if bytes == "early "));
    poll_nothing(&feed);
    socket.write_all(b"head").await.expect("an open socket");
    socket.flush().await.expect("an open socket");
    append(&mut producer, &["one ", "two "]).await;
    let mut read = [0; 16];
    client.read_exact(&mut read).await.expect("all of it");
    assert_eq!(&read[..], b"head8\r\none two \r");
    poll_nothing(&feed);
}

#[tokio::test]
async fn the_end_is_actixs_to_write() {
    let (mut producer, feed, mut socket, client) = begin().await;
    poll_nothing(&feed);
    socket.flush().await.expect("an open socket");
    turns(async {
        producer.append(event("last")).expect("room");
        producer.finish([event("done")], End::Completed);
    })
    .await;
    assert!(client.try_read(&mut [0]).is_err(), "nothing was written");
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(matches!(feed.poll(cx), Poll::Ready(Ok(Some(bytes))) if bytes == "lastdone"));
    assert!(matches!(feed.poll(cx), Poll::Ready(Ok(None))));
    assert!(!feed.close(), "all was sent");
}

#[tokio::test]
async fn what_the_socket_does_not_take_waits_and_nothing_passes_it() {
    let (mut producer, feed, mut socket, mut client) = begin().await;
    poll_nothing(&feed);
    socket.flush().await.expect("an open socket");
    let text = "x".repeat(30_000);
    let mut sent = 0;
    while feed.last_sent().is_ok() {
        append(&mut producer, &[&text]).await;
        sent += 1;
        assert!(sent < 1_000, "a socket takes no end");
    }
    append(&mut producer, &["last"]).await;
    let expected = [
        format!("7530\r\n{text}\r\n").repeat(sent),
        "4\r\nlast\r\n".to_owned(),
    ]
    .concat();
    let body = std::future::poll_fn(|cx| {
        let polled = feed.poll(cx);
        polled.map(|bytes| bytes.expect("an open socket").expect("no end"))
    });
    let read = async {
        let mut read = vec![0; expected.len() - "4\r\nlast\r\n".len()];
        client.read_exact(&mut read).await.expect("all of it");
        read
    };
    let (last, read) = tokio::join!(body, read);
    assert_eq!(last, "last");
    assert!(expected.as_bytes().starts_with(&read));
}

#[test]
fn a_transfer_chunk_has_its_length_before_it() {
    let mut room = BytesMut::new();
    for (length, head) in [
        (1, "1"),
        (15, "f"),
        (16, "10"),
        (4096, "1000"),
        (99_999, "1869f"),
    ] {
        let text = "x".repeat(length);
        let chunk = transfer_chunk(&mut room, |room| room.extend_from_slice(text.as_bytes()));
        assert_eq!(chunk, format!("{head}\r\n{text}\r\n").as_bytes());
    }
}
