//! What goes past actix, and when.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
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

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Actix polls the body.
fn poll(feed: &Arc<Feed>, waker: &Waker) -> Poll<io::Result<Option<Bytes>>> {
    feed.poll(&mut Context::from_waker(waker))
}

/// The same, and it has nothing.
fn poll_nothing(feed: &Arc<Feed>) {
    assert!(poll(feed, Waker::noop()).is_pending());
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
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(poll(&feed, &waker).is_pending());
    socket.write_all(b"head").await.expect("an open socket");
    let flush = Pin::new(&mut socket).poll_flush(&mut Context::from_waker(&waker));
    assert!(flush.is_ready());
    assert_eq!(
        wakes.0.load(Ordering::Relaxed),
        1,
        "there is something to be written after the head"
    );
    assert!(poll(&feed, &waker).is_pending());
    append(&mut producer, &["one ", "two "]).await;
    let expected = b"head6\r\nearly \r\n8\r\none two \r\n";
    let mut read = [0; 28];
    client.read_exact(&mut read).await.expect("all of it");
    assert_eq!(&read[..], expected);
    poll_nothing(&feed);
}

#[tokio::test]
async fn what_is_there_goes_with_the_head_as_far_as_it_is_small() {
    let (mut producer, feed, mut socket, mut client) = begin().await;
    let text = "x".repeat(SMALL / 2);
    append(&mut producer, &[&text[..]; 7]).await;
    producer.finish([event("done")], End::Completed);
    let waker = Waker::noop();
    let first = poll(&feed, waker);
    assert!(matches!(first, Poll::Ready(Ok(Some(bytes))) if bytes.len() == SMALL));
    assert!(poll(&feed, waker).is_pending(), "actix has it still");
    socket.flush().await.expect("an open socket");
    // All that is left is more than goes with an end.
    assert!(matches!(poll(&feed, waker), Poll::Ready(Ok(None))));
    socket
        .write_all(b"0\r\n\r\n")
        .await
        .expect("an open socket");
    let rest = [text.repeat(5), "done".to_owned()].concat();
    let expected = format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
    let mut read = vec![0; expected.len()];
    client.read_exact(&mut read).await.expect("all of it");
    assert_eq!(read, expected.as_bytes());
    assert!(!feed.close(), "all was sent");
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
    let waker = Waker::noop();
    assert!(matches!(poll(&feed, waker), Poll::Ready(Ok(Some(bytes))) if bytes == "lastdone"));
    assert!(matches!(poll(&feed, waker), Poll::Ready(Ok(None))));
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
    let body = std::future::poll_fn(|cx| feed.poll(cx));
    let read = async {
        let mut read = vec![0; expected.len()];
        client.read_exact(&mut read).await.expect("all of it");
        read
    };
    tokio::select! {
        _ = body => panic!("nothing is for actix"),
        read = read => assert_eq!(read, expected.as_bytes()),
    }
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
        let (chunk, alone) =
            transfer_chunk(&mut room, |room| room.extend_from_slice(text.as_bytes()));
        assert_eq!(alone, text.as_bytes());
        assert_eq!(chunk, format!("{head}\r\n{text}\r\n").as_bytes());
    }
}
