//! An HTTP/1.1 response from its bytes: the head, then the body's pieces without their framing.
//!
//! Push what was read, take pieces until there are none, push again. Pieces are slices of what
//! was read.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use super::fault::Fault;

/// The largest head (and the longest line between chunks), in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 96;

/// One response.
#[derive(Debug)]
pub(super) struct Reply {
    input: Bytes,
    // What could not be understood yet.
    rest: BytesMut,
    state: State,
    head: Option<Head>,
}

/// What a head tells.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) keeps_alive: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
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
    pub(super) fn new() -> Self {
        Self {
            input: Bytes::new(),
            rest: BytesMut::new(),
            state: State::Head,
            head: None,
        }
    }

    /// Hands over the next read.
    pub(super) fn push(&mut self, read: Bytes) {
        if self.rest.is_empty() {
            self.input = read;
        } else {
            self.rest.extend_from_slice(&read);
            self.input = self.rest.split().freeze();
        }
    }

    /// The connection has ended, and with it the body if nothing else says where it ends.
    pub(super) fn close(&mut self) {
        if self.state == State::UntilClose {
            self.state = State::Ended;
        }
    }

    /// The head, once it has come.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Whether anything of it has come.
    pub(super) fn has_begun(&self) -> bool {
        self.head.is_some() || !self.rest.is_empty()
    }

    /// Whether its last byte has come.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The next piece of the body, or `None` when more has to be read, or nothing follows.
    ///
    /// # Errors
    /// [`Fault::NotHttp`].
    pub(super) fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let is_understood = match self.state {
                State::Head => self.read_head()?,
                State::ChunkSize => self.read_size()?,
                State::Chunk(0) => self.read_chunk_end()?,
                State::Chunk(left) => return Ok(self.take(left, State::Chunk)),
                State::Trailer => self.read_trailer(),
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

    fn keep_rest(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.input.len() > MAX_HEAD {
            return Err(Fault::NotHttp("its head is too large"));
        }
        self.rest
            .extend_from_slice(&std::mem::take(&mut self.input));
        Ok(None)
    }

    fn read_head(&mut self) -> Result<bool, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&self.input);
        let parsed = parsed.map_err(|_| Fault::NotHttp("its head cannot be read"))?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(false);
        };
        let status = response.code.unwrap_or_default();
        if !(100..200).contains(&status) {
            let (head, state) = read_headers(&response)?;
            self.head = Some(head);
            self.state = state;
        }
        self.input.advance(length);
        Ok(true)
    }

    fn read_size(&mut self) -> Result<bool, Fault> {
        let size = httparse::parse_chunk_size(&self.input);
        let size = size.map_err(|_| Fault::NotHttp("a chunk's size cannot be read"))?;
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

    fn read_chunk_end(&mut self) -> Result<bool, Fault> {
        if self.input.len() < 2 {
            return Ok(false);
        }
        if !self.input.starts_with(b"\r\n") {
            return Err(Fault::NotHttp("a chunk does not end where it should"));
        }
        self.input.advance(2);
        self.state = State::ChunkSize;
        Ok(true)
    }

    fn read_trailer(&mut self) -> bool {
        let Some(end) = memchr(b'\n', &self.input) else {
            return false;
        };
        let line = self.input.split_to(end + 1);
        if line.trim_ascii().is_empty() {
            self.state = State::Ended;
        }
        true
    }
}

/// What the headers tell, and how the body is framed (RFC 9112, section 6.3).
fn read_headers(response: &httparse::Response<'_, '_>) -> Result<(Head, State), Fault> {
    let find = |name: &str| {
        let mut found = response.headers.iter();
        let found = found.find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
    };
    let status = response.code.unwrap_or_default();
    let state = match (find("transfer-encoding"), find("content-length")) {
        _ if matches!(status, 204 | 304) => State::Ended,
        (Some(coding), _) if coding.trim().ends_with("chunked") => State::ChunkSize,
        (Some(_), _) => State::UntilClose,
        (None, Some(length)) => {
            let length = length.trim().parse();
            State::Sized(length.map_err(|_| Fault::NotHttp("its length is no number"))?)
        }
        (None, None) => State::UntilClose,
    };
    let closes = find("connection").is_some_and(|value| value.contains("close"));
    let head = Head {
        status,
        content_type: find("content-type").unwrap_or_default(),
        keeps_alive: response.version == Some(1) && !closes && state != State::UntilClose,
    };
    Ok((head, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\
        Content-Type: Text/Event-Stream\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: x\r\n\r\n";

    fn body(reply: &mut Reply, reads: &[&[u8]]) -> Result<Vec<u8>, Fault> {
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
            assert!(reply.has_ended());
            let head = reply.head().expect("a head");
            assert_eq!((head.status, head.keeps_alive), (200, true));
            assert_eq!(head.content_type, "text/event-stream");
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
}
