//! What is held back while another upstream may still be asked: once a client has seen a role, a
//! second answer would begin with another.

use std::sync::Arc;

use super::Completion;
use crate::{
    backend::{Chunk, Headers},
    wire::Plan,
};

/// The most chunks without content that are held back. Nobody sends more before it begins.
const MAX_HELD: usize = 64;

/// Whether an answer may still be given up for another upstream's.
#[derive(Debug)]
pub(super) enum Release {
    /// It may: nothing of it has gone out.
    Held {
        /// Chunks without content.
        chunks: Vec<Chunk>,
        /// Headers for the client, and what is done to the reply.
        head: Option<(Headers, Option<Arc<Plan>>)>,
    },
    /// It goes on with what another upstream has begun: of that nothing is said again.
    Joining,
    /// It is the answer.
    Released,
}

impl Release {
    /// Of a new attempt; that of the last upstream goes out at once.
    pub(super) fn new(is_last: bool) -> Self {
        if is_last {
            return Self::Released;
        }
        Self::Held {
            chunks: Vec::new(),
            head: None,
        }
    }

    /// Nothing is held back any more.
    pub(super) fn is_released(&self) -> bool {
        matches!(self, Self::Released)
    }

    /// The answer's head has come.
    pub(super) fn head(&mut self, to: &Completion, headers: Headers, plan: Option<Arc<Plan>>) {
        match self {
            Self::Held { head, .. } => *head = Some((headers, plan)),
            Self::Joining => {}
            Self::Released => to.set_head(headers, plan),
        }
    }

    /// Holds a chunk without content back, or drops it; `false` if it goes out instead.
    pub(super) fn hold(&mut self, chunk: &Chunk) -> bool {
        match self {
            Self::Held { chunks, .. } if chunks.len() < MAX_HELD => {
                chunks.push(chunk.clone());
                true
            }
            // A role, before the text; how an answer ends is no repetition.
            Self::Joining => chunk.facts.finished == 0 && chunk.facts.usage.is_none(),
            Self::Held { .. } | Self::Released => false,
        }
    }

    /// The answer is this one: its head is set, and what was held back goes out.
    pub(super) fn release(&mut self, to: &Completion) -> Vec<Chunk> {
        match std::mem::replace(self, Self::Released) {
            Self::Held { chunks, head } => {
                if let Some((headers, plan)) = head {
                    to.set_head(headers, plan);
                }
                chunks
            }
            Self::Joining | Self::Released => Vec::new(),
        }
    }
}
