//! Tickets: what lets a client back into one completion without its key.
//!
//! A ticket is `<expiry>.<owner>.<mac>` in hexadecimal. It opens reading and cancelling of the
//! completion it was made for, until it expires, and nothing else.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::hex::{digest_from_hex, push_hex};

/// Mixed into every digest, so that those for one purpose are of no use for another.
const OWNER: &[u8] = b"tokenfall owner\0";
const TICKET: &[u8] = b"tokenfall ticket\0read,cancel\0";

/// The longest ticket, in bytes.
const LENGTH: usize = 16 + 1 + 32 + 1 + 64;
/// The length of SHA-256's blocks, in bytes.
const BLOCK: usize = 64;

/// Makes owners and tickets with a secret that all nodes share.
#[derive(Clone)]
pub struct Tickets {
    mac: Hmac<Sha256>,
}

/// The operating system gave no randomness for a secret.
#[derive(Debug, thiserror::Error)]
#[error("no randomness for a ticket secret: {0}")]
pub struct SecretError(getrandom::Error);

impl Tickets {
    /// Tickets of this secret; of a random one where it is empty.
    ///
    /// # Errors
    /// [`SecretError`] when a random one cannot be had.
    pub fn new(secret: &str) -> Result<Self, SecretError> {
        let mut random = [0; 32];
        let secret = if secret.is_empty() {
            getrandom::fill(&mut random).map_err(SecretError)?;
            &random[..]
        } else {
            secret.as_bytes()
        };
        // As RFC 2104 has it: a longer key is hashed, a shorter one filled up with zeros.
        let mut key = [0; BLOCK];
        if secret.len() > BLOCK {
            key[..32].copy_from_slice(&Sha256::digest(secret));
        } else {
            key[..secret.len()].copy_from_slice(secret);
        }
        Ok(Self {
            mac: Hmac::new(&key.into()),
        })
    }

    /// To whom the completions of these credentials belong.
    pub fn owner(&self, credentials: &str) -> [u8; 16] {
        let mac = self.mac.clone().chain_update(OWNER);
        let digest = mac.chain_update(credentials).finalize().into_bytes();
        let mut owner = [0; 16];
        owner.copy_from_slice(&digest[..16]);
        owner
    }

    /// A ticket for a completion of `owner`, until `expiry` in seconds since 1970.
    pub fn issue(&self, id: &str, owner: [u8; 16], expiry: u64) -> String {
        let mut ticket = String::with_capacity(LENGTH);
        // Writing to a string does not fail.
        let _ = write!(ticket, "{expiry:x}.");
        push_hex(&mut ticket, &owner);
        let mac = self.over(id, &ticket).finalize().into_bytes();
        ticket.push('.');
        push_hex(&mut ticket, &mac);
        ticket
    }

    /// The owner of the completion that a ticket is good for at `now`, in seconds since 1970.
    /// The comparison takes the same time wherever a forgery differs.
    pub fn admit(&self, id: &str, ticket: &str, now: u64) -> Option<[u8; 16]> {
        let (head, mac) = ticket.rsplit_once('.')?;
        let (expiry, owner) = head.split_once('.')?;
        let mac = digest_from_hex(mac)?;
        self.over(id, head).verify_slice(&mac).ok()?;
        let expiry = u64::from_str_radix(expiry, 16).ok()?;
        let owner = u128::from_str_radix(owner, 16).ok()?;
        (now < expiry).then(|| owner.to_be_bytes())
    }

    fn over(&self, id: &str, head: &str) -> Hmac<Sha256> {
        let mac = self.mac.clone().chain_update(TICKET);
        mac.chain_update(id).chain_update([0]).chain_update(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets() -> Tickets {
        Tickets::new("secret").expect("a secret")
    }

    #[test]
    fn a_ticket_opens_its_completion_until_it_expires() {
        let owner = tickets().owner("Bearer a");
        let ticket = tickets().issue("chatcmpl-1", owner, 1000);
        assert_eq!(tickets().admit("chatcmpl-1", &ticket, 999), Some(owner));
        assert_eq!(
            tickets().admit("chatcmpl-1", &ticket, 1000),
            None,
            "expired"
        );
        assert_eq!(
            tickets().admit("chatcmpl-2", &ticket, 1),
            None,
            "another completion"
        );
        let other = Tickets::new("").expect("randomness");
        assert_eq!(
            other.admit("chatcmpl-1", &ticket, 1),
            None,
            "another secret"
        );
    }

    #[test]
    fn no_change_of_a_ticket_is_admitted() {
        let ticket = tickets().issue("id", tickets().owner("a"), 0xFFFF);
        for at in 0..ticket.len() {
            let mut forged = ticket.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_eq!(tickets().admit("id", &forged, 1), None, "{forged}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a.b.c",
            &ticket[1..],
            &ticket[..ticket.len() - 1],
            "é.é.é",
        ] {
            assert_eq!(tickets().admit("id", bad, 1), None, "{bad}");
        }
    }

    #[test]
    fn secrets_of_every_length_are_those_of_hmac() {
        for length in [1, BLOCK - 1, BLOCK, BLOCK + 1, 200] {
            let secret = "s".repeat(length);
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
            let mac = mac.chain_update(OWNER).chain_update("a");
            let expected = mac.finalize().into_bytes();
            let tickets = Tickets::new(&secret).expect("a secret");
            assert_eq!(tickets.owner("a"), expected[..16], "{length}");
        }
    }

    #[test]
    fn owners_differ_by_credentials_and_secret() {
        assert_eq!(tickets().owner("a"), tickets().owner("a"));
        assert_ne!(tickets().owner("a"), tickets().owner("b"));
        assert_ne!(
            tickets().owner("a"),
            Tickets::new("x").expect("a secret").owner("a")
        );
    }

    #[test]
    fn a_ticket_has_only_characters_that_need_no_escape() {
        let ticket = tickets().issue("id", [0xFF; 16], u64::MAX);
        assert!(
            ticket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.'),
            "{ticket}"
        );
    }
}
