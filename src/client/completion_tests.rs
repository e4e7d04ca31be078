//! The bounds of coming back, on a clock that is not waited for.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use serde_json::json;

use super::*;

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-completion-id: c\r\n\r\n\
    id: 1-1\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// The base URL of a server that answers one request with this, and is gone then.
fn once(reply: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an open socket");
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        drop(listener);
        let mut read = [0; 4096];
        assert!(socket.read(&mut read).expect("a request") > 0);
        socket.write_all(reply.as_bytes()).expect("sent");
    });
    format!("http://{address}/v1")
}

#[tokio::test]
async fn a_server_that_is_gone_is_asked_eight_times_and_ever_later() {
    let client = Client::new(&once(BEGUN), None).expect("a client");
    let body = json!({});
    let mut completion = Completion::new(&client, &body, Duration::from_secs(60));
    let mut waited = Vec::new();
    let ended = completion.read(|step| {
        if let Step::Lost { delay, .. } = step {
            if waited.is_empty() {
                tokio::time::pause();
            }
            waited.push(delay.as_millis());
        }
        ControlFlow::Continue(())
    });
    let ended = ended.await;
    assert!(matches!(ended, Err(Fault::NotResumed { .. })), "{ended:?}");
    assert_eq!(waited, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
}

#[tokio::test]
async fn an_event_at_the_limit_passes_and_a_larger_one_is_refused() {
    for (more, is_taken) in [(0, true), (1, false)] {
        let chunk = r#"data: {"choices":[{"index":0,"finish_reason":"stop"}],"a":""#;
        let padding = "x".repeat(MAX_EVENT - chunk.len() - 2 + more);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let reply = format!("{head}{chunk}{padding}\"}}\n\n").leak();
        let client = Client::new(&once(reply), None).expect("a client");
        let body = json!({});
        let mut completion = Completion::new(&client, &body, Duration::from_secs(60));
        let ended = completion.read(|_| ControlFlow::Continue(())).await;
        assert_eq!(matches!(ended, Ok(End::Whole)), is_taken, "{ended:?}");
        assert_eq!(matches!(ended, Err(Fault::TooLarge(_))), !is_taken);
    }
}
