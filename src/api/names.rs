//! The names of headers of ours, parsed once.

use actix_web::http::header::HeaderName;

/// The completion's id.
pub(super) const COMPLETION_ID: HeaderName = HeaderName::from_static("x-completion-id");
/// How many upstreams were asked.
pub(super) const ATTEMPTS: HeaderName = HeaderName::from_static("x-stream-attempts");
/// Whose answer it is, where answers are shared.
pub(super) const CACHE: HeaderName = HeaderName::from_static("x-stream-cache");
/// What opens the stream again without a key.
pub(super) const TICKET: HeaderName = HeaderName::from_static("x-stream-ticket");
/// nginx is not to hold a stream back.
pub(super) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// An `id:` line is wanted on every event.
pub(super) const IDS: HeaderName = HeaderName::from_static("x-stream-ids");
/// The ticket is wanted as a cookie too.
pub(super) const COOKIE: HeaderName = HeaderName::from_static("x-stream-cookie");
/// What becomes of an answer that nobody reads.
pub(super) const ON_DISCONNECT: HeaderName = HeaderName::from_static("x-stream-on-disconnect");
/// The same key and body again are the same completion.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Where an EventSource was.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The language of an official SDK, which no other client sends.
pub(super) const SDK_LANGUAGE: HeaderName = HeaderName::from_static("x-stainless-lang");
