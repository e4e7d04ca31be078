//! An HTTP/1.1 response from its bytes: the head, then the body's pieces without their framing.
//!
//! Push what was read, take pieces until there are none, push again. Pieces are slices of what
//! was read. Sockets are others' affair. Start at [`Reply`].

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use memchr::memchr;

/// The largest head (and the longest line between chunks, and all trailers), in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// One response.
#[derive(Debug, Default)]
pub struct Reply {
    input: Bytes,
    // What could not be understood yet.
    rest: BytesMut,
    state: State,
    // In a box: it is looked at once, and the rest with every read.
    head: Option<Box<Head>>,
    // As the head said.
    keeps_alive: bool,
    trailers: usize,
}

/// What a head tells.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its status; never an informational one.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// Another request may follow on the connection, once the body has ended.
    pub keeps_alive: bool,
}

/// The bytes are no response of HTTP/1.1: why.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("what came is no HTTP/1.1 response: {0}")]
pub struct NotHttp(pub &'static str);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Head,
    ChunkSize,
    Chunk(u64),
    Trailer,
    Sized(u64),
    UntilClose,
    Ended,
}

impl Reply {
    /// A response of which nothing has come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hands over the next read.
    pub fn push(&mut self, read: Bytes) {
        if self.rest.is_empty() {
            self.input = read;
        } else {
            self.rest.extend_from_slice(&read);
            self.input = self.rest.split().freeze();
        }
    }

    /// The connection has ended, and with it the body if nothing else says where it ends.
    pub fn close(&mut self) {
        if self.state == State::UntilClose {
            self.state = State::Ended;
        }
    }

    /// Reads as far as the head, which is given away once it is there.
    ///
    /// # Errors
    /// [`NotHttp`]; nothing can be read of it any more.
    pub fn begin(&mut self) -> Result<Option<Box<Head>>, NotHttp> {
        while self.state == State::Head {
            if !self.read_head()? {
                self.keep_rest()?;
                break;
            }
        }
        Ok(self.head.take())
    }

