//! The names of the keys of a log, or of a shelf. They share a hash tag, so that one script may
//! use them all.

use crate::stream::{Id, Owner, Seq};

/// What every key of ours begins with.
const PREFIX: &str = "tf:";

/// The keys of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// `<owner>:<id>`, by which nodes speak of the log to each other.
    pub(super) name: String,
    /// What all of them begin with.
    pub(super) prefix: String,
    /// The stream of its batches.
    pub(super) log: String,
    /// A hash: who writes it, and what is asked of the writer.
    pub(super) meta: String,
    /// There while its writer lives.
    pub(super) lease: String,
    /// There when it is no longer kept.
    pub(super) gone: String,
    /// The sharded channel of the batches as they come.
    pub(super) live: String,
}

impl Keys {
    pub(super) fn new(owner: Owner, id: &Id) -> Self {
        let name = format!("{:032x}:{id}", u128::from_be_bytes(owner.0));
        let prefix = format!("{PREFIX}{{{name}}}:");
        let key = |kind: &str| format!("{prefix}{kind}");
        Self {
            log: key("log"),
            meta: key("meta"),
            lease: key("lease"),
            gone: key("gone"),
            live: key("live"),
            prefix,
            name,
        }
    }
}

/// The keys of a shelf that a record of one name has to do with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShelfKeys {
    /// `<owner>:<id>`, by which the record is known on the shelf.
    pub(super) name: String,
    /// What all keys of the shelf begin with.
    pub(super) prefix: String,
    /// A sorted set of all names, by place.
    pub(super) order: String,
    /// A hash: the size of each by its name, and that of all as `all`.
    pub(super) sizes: String,
    /// A sorted set of the owner's ids, by place.
    pub(super) owned: String,
    /// A hash: head and body.
    pub(super) record: String,
}

impl ShelfKeys {
    pub(super) fn new(shelf: &str, owner: Owner, id: &str) -> Self {
        let owner = format!("{:032x}", u128::from_be_bytes(owner.0));
        let prefix = format!("{PREFIX}{{{shelf}}}:");
        let name = format!("{owner}:{id}");
        Self {
            order: format!("{prefix}order"),
            sizes: format!("{prefix}sizes"),
            owned: format!("{prefix}of:{owner}"),
            record: format!("{prefix}record:{name}"),
            prefix,
            name,
        }
    }
}

/// The channel on which others speak to a node.
pub(super) fn node_channel(node: &str) -> String {
    format!("{PREFIX}node:{node}")
}

/// The log that a name on that channel is of.
pub(super) fn parse_name(name: &str) -> Option<(Owner, Id)> {
    let (owner, id) = name.split_once(':')?;
    let owner = u128::from_str_radix(owner, 16).ok()?;
    Some((Owner(owner.to_be_bytes()), Id::parse(id).ok()?))
}

/// How an entry is named: `<epoch>-<number>`.
pub(super) fn place((epoch, seq): (u32, Seq)) -> String {
    format!("{epoch}-{}", seq.0)
}

/// What such a name says.
pub(super) fn parse_place(place: &str) -> Option<(u32, Seq)> {
    let (epoch, seq) = place.split_once('-')?;
    Some((epoch.parse().ok()?, Seq(seq.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_share_the_hash_tag_and_name_their_log() {
        let (owner, id) = (Owner([7; 16]), Id::new("id-", [1; 16]));
        let keys = Keys::new(owner, &id);
        let tag = format!("tf:{{{}}}:", keys.name);
        for key in [&keys.log, &keys.meta, &keys.lease, &keys.gone, &keys.live] {
            assert!(key.starts_with(&tag), "{key}");
        }
        assert_eq!(parse_name(&keys.name), Some((owner, id)));
        assert_eq!(parse_name("x:y"), None);
        assert_eq!(parse_place(&place((2, Seq(3)))), Some((2, Seq(3))));
    }
}
