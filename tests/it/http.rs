//! A client of HTTP/1.1 that hides nothing: bytes out, heads and transfer chunks in.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    gate::PATIENCE,
    reply::{Head, Reply},
};

/// One connection. Dropping it is how a client leaves.
pub(crate) struct Connection {
    socket: TcpStream,
    // Read and not yet taken.
    unread: Vec<u8>,
}

/// A POST of a JSON body to the chat completions.
pub(crate) fn post(body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Vec<u8> {
    post_to("/v1/chat/completions", body, headers)
}

/// A POST of a JSON body.
pub(crate) fn post_to(path: &str, body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut all = vec![
        ("content-type", "application/json"),
        ("content-length", &length[..]),
    ];
    all.extend(headers);
    [&request("POST", path, &all)[..], body].concat()
}

/// A request's head. The host is `localhost` unless the headers name another.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// One request on a connection of its own.
pub(crate) fn fetch(address: SocketAddr, request: &[u8]) -> Reply {
    let mut connection = Connection::open(address);
    connection.send(request);
    connection.reply()
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).expect("the server listens"))
    }

    /// One whose kernel takes hardly anything that is not read.
    pub(crate) fn narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a socket");
        socket.connect(&address.into()).expect("the server listens");
        Self::on(socket.into())
    }

    fn on(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("an open socket");
        let deadline = Some(PATIENCE);
        socket.set_read_timeout(deadline).expect("an open socket");
        socket.set_write_timeout(deadline).expect("an open socket");
        let unread = Vec::new();
        Self { socket, unread }
    }

    /// Goes away with a RST instead of a FIN.
    pub(crate) fn reset(self) {
        let socket = socket2::SockRef::from(&self.socket);
        let linger = socket.set_linger(Some(Duration::ZERO));
        linger.expect("an open socket");
    }

    /// The socket, when everything that came has been taken.
    pub(crate) fn into_socket(self) -> TcpStream {
        assert!(self.unread.is_empty(), "{}", show(&self.unread));
        self.socket
    }

    /// Nothing has come that was not taken.
    pub(crate) fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).expect("an open socket");
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false).expect("an open socket");
        self.unread.is_empty() && peeked.is_err()
    }

    /// Sends a FIN, but goes on to read.
    pub(crate) fn half_close(&self) {
        let shut = self.socket.shutdown(Shutdown::Write);
        shut.expect("an open socket");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// A whole reply.
    pub(crate) fn reply(&mut self) -> Reply {
        let head = self.head();
        self.rest(head, "")
    }

    /// The whole reply, of which the head and `body` have been read.
    pub(crate) fn rest(&mut self, head: Head, body: impl Into<Vec<u8>>) -> Reply {
        let start = Instant::now();
        let mut body = body.into();
        if head.is_chunked() {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
                // Heartbeats keep each read within its time, but not the whole.
                assert!(
                    start.elapsed() < PATIENCE,
                    "an endless body: {}",
                    show(&body)
                );
            }
        } else if let Some(length) = head.content_length() {
            body = self.take(length);
        }
        Reply { head, body }
    }

    pub(crate) fn head(&mut self) -> Head {
        let end = self.find(b"\r\n\r\n");
        Head::parse(&self.take(end + 4))
    }

    /// The next chunk of a chunked body, or `None` at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = self.find(b"\r\n");
        let line = self.take(end + 2);
        let size = std::str::from_utf8(&line[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.unwrap_or_else(|| panic!("no chunk size: {}", show(&line)));
        let mut chunk = self.take(size + 2);
        assert_eq!(chunk.split_off(size), b"\r\n", "the end of a chunk");
        (size > 0).then_some(chunk)
    }

    /// Chunks up to the first that holds `text`; all of them together.
    pub(crate) fn chunks_until(&mut self, text: &str) -> String {
        let mut body = String::new();
        while !body.contains(text) {
            let chunk = self.chunk();
            let chunk = chunk.unwrap_or_else(|| panic!("ended without `{text}`: {body}"));
            body.push_str(&String::from_utf8(chunk).expect("UTF-8"));
        }
        body
    }

    /// What one read gives.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            self.fill();
        }
        std::mem::take(&mut self.unread)
    }

    /// All that comes until the connection ends, however it does.
    pub(crate) fn read_to_cut(mut self) -> String {
        // A reset is an end too.
        let _ = self.socket.read_to_end(&mut self.unread);
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    fn find(&mut self, what: &[u8]) -> usize {
        loop {
            let found = self.unread.windows(what.len()).position(|w| w == what);
            match found {
                Some(at) => return at,
                None => self.fill(),
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            self.fill();
        }
        let rest = self.unread.split_off(count);
        std::mem::replace(&mut self.unread, rest)
    }

    fn fill(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) => panic!("cut after: {}", show(&self.unread)),
            Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            Err(error) => panic!("{error} after: {}", show(&self.unread)),
        }
    }
}

fn show(bytes: &[u8]) -> String {
    let end = &bytes[bytes.len().saturating_sub(500)..];
    format!("{:?}", String::from_utf8_lossy(end))
}
