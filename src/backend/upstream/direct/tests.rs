//! The direct way to a server, over real sockets.

use std::{future::poll_fn, time::Duration};

use reqwest::{Method, header::HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::LocalSet,
    time::timeout,
};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read next of the body.
async fn chunk(response: &mut Response) -> Result<Option<Bytes>, DirectError> {
    poll_fn(|cx| response.poll_chunk(cx)).await
}

/// Runs a test on a thread like a worker's.
async fn on_a_worker(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

/// A server's listener, and who reaches it.
async fn server() -> (TcpListener, Direct) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let base = format!("http://{address}/v1").parse().expect("a URL");
    let direct = Direct::new(&base, PATIENCE).expect("a plain server");
    (listener, direct)
}

fn request(direct: &Direct, body: Vec<u8>) -> Request {
    let url = format!("{}v1/x?key=a%20b", direct.place);
    let mut request = Request::new(Method::POST, url.parse().expect("a URL"));
    request
        .headers_mut()
        .insert("x-y", HeaderValue::from_static("z"));
    *request.body_mut() = Some(body.into());
    request
}

/// Sends a request, has it answered so, and reads the answer to its end.
async fn exchanged(direct: &Direct, peer: &mut TcpStream, answer: &[u8]) {
    let request = request(direct, b"{}".to_vec());
    let answering = async {
        read_request(peer).await;
        peer.write_all(answer).await.expect("a peer");
    };
    let (response, ()) = tokio::join!(direct.send(&request), answering);
    let mut response = response.expect("a response");
    while chunk(&mut response).await.expect("a body").is_some() {}
}

async fn read_request(peer: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.ends_with(b"{}") {
        assert_ne!(peer.read_buf(&mut read).await.expect("a peer"), 0);
    }
    read
}

/// The other side has closed.
async fn is_closed(peer: &mut TcpStream) {
    let read = timeout(PATIENCE, peer.read(&mut [0])).await;
    // A reset, where it left something unread.
    let is_closed = read.expect("no close").map_or(true, |read| read == 0);
    assert!(is_closed);
}

/// Opens `count` connections and leaves all of them idle.
async fn idle(listener: &TcpListener, direct: &Direct, count: usize) -> Vec<TcpStream> {
    let requests: Vec<_> = (0..count)
        .map(|_| request(direct, b"{}".to_vec()))
        .collect();
    let mut sending: Vec<_> = requests
        .iter()
        .map(|one| Box::pin(direct.send(one)))
        .collect();
    let mut peers = Vec::new();
    for sent in &mut sending {
        let accepted = tokio::select! {
            biased;
            _ = sent => unreachable!("nobody has answered"),
            accepted = listener.accept() => accepted,
        };
        peers.push(accepted.expect("a connection").0);
    }
    for (sent, peer) in sending.into_iter().zip(&mut peers) {
        let answering = async {
            read_request(peer).await;
            peer.write_all(OK).await.expect("a peer");
        };
        let (response, ()) = tokio::join!(sent, answering);
        let mut response = response.expect("a response");
        while chunk(&mut response).await.expect("a body").is_some() {}
    }
    peers
}

#[tokio::test]
async fn a_request_has_what_http_wants_and_its_connection_serves_the_next() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        let mut first = request(&direct, b"{}".to_vec());
        let headers = first.headers_mut();
        headers.insert("content-length", HeaderValue::from_static("7"));
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        let answering = async {
            let mut peer = listener.accept().await.expect("a connection").0;
            let read = read_request(&mut peer).await;
            peer.write_all(OK).await.expect("a peer");
            (peer, String::from_utf8(read).expect("text"))
        };
        let (response, (mut peer, read)) = tokio::join!(direct.send(&first), answering);
        let host = listener.local_addr().expect("an address");
        let expected = format!(
            "POST /v1/x?key=a%20b HTTP/1.1\r\nhost: {host}\r\nx-y: z\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(read, expected);
        let mut response = response.expect("a response");
        assert_eq!(chunk(&mut response).await.expect("a body").as_deref(), Some(&b"hi"[..]));
        assert_eq!(chunk(&mut response).await.expect("a body"), None);
        exchanged(&direct, &mut peer, OK).await;
    })
    .await;
}

