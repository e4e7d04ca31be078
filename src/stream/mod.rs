//! The append-only record of one generation, and where such records live.
//!
//! A log outlives its readers and its producer. It knows nothing of HTTP or JSON: frames
//! are opaque bytes. Start at [`Producer::append`] and [`Log::reader`]; what a
//! reconnecting client receives is decided in [`Log::reader`] and `Reader::poll_batch`.

mod budget;
mod caps;
mod cursor;
mod end;
mod epochs;
mod event;
mod id;
mod log;
mod memory;
mod memory_shelf;
mod producer;
mod reader;
mod redis;
mod settings;
mod shelf;
mod state;
mod store;
mod store_settings;
mod turn;

pub use self::redis::{RedisStore, SetupError, Successor};
pub use budget::Budget;
pub use caps::{AppendError, Caps};
pub use cursor::{Cursor, CursorError, Seq};
pub use end::End;
pub use event::{Event, Kind};
pub use id::{Id, IdError, Owner};
pub use log::{Log, Spec};
pub use memory::MemoryStore;
pub use memory_shelf::MemoryShelf;
pub use producer::Producer;
pub use reader::{BATCH_BYTES, Batch, Reader};
pub use settings::{Grace, HeartbeatForm, OnDisconnect, OnDisconnectError, Settings};
pub use shelf::{Listed, Range, Record, Shelf, ShelfLimits};
pub use store::{Lookup, StoreError, StoreFuture, StreamStore};
pub use store_settings::{OnUnavailable, StoreKind, StoreSettings};
pub use turn::{Work, put_off, turn_time, turns};

#[cfg(test)]
use self::redis::test_server::TestRedis;
#[cfg(test)]
mod schedule_tests;
