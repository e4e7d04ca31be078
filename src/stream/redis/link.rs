//! The connection to Redis: one for all logs of this process, made again whenever it breaks.
//!
//! What Redis sends unasked (RESP3 pushes) goes to the reader of its channel. A reader whose
//! queue is full misses it, which it notices by the hole.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisResult, Value, aio::MultiplexedConnection, aio::SendError, cmd,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, timeout},
};

/// How long after a failed attempt the next one is made at first.
const BACKOFF: Duration = Duration::from_millis(50);

/// Where to connect to, in the protocol that has pushes.
pub(super) fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// The connection, when there is one.
pub(super) struct Link {
    client: Client,
    patience: Duration,
    /// The channel that this node is spoken to on.
    channel: String,
    routes: Arc<Routes>,
    current: watch::Sender<Option<Current>>,
    doubted: Arc<Notify>,
}

#[derive(Clone)]
struct Current {
    connection: MultiplexedConnection,
    since: Instant,
}

/// Who reads which channel.
#[derive(Default)]
struct Routes(Mutex<HashMap<String, mpsc::Sender<Bytes>>>);

impl Link {
    /// A link that does not connect before it is [kept](Self::keep). Commands are given up after
    /// `patience`; `inbox` gets what is said on `channel`.
    pub(super) fn new(
        url: &str,
        patience: Duration,
        channel: String,
        inbox: mpsc::Sender<Bytes>,
    ) -> RedisResult<Self> {
        let client = client(url)?;
        let routes = Arc::new(Routes::default());
        routes.lock().insert(channel.clone(), inbox);
        Ok(Self {
            client,
            patience,
            channel,
            routes,
            current: watch::Sender::new(None),
            doubted: Arc::default(),
        })
    }

    /// The connection now.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        let current = self.current.borrow();
        current.as_ref().map(|current| current.connection.clone())
    }

    /// Since when it has been there, without a break.
    pub(super) fn since(&self) -> Option<Instant> {
        self.current.borrow().as_ref().map(|current| current.since)
    }

    /// Waits until there is one, `patience` at most; whether there is.
    pub(super) async fn connected(&self, patience: Duration) -> bool {
        let mut current = self.current.subscribe();
        let is_there = timeout(patience, current.wait_for(Option::is_some)).await;
        is_there.is_ok()
    }

    /// A command failed: the connection has to show that it lives.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    /// Reads a sharded channel: what comes there goes into `inbox`.
    pub(super) async fn subscribe(&self, channel: &str, inbox: mpsc::Sender<Bytes>) -> bool {
        self.routes.lock().insert(channel.to_owned(), inbox);
        self.command("SSUBSCRIBE", channel).await
    }

    /// Reads a channel no more, if `inbox` is still what reads it.
    pub(super) async fn unsubscribe(&self, channel: &str, inbox: &mpsc::Sender<Bytes>) {
        {
            let mut routes = self.routes.lock();
            let is_ours = routes.get(channel).is_some_and(|i| i.same_channel(inbox));
            if !is_ours {
                return;
            }
            routes.remove(channel);
        }
        self.command("SUNSUBSCRIBE", channel).await;
    }

    async fn command(&self, name: &str, channel: &str) -> bool {
        let Some(mut connection) = self.connection() else {
            return false;
        };
        let done: RedisResult<()> = cmd(name).arg(channel).query_async(&mut connection).await;
        if done.is_err() {
            self.doubt();
        }
        done.is_ok()
    }

    /// Connects, watches the connection with a ping every `every`, and connects again.
    pub(super) async fn keep(&self, every: Duration) {
        let mut backoff = BACKOFF;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    backoff = BACKOFF;
                    tracing::info!("connected to Redis");
                    let since = Instant::now();
                    self.current.send_replace(Some(Current {
                        connection: connection.clone(),
                        since,
                    }));
                    self.watch(connection, every).await;
                    self.current.send_replace(None);
                    tracing::warn!("the connection to Redis is lost");
                }
                Err(error) => tracing::debug!(%error, "Redis cannot be reached"),
            }
            sleep(backoff).await;
            // A writer has to be back before the others have waited for a lease.
            backoff = (backoff * 2).min(self.patience / 2);
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let (routes, doubted) = (Arc::clone(&self.routes), Arc::clone(&self.doubted));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(Some(self.patience))
            .set_push_sender(move |push| {
                route(&routes, &doubted, push);
                Ok::<_, SendError>(())
            });
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        // The connection's own timeout is not for the name's resolution or the handshake.
        let connecting = timeout(self.patience * 2, connecting).await;
        let mut connection = connecting.map_err(|_| late())??;
        let subscribe = connection.subscribe(&self.channel);
        timeout(self.patience, subscribe)
            .await
            .map_err(|_| late())??;
        Ok(connection)
    }

    /// Returns when the connection is dead.
    async fn watch(&self, mut connection: MultiplexedConnection, every: Duration) {
        loop {
            // Either way it is asked.
            let _ = timeout(every, self.doubted.notified()).await;
            let pong: RedisResult<()> = cmd("PING").query_async(&mut connection).await;
            if pong.is_err() {
                return;
            }
        }
    }
}

fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

fn route(routes: &Routes, doubted: &Notify, push: PushInfo) {
    if push.kind == PushKind::Disconnection {
        doubted.notify_one();
        return;
    }
    if !matches!(push.kind, PushKind::Message | PushKind::SMessage) {
        return;
    }
    let mut parts = push.data.into_iter();
    let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
        (parts.next(), parts.next())
    else {
        return;
    };
    let Ok(channel) = String::from_utf8(channel) else {
        return;
    };
    if let Some(inbox) = routes.lock().get(&channel) {
        // A full queue is a hole, which its reader finds.
        let _ = inbox.try_send(message.into());
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
