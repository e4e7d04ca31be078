//! A model server that does what a script says, however wrong.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{
    chunks::{DONE, frame},
    gate::{Gate, PATIENCE, Watched},
};

/// What is done on each connection, once its first request has been read. At the script's
/// end the connection is closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Vec<Action>);

#[derive(Debug, Clone)]
enum Action {
    Send(Vec<u8>),
    SendForEver(Vec<u8>, Duration),
    Wait(Gate),
    Pause(Duration),
    ReadRequest,
    HalfClose,
    Reset,
    Linger,
}

impl Script {
    /// Says nothing at first.
    pub(crate) fn silent() -> Self {
        Self::default()
    }

    /// Begins an event stream in chunked encoding.
    pub(crate) fn stream() -> Self {
        Self::silent().send(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
    }

    /// One complete reply.
    pub(crate) fn reply(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Self::silent().send(head + "\r\n" + body)
    }

    /// One complete reply in JSON.
    pub(crate) fn json(body: &str) -> Self {
        Self::reply("200 OK", &[("content-type", "application/json")], body)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Action::Send(bytes.into()))
    }

    /// Sends bytes as one chunk of the chunked encoding.
    pub(crate) fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(encode(bytes.as_ref()))
    }

    /// Sends one event.
    pub(crate) fn event(self, json: &str) -> Self {
        self.chunk(frame(json))
    }

    /// Sends the sentinel and ends the body.
    pub(crate) fn done(self) -> Self {
        self.chunk(DONE).end()
    }

    /// Ends the body.
    pub(crate) fn end(self) -> Self {
        self.send("0\r\n\r\n")
    }

    /// Sends bytes as a chunk, again and again, until the client goes away.
    pub(crate) fn for_ever(self, bytes: impl AsRef<[u8]>, gap: Duration) -> Self {
        self.then(Action::SendForEver(encode(bytes.as_ref()), gap))
    }

    pub(crate) fn wait(self, gate: &Gate) -> Self {
        self.then(Action::Wait(gate.clone()))
    }

    /// Says nothing for so long.
    pub(crate) fn pause(self, time: Duration) -> Self {
        self.then(Action::Pause(time))
    }

    /// Reads one more request on the same connection.
    pub(crate) fn next_request(self) -> Self {
        self.then(Action::ReadRequest)
    }

    /// Sends a FIN, but goes on to read.
    pub(crate) fn half_close(self) -> Self {
        self.then(Action::HalfClose)
    }

    /// Sends a RST.
    pub(crate) fn reset(self) -> Self {
        self.then(Action::Reset)
    }

    /// Says nothing more and takes note when the client goes away.
    pub(crate) fn linger(self) -> Self {
        self.then(Action::Linger)
    }

    /// Does what another script says.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn then(mut self, action: Action) -> Self {
        self.0.push(action);
        self
    }
}

fn encode(chunk: &[u8]) -> Vec<u8> {
    let size = format!("{:x}\r\n", chunk.len());
    [size.as_bytes(), chunk, b"\r\n"].concat()
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

/// A running upstream. It serves as long as the test process lives.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Watched<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
    departures: usize,
}

impl Upstream {
    /// Plays the script on every connection.
    pub(crate) fn play(script: Script) -> Self {
        Self::play_each(vec![script])
    }

    /// Plays one script after the other, each on a connection, and the last on all that follow.
    pub(crate) fn play_each(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an open socket");
        let seen: Arc<Watched<Seen>> = Arc::default();
        let upstream = Self {
            address,
            seen: Arc::clone(&seen),
        };
        thread::spawn(move || {
            for (at, socket) in listener.incoming().flatten().enumerate() {
                seen.change(|seen| seen.connections += 1);
                let script = scripts.get(at).or(scripts.last()).cloned();
                let (script, seen) = (script.unwrap_or_default(), Arc::clone(&seen));
                // A client that has gone away ends the play.
                thread::spawn(move || drop(play(socket, script, &seen)));
            }
        });
        upstream
    }

    /// The first request, as soon as it is there.
    pub(crate) fn request(&self) -> Request {
        let look = |seen: &Seen| seen.requests.first().cloned();
        self.seen.wait_for("a request", look)
    }

    /// All requests up to now.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let look = |seen: &Seen| Some(seen.requests.clone());
        self.seen.wait_for("nothing", look)
    }

    /// How many connections and requests there have been.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let look = |seen: &Seen| Some((seen.connections, seen.requests.len()));
        self.seen.wait_for("nothing", look)
    }

    /// Waits until a client has gone away while the script lingered or still sent.
    pub(crate) fn departure(&self) {
        let look = |seen: &Seen| (seen.departures > 0).then_some(());
        self.seen.wait_for("the client to go away", look);
    }
}

fn play(mut socket: TcpStream, script: Script, seen: &Watched<Seen>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    read_request(&mut socket, seen)?;
    for action in script.0 {
        match action {
            Action::Send(bytes) => send(&mut socket, &bytes, seen)?,
            Action::SendForEver(bytes, gap) => loop {
                send(&mut socket, &bytes, seen)?;
                thread::sleep(gap);
            },
            Action::Wait(gate) => gate.pass(),
            Action::Pause(time) => thread::sleep(time),
            Action::ReadRequest => read_request(&mut socket, seen)?,
            Action::HalfClose => socket.shutdown(Shutdown::Write)?,
            Action::Reset => {
                let socket = socket2::SockRef::from(&socket);
                return socket.set_linger(Some(Duration::ZERO));
            }
            Action::Linger => {
                let read = socket.read(&mut [0]);
                let is_late = |e: &io::Error| e.kind() == io::ErrorKind::WouldBlock;
                if !read.is_err_and(|error| is_late(&error)) {
                    seen.change(|seen| seen.departures += 1);
                }
            }
        }
    }
    Ok(())
}

fn send(socket: &mut TcpStream, bytes: &[u8], seen: &Watched<Seen>) -> io::Result<()> {
    let sent = socket.write_all(bytes);
    if sent.is_err() {
        seen.change(|seen| seen.departures += 1);
    }
    sent
}

fn read_request(socket: &mut TcpStream, seen: &Watched<Seen>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let request = loop {
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
        if let Some(request) = parse(&bytes) {
            break request;
        }
    };
    seen.change(|seen| seen.requests.push(request));
    Ok(())
}

/// A request, once it is complete.
fn parse(bytes: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let request = Request {
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let length = request.header("content-length");
    let length: usize = length.map_or(Some(0), |length| length.parse().ok())?;
    (body.len() >= length).then_some(request)
}