    /// The head, once it has come and unless it was given away.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_deref()
    }

    /// Whether anything of it has come.
    pub fn has_begun(&self) -> bool {
        self.state != State::Head || !self.rest.is_empty()
    }

    /// Whether its last byte has come.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether it is whole, its connection stays, and nothing came on that which nobody asked for.
    pub fn leaves_open(&self) -> bool {
        self.keeps_alive && self.has_ended() && self.input.is_empty() && self.rest.is_empty()
    }

    /// The next piece of the body, or `None` when more has to be read, or nothing follows.
    ///
    /// # Errors
    /// [`NotHttp`]; nothing can be read of it any more.
    pub fn piece(&mut self) -> Result<Option<Bytes>, NotHttp> {
        // Who reads asks once more than there are pieces. A body of no length needs no more bytes to end.
        if self.input.is_empty() && self.state != State::Sized(0) {
            return Ok(None);
        }
        loop {
            let is_understood = match self.state {
                State::Head => self.read_head()?,
                State::ChunkSize => self.read_size()?,
                State::Chunk(0) => self.read_chunk_end()?,
                State::Chunk(left) => return Ok(self.take(left, State::Chunk)),
                State::Trailer => self.read_trailer()?,
                State::Sized(0) => {
                    self.state = State::Ended;
                    true
                }
                State::Sized(left) => return Ok(self.take(left, State::Sized)),
                State::UntilClose => return Ok(self.take(u64::MAX, |_| State::UntilClose)),
                State::Ended => return Ok(None),
            };
            if !is_understood {
                return self.keep_rest();
            }
        }
    }

    /// As much as there is of what is left.
    fn take(&mut self, left: u64, state: fn(u64) -> State) -> Option<Bytes> {
        if self.input.is_empty() {
            return None;
        }
        let length = self.input.len();
        let taken = usize::try_from(left).map_or(length, |left| left.min(length));
        self.state = state(left - taken as u64);
        Some(self.input.split_to(taken))
    }

    fn keep_rest(&mut self) -> Result<Option<Bytes>, NotHttp> {
        if self.input.len() > MAX_HEAD {
            return Err(NotHttp("its head is too large"));
        }
        self.rest
            .extend_from_slice(&std::mem::take(&mut self.input));
        Ok(None)
    }

    fn read_head(&mut self) -> Result<bool, NotHttp> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let parsed =
            parser.parse_response_with_uninit_headers(&mut response, &self.input, &mut headers);
        let parsed = parsed.map_err(|_| NotHttp("its head cannot be read"))?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(false);
        };
        let status = StatusCode::from_u16(response.code.unwrap_or_default());
        let status = status.map_err(|_| NotHttp("its status is none"))?;
        if !status.is_informational() {
            let (head, state) = read_headers(status, &response)?;
            self.keeps_alive = head.keeps_alive;
            self.head = Some(Box::new(head));
            self.state = state;
        } else if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NotHttp("it switches to a protocol that nobody asked for"));
        }
        self.input.advance(length);
        Ok(true)
    }

    fn read_size(&mut self) -> Result<bool, NotHttp> {
        let size = httparse::parse_chunk_size(&self.input);
        let size = size.map_err(|_| NotHttp("a chunk's size cannot be read"))?;
        let httparse::Status::Complete((length, size)) = size else {
            return Ok(false);
        };
        self.input.advance(length);
        self.state = match size {
            0 => State::Trailer,
            size => State::Chunk(size),
        };
        Ok(true)
    }

    fn read_chunk_end(&mut self) -> Result<bool, NotHttp> {
        if self.input.len() < 2 {
            return Ok(false);
        }
        if !self.input.starts_with(b"\r\n") {
            return Err(NotHttp("a chunk does not end where it should"));
        }
        self.input.advance(2);
        self.state = State::ChunkSize;
        Ok(true)
    }

    fn read_trailer(&mut self) -> Result<bool, NotHttp> {
        let Some(end) = memchr(b'\n', &self.input) else {
            return Ok(false);
        };
        let line = self.input.split_to(end + 1);
        if line.trim_ascii().is_empty() {
            self.state = State::Ended;
        }
        self.trailers += line.len();
        if self.trailers > MAX_HEAD {
            return Err(NotHttp("its trailers are too large"));
        }
        Ok(true)
    }
}

/// What the headers tell, and how the body is framed (RFC 9112, section 6.3).
fn read_headers(
    status: StatusCode,
    response: &httparse::Response<'_, '_>,
) -> Result<(Head, State), NotHttp> {
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(NotHttp("it has a header that is none"));
        };
        headers.append(name, value);
    }
    let state = match headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .next_back()
    {
        _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => State::Ended,
        Some(coding) if ends_in(coding, b"chunked") => State::ChunkSize,
        Some(_) => State::UntilClose,
        None => length(&headers)?.map_or(State::UntilClose, State::Sized),
    };
    let mut connection = headers.get_all(header::CONNECTION).iter();
    let head = Head {
        keeps_alive: response.version == Some(1)
            && !connection.any(|options| has(options, b"close"))
            && state != State::UntilClose
            // Whoever sends both may mean either.
            && !(state == State::ChunkSize && headers.contains_key(header::CONTENT_LENGTH)),
        status,
        headers,
    };
    Ok((head, state))
}

/// The body's length, where it is told; told twice it must be the same.
fn length(headers: &HeaderMap) -> Result<Option<u64>, NotHttp> {
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for value in value.as_bytes().split(|byte| *byte == b',') {
            let digits = value.trim_ascii();
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let number = is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok());
            match (length, number.flatten()) {
                (None, Some(number)) => length = Some(number),
                (Some(first), Some(number)) if first == number => {}
                (_, None) => return Err(NotHttp("its length is no number")),
                (Some(_), Some(_)) => return Err(NotHttp("it has two lengths")),
            }
        }
    }
    Ok(length)
}

