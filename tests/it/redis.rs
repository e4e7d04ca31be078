//! A redis-server of a test's own. `TOKENFALL_TEST_REDIS` names another binary, such as Valkey's.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};

/// A server without persistence. It ends with this process at the latest.
pub(crate) struct Redis {
    address: SocketAddr,
    // Keeps the port from everybody who does not ask for this one.
    _port: Socket,
    server: Option<(Child, Pid)>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        port.set_reuse_address(true).expect("a new socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        port.bind(&any.into()).expect("a free port");
        let address = port.local_addr().expect("bound");
        let mut redis = Self {
            address: address.as_socket().expect("of the internet"),
            _port: port,
            server: None,
        };
        redis.start_again();
        redis
    }

    /// Starts it where it was, with nothing in it.
    pub(crate) fn start_again(&mut self) {
        // The shell ends the server when its own input does. A terminal that closes must not end
        // the shell first: the server would not mind it.
        let script = format!(
            "trap '' HUP; server=${{TOKENFALL_TEST_REDIS:-redis-server}}
             command -v \"$server\" >/dev/null || exit 9
             \"$server\" --port {} --bind 127.0.0.1 --save '' --appendonly no >/dev/null &
             echo $!; cat >/dev/null; kill -KILL $!; wait",
            self.address.port()
        );
        let mut shell = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut pid = String::new();
        let mut stdout = BufReader::new(shell.stdout.take().expect("piped"));
        stdout.read_line(&mut pid).expect("a line");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| panic!("no redis-server: scripts/setup installs it"));
        while !self.ask("PING").is_ok_and(|said| said.contains("PONG")) {
            assert!(rustix::process::test_kill_process(pid).is_ok(), "it ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.server = Some((shell, pid));
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// What it says to one command.
    pub(crate) fn ask(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "{command}\r\nQUIT\r\n")?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    }

    /// With `STOP` it does nothing more, but its connections stay and new ones are accepted.
    pub(crate) fn signal(&self, signal: Signal) {
        let (_, pid) = self.server.as_ref().expect("it runs");
        kill_process(*pid, signal).expect("it runs");
    }

    /// Ends it without a word.
    pub(crate) fn stop(&mut self) {
        if self.server.is_some() {
            self.signal(Signal::KILL);
        }
        if let Some((mut shell, _)) = self.server.take() {
            drop(shell.stdin.take());
            shell.wait().expect("its end");
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
