//! Which requests are the same.

use sha2::{Digest, Sha256};

use crate::{
    backend::{Call, Route, Share},
    stream::{Id, Owner},
};

/// The length of a SHA-256 digest, in bytes.
pub(super) const DIGEST: usize = 32;

/// Headers that go upstream and are another's with each request.
const BESIDE: [&str; 2] = ["traceparent", "user-agent"];

/// What a request is known by: its owner, and a digest of all that decides its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::completion) struct Fingerprint {
    pub(super) owner: Owner,
    pub(super) digest: [u8; DIGEST],
}

impl Fingerprint {
    /// That of a request whose answer may be shared; `None` if the model's may not, or if the
    /// same request again would have another answer.
    pub(in crate::completion) fn of(owner: Owner, route: &Route, call: &Call) -> Option<Self> {
        let request = &call.request;
        if route.cache.share == Share::Off || !request.is_deterministic() {
            return None;
        }
        // The owner is a keyed digest: nothing that is guessed can be looked up with it.
        let mut digest = Sha256::new_with_prefix(owner.0);
        digest.update(request.form().path());
        digest.update(b"\0");
        digest.update(request.identity().ok()?);
        let mut headers: Vec<_> = call.headers.iter().collect();
        headers.sort();
        for (name, value) in headers {
            if !BESIDE.contains(&&name[..]) {
                digest.update([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
            }
        }
        Some(Self {
            owner,
            digest: digest.finalize().into(),
        })
    }

    /// The name of what is kept under it.
    pub(super) fn name(&self) -> Id {
        let mut name = [0; 16];
        name.copy_from_slice(&self.digest[..16]);
        Id::new("", name)
    }
}