/// The last of a list's items is this one.
fn ends_in(list: &HeaderValue, item: &[u8]) -> bool {
    let last = list.as_bytes().rsplit(|byte| *byte == b',').next();
    last.is_some_and(|last| last.trim_ascii().eq_ignore_ascii_case(item))
}

/// A list has this item.
fn has(list: &HeaderValue, item: &[u8]) -> bool {
    let mut items = list.as_bytes().split(|byte| *byte == b',');
    items.any(|one| one.trim_ascii().eq_ignore_ascii_case(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\
        Content-Type: Text/Event-Stream\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n";

    fn body(reply: &mut Reply, reads: &[&[u8]]) -> Result<Vec<u8>, NotHttp> {
        let mut body = Vec::new();
        for read in reads {
            reply.push(Bytes::copy_from_slice(read));
            while let Some(piece) = reply.piece()? {
                body.extend_from_slice(&piece);
            }
        }
        Ok(body)
    }

    #[test]
    fn a_chunked_body_is_the_same_wherever_the_reads_split() {
        for at in 0..=CHUNKED.len() {
            let mut reply = Reply::new();
            let (first, second) = CHUNKED.split_at(at);
            let body = body(&mut reply, &[first, second]).expect("a body");
            assert_eq!(body, b"hello, world", "{at}");
            assert!(reply.leaves_open());
            let head = reply.head().expect("a head");
            assert_eq!((head.status.as_u16(), head.keeps_alive), (200, true));
            assert_eq!(head.headers["content-type"], "Text/Event-Stream");
        }
    }

    #[test]
    fn a_body_ends_at_its_length_or_with_its_connection() {
        let mut reply = Reply::new();
        let sized = b"HTTP/1.1 503 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
        assert_eq!(body(&mut reply, &[sized]).expect("a body"), b"no");
        assert!(reply.has_ended());
        assert!(!reply.head().expect("a head").keeps_alive);

        let mut reply = Reply::new();
        let open = b"HTTP/1.0 200 OK\r\n\r\nall";
        assert_eq!(body(&mut reply, &[open]).expect("a body"), b"all");
        assert!(!reply.has_ended());
        reply.close();
        assert!(reply.has_ended());
    }

    #[test]
    fn what_is_no_response_is_refused_and_so_is_an_endless_head() {
        let mut reply = Reply::new();
        assert!(body(&mut reply, &[b"SSH-2.0-x\r\n"]).is_err());
        let mut reply = Reply::new();
        let start = &b"HTTP/1.1 200 OK\r\nx: "[..];
        let line = vec![b'a'; MAX_HEAD];
        assert!(body(&mut reply, &[start, &line]).is_err());
    }

    #[test]
    fn what_may_be_framed_in_two_ways_is_refused_or_ends_its_connection() {
        for wrong in [
            "content-length: 2, 3",
            "content-length: +2",
            "content-length: ",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{wrong}\r\n\r\nno");
            assert!(
                body(&mut Reply::new(), &[head.as_bytes()]).is_err(),
                "{wrong}"
            );
        }
        let mut reply = Reply::new();
        let both =
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: gzip, Chunked\r\n\r\n\
            2\r\nno\r\n0\r\n\r\n";
        assert_eq!(body(&mut reply, &[both]).expect("a body"), b"no");
        assert!(reply.has_ended() && !reply.leaves_open());
    }

    #[test]
    fn what_comes_unasked_for_ends_the_connection() {
        let mut reply = Reply::new();
        let more = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nnoHTTP/1.1 200 OK";
        assert_eq!(body(&mut reply, &[more]).expect("a body"), b"no");
        assert!(reply.has_ended() && !reply.leaves_open());
    }

    #[test]
    fn endless_trailers_are_refused() {
        let mut reply = Reply::new();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n";
        let lines = b"x: y\r\n".repeat(MAX_HEAD / 6 + 1);
        assert!(body(&mut reply, &[head, &lines]).is_err());
    }
}
