//! What the peers share: the chunks that are written, and how a request says which.

use std::io;

use memchr::memmem;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &[u8] = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
const USAGE: &str = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
    \"created\":1700000000,\"model\":\"bench\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":8,\"completion_tokens\":100,\"total_tokens\":108}}\n\n";
const DIGITS: usize = 20;
const STAMP: &str = "\"sent_ns\":\"";
const MAX_REQUEST: usize = 1024 * 1024;

/// What a request asks for: `"model":"rate-50"` is 50 chunks a second, `rate-0` as fast as can be,
/// `bulk-0` so that many are written at once, and `max_tokens` is their number.
pub struct Asked {
    pub path: String,
    pub per_second: u64,
    pub is_bulk: bool,
    pub chunks: u64,
    pub usage: bool,
}

/// Reads the next request of a connection; none where it has ended.
pub async fn request(socket: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<Option<Asked>> {
    loop {
        if let Some((asked, length)) = parse(input) {
            input.drain(..length);
            return Ok(Some(asked));
        }
        if input.len() > MAX_REQUEST || socket.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(input: &[u8]) -> Option<(Asked, usize)> {
    let start = memmem::find(input, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&input[..start]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    let body = input.get(start..start + length)?;
    let asked = Asked {
        path: head.split(' ').nth(1)?.to_owned(),
        per_second: number(body, b"rate-").unwrap_or(0),
        is_bulk: memmem::find(body, b"\"bulk-").is_some(),
        chunks: number(body, b"\"max_tokens\":").unwrap_or(100),
        usage: memmem::find(body, b"\"include_usage\":true").is_some(),
    };
    Some((asked, start + length))
}

/// The number that follows a text.
pub fn number(text: &[u8], after: &[u8]) -> Option<u64> {
    let from = memmem::find(text, after)? + after.len();
    let digits = text[from..].iter().skip_while(|byte| **byte == b' ');
    let digits: Vec<u8> = digits.copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// The chunks of one stream, each an HTTP chunk of its own with the time it was made at.
pub struct Chunks {
    frame: Vec<u8>,
    last: Vec<u8>,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            frame: frame("null"),
            last: frame("\"stop\""),
        }
    }
}

impl Chunks {
    /// Appends the head of the response.
    pub fn head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(HEAD);
    }

    /// Appends a chunk; the last one of a stream has its reason to finish.
    pub fn chunk(&mut self, is_last: bool, out: &mut Vec<u8>) {
        let frame = if is_last {
            &mut self.last
        } else {
            &mut self.frame
        };
        let now = clock_gettime(ClockId::Monotonic);
        let mut nanos = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let end = frame.len() - b"\"}\n\n\r\n".len();
        for digit in frame[end - DIGITS..end].iter_mut().rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
        out.extend_from_slice(frame);
    }

    /// Appends what ends a stream.
    pub fn end(&self, usage: bool, out: &mut Vec<u8>) {
        if usage {
            out.extend_from_slice(&http_chunk(USAGE));
        }
        out.extend_from_slice(END);
    }
}

fn frame(finish: &str) -> Vec<u8> {
    http_chunk(&format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" token\"}},\
         \"finish_reason\":{finish}}}],{STAMP}{}\"}}\n\n",
        "0".repeat(DIGITS),
    ))
}

fn http_chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Listens on the port that is the first argument.
pub fn listen() -> io::Result<TcpListener> {
    raise_open_files();
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port()).into())?;
    socket.listen(4096)
}

/// The port that is the first argument.
pub fn port() -> u16 {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    port.expect("a port as the first argument")
}

/// Every stream takes a descriptor or two.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("the limit of open files can be raised");
}

/// Writes what there is, and forgets it.
pub async fn flush(socket: &mut TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(out).await?;
    out.clear();
    Ok(())
}
