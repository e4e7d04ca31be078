//! A model server that does nothing but write chunks: where all streams of the bench come from, and,
//! asked directly, the bare writer that the mock is compared with.

use std::{io, time::Duration};

use tokenfall_bench_peers::{Asked, Chunks, flush, listen, request};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// How much is written at once in bulk.
const WRITE: usize = 16 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = listen()?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(async move {
            // Whoever asked has gone; the load generator counts what it missed.
            let _ = serve(socket).await;
        });
    }
}

async fn serve(mut socket: TcpStream) -> io::Result<()> {
    let (mut input, mut out) = (Vec::new(), Vec::new());
    let mut chunks = Chunks::default();
    while let Some(asked) = request(&mut socket, &mut input).await? {
        stream(&mut socket, &asked, &mut chunks, &mut out).await?;
    }
    Ok(())
}

async fn stream(
    socket: &mut TcpStream,
    asked: &Asked,
    chunks: &mut Chunks,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let begun = Instant::now();
    chunks.head(out);
    for number in 0..asked.chunks {
        if number > 0 && (!asked.is_bulk || out.len() > WRITE) {
            flush(socket, out).await?;
        }
        if asked.per_second > 0 && number > 0 {
            let due = Duration::from_nanos(number * 1_000_000_000 / asked.per_second);
            sleep_until(begun + due).await;
        }
        chunks.chunk(number + 1 == asked.chunks, out);
    }
    chunks.end(asked.usage, out);
    flush(socket, out).await
}
