//! Where the server listens.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{ServeError, Settings, tls::Certificate};

/// Where a server listens.
#[derive(Debug, Clone)]
pub enum Address {
    /// At a port.
    Tcp(SocketAddr),
    /// At a port, with TLS.
    Tls(SocketAddr),
    /// At a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The port's; none for a Unix socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Nobody but this machine reaches it.
    pub(super) fn is_local(&self) -> bool {
        self.socket()
            .is_none_or(|address| address.ip().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens.
pub(super) enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<Certificate>),
    Unix(UnixListener),
}

/// The file of a Unix socket, which goes away with this.
pub(super) struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            id: file_id(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server's, if it was replaced, is not ours to remove.
        if file_id(&self.path).is_ok_and(|id| id == self.id) {
            // Who removed it in between has done what is wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Listens as the settings say; with the file to be removed at the end, if there is one.
///
/// # Errors
/// [`ServeError`] where that cannot be.
pub(super) fn listen(
    settings: &Settings,
) -> Result<(Listener, Address, Option<SocketFile>), ServeError> {
    if !settings.unix.is_empty() {
        let path = Path::new(&settings.unix);
        let bound = bind_unix(path).and_then(|bound| Ok((bound, SocketFile::of(path)?)));
        let (listener, file) = bound.map_err(|source| cannot_bind(&settings.unix, source))?;
        let address = Address::Unix(path.to_owned());
        return Ok((Listener::Unix(listener), address, Some(file)));
    }
    let bind = || {
        let addresses: Vec<_> = (&settings.host[..], settings.port)
            .to_socket_addrs()?
            .collect();
        let listener = TcpListener::bind(&addresses[..])?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    let place = format!("{}:{}", settings.host, settings.port);
    let (listener, address) = bind().map_err(|source| cannot_bind(&place, source))?;
    if settings.tls.is_on() {
        let certificate = Certificate::new(settings.tls.read()?);
        let listener = Listener::Tls(listener, certificate);
        return Ok((listener, Address::Tls(address), None));
    }
    Ok((Listener::Tcp(listener), Address::Tcp(address), None))
}

fn cannot_bind(address: &str, source: io::Error) -> ServeError {
    let address = address.to_owned();
    ServeError::Bind { address, source }
}

/// A file that a server left behind when it was killed is in nobody's use.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bound = UnixListener::bind(path);
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    if bound.as_ref().is_err_and(is_taken) && is_stale(path) {
        fs::remove_file(path)?;
        return UnixListener::bind(path);
    }
    bound
}

/// It is a socket, and nobody listens.
fn is_stale(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).is_err_and(refused)
}
