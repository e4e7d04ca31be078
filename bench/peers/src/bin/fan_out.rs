//! One stream of events for many readers, and nothing else: each event is made once and written to
//! every socket. Who comes late first gets what there was.
//!
//! `GET /<chunks>/<chunks a second>`; the first reader starts the stream.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use tokenfall_bench_peers::{Chunks, listen, request};
use tokio::{
    net::TcpStream,
    task::LocalSet,
    time::{Instant, sleep_until},
};

/// What has been written, and to whom.
#[derive(Default)]
struct Stream {
    is_begun: bool,
    history: Vec<u8>,
    readers: Vec<TcpStream>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    LocalSet::new().run_until(accept()).await
}

async fn accept() -> io::Result<()> {
    let listener = listen()?;
    let stream = Rc::new(RefCell::new(Stream::default()));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let stream = Rc::clone(&stream);
        tokio::task::spawn_local(async move {
            // Whoever asked has gone; the load generator counts what it missed.
            let _ = join(socket, stream).await;
        });
    }
}

async fn join(mut socket: TcpStream, stream: Rc<RefCell<Stream>>) -> io::Result<()> {
    let mut input = Vec::new();
    let Some(asked) = request(&mut socket, &mut input).await? else {
        return Ok(());
    };
    let mut numbers = asked
        .path
        .split('/')
        .filter_map(|number| number.parse().ok());
    let (chunks, per_second) = (numbers.next().unwrap_or(100), numbers.next().unwrap_or(50));
    if !std::mem::replace(&mut stream.borrow_mut().is_begun, true) {
        Chunks::default().head(&mut stream.borrow_mut().history);
        tokio::task::spawn_local(play(Rc::clone(&stream), chunks, per_second));
    }
    // What is missed fits into the socket's buffer, so that this takes no time in which more is written.
    let mut stream = stream.borrow_mut();
    let written = socket.try_write(&stream.history)?;
    if written == stream.history.len() {
        stream.readers.push(socket);
    }
    Ok(())
}

async fn play(stream: Rc<RefCell<Stream>>, count: u64, per_second: u64) {
    let begun = Instant::now();
    let mut chunks = Chunks::default();
    for number in 0..count {
        sleep_until(begun + Duration::from_nanos(number * 1_000_000_000 / per_second)).await;
        let mut out = Vec::new();
        let is_last = number + 1 == count;
        chunks.chunk(is_last, &mut out);
        if is_last {
            chunks.end(false, &mut out);
        }
        let mut stream = stream.borrow_mut();
        stream.history.extend_from_slice(&out);
        // Who does not take all of it at once has lost the stream, which the load generator sees.
        stream.readers.retain(|reader| {
            reader
                .try_write(&out)
                .is_ok_and(|written| written == out.len())
        });
    }
    // The next reader starts anew; sockets of this stream close.
    *stream.borrow_mut() = Stream::default();
}