#[tokio::test]
async fn a_waiting_connection_that_is_closed_or_written_to_is_let_go_at_once() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        let mut peers = idle(&listener, &direct, 200).await;
        assert_eq!(direct.shared.idle.count(), 200);
        peers.truncate(150);
        for peer in &mut peers[..50] {
            peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
                .await
                .expect("a peer");
        }
        for peer in &mut peers[..50] {
            is_closed(peer).await;
        }
        let left = async {
            while direct.shared.idle.count() != 100 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, left).await.expect("100 are left");
        exchanged(&direct, &mut peers[149], OK).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_a_minute_and_a_half() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        let mut peers = idle(&listener, &direct, 2).await;
        let start = Instant::now();
        for peer in &mut peers {
            // The clock runs while nothing else does.
            assert_eq!(peer.read(&mut [0]).await.expect("a peer"), 0);
        }
        let waited = start.elapsed().as_secs();
        assert!((89..=92).contains(&waited), "{waited}");
        assert_eq!(direct.shared.idle.count(), 0);
    })
    .await;
}

#[tokio::test]
async fn as_many_wait_as_may_and_all_are_closed_with_the_server() {
    on_a_worker(async {
        let (listener, mut direct) = server().await;
        let shared = Rc::get_mut(&mut direct.shared).expect("nobody else has it");
        shared.idle = Idle::new(2);
        let mut peers = idle(&listener, &direct, 3).await;
        assert_eq!(direct.shared.idle.count(), 2);
        is_closed(&mut peers[2]).await;
        drop(direct);
        for peer in &mut peers[..2] {
            is_closed(peer).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_has_gone_out() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        let large = request(&direct, vec![b' '; 32 << 20]);
        let answering = async {
            let mut peer = listener.accept().await.expect("a connection").0;
            peer.write_all(OK).await.expect("a peer");
            peer
        };
        let (response, _peer) = tokio::join!(direct.send(&large), answering);
        let mut response = response.expect("a response");
        while chunk(&mut response).await.expect("a body").is_some() {}
        assert_eq!(direct.shared.idle.count(), 0, "half a request is on it");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_told_from_one_that_takes_too_long() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        drop(listener);
        let request = request(&direct, Vec::new());
        let error = direct.send(&request).await.err().expect("an error");
        assert!(matches!(error, DirectError::Connect(_)), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    })
    .await;
}

#[test]
fn only_plain_servers_are_reached_directly() {
    let is_direct = |url: &str| Direct::new(&url.parse().expect("a URL"), PATIENCE).is_some();
    for url in [
        "http://a/v1",
        "http://[::1]:8000",
        "http://127.0.0.1:1/v1?key=k",
    ] {
        assert!(is_direct(url), "{url}");
    }
    for url in ["https://a/v1", "http://name@a/v1", "http://:word@a/v1"] {
        assert!(!is_direct(url), "{url}");
    }
}

#[tokio::test]
async fn one_task_watches_however_many_come_to_wait_at_once() {
    on_a_worker(async {
        let (listener, direct) = server().await;
        // Both are put back before any other task has a turn.
        let (first, second) = (connected(&listener).await, connected(&listener).await);
        direct.shared.idle.put(first.0);
        direct.shared.idle.put(second.0);
        assert_eq!(direct.shared.idle.watchers(), 1);
        tokio::task::yield_now().await;
        assert_eq!(direct.shared.idle.watchers(), 1);
        drop((first.1, second.1));
        while direct.shared.idle.count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().expect("an address");
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (ours.expect("a connection"), theirs.expect("a connection").0)
}
