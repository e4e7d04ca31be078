//! How much a request's body may hold, beside its bytes: looked at before anything is parsed.
//!
//! Knows nothing of what the parts mean. Start at [`Bounds::check`].

use std::borrow::Cow;

use super::{
    Invalid,
    json::{JsonError, TOO_DEEP, Walk},
};

/// The most that a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How deep its values may nest; [`MAX_DEPTH`](super::json::MAX_DEPTH) at most.
    pub depth: u8,
    /// The messages of a chat.
    pub messages: usize,
    /// The tools (and `functions`, as they were called before).
    pub tools: usize,
    /// The bytes of each tool, and of the `response_format`.
    pub schema_bytes: usize,
}

impl Bounds {
    /// Refuses what is deeper, more or larger, with the name of the setting that says so.
    /// What is wrong in any other way is left to the parser.
    ///
    /// # Errors
    /// [`Invalid`] for the first part that does not fit.
    pub fn check(&self, body: &[u8]) -> Result<(), Invalid> {
        let mut walk = Walk::within(body, self.depth);
        let mut refused = None;
        let walked = walk.object(|walk, member| {
            let excess = match &*unescaped(member.key) {
                "messages" => many(walk, "messages", (self.messages, "limits.messages"))?,
                "tools" => self.tools(walk, "tools")?,
                "functions" => self.tools(walk, "functions")?,
                "response_format" => {
                    let length = walk.value()?.1.len();
                    self.large("response_format", length)
                }
                _ => walk.skip().map(|()| None)?,
            };
            refused = refused.take().or(excess);
            Ok(())
        });
        match (walked, refused) {
            (Err(error), _) if error.what == TOO_DEEP => Err(self.too_deep(error)),
            (_, Some(refused)) => Err(refused),
            (Ok(()) | Err(_), None) => Ok(()),
        }
    }

    fn too_deep(&self, error: JsonError) -> Invalid {
        let (depth, at) = (self.depth, error.at);
        Invalid {
            message: format!(
                "The body's JSON nests deeper than {depth} levels at byte {at} (limits.json_depth)."
            ),
            param: None,
        }
    }

    fn tools(&self, walk: &mut Walk<'_>, name: &str) -> Result<Option<Invalid>, JsonError> {
        let mut large = None;
        let many = items(walk, |index, length| {
            large = large
                .take()
                .or_else(|| self.large(&format!("{name}[{index}]"), length));
        })?;
        Ok(over(name, many, (self.tools, "limits.tools")).or(large))
    }

    fn large(&self, param: &str, length: usize) -> Option<Invalid> {
        let limit = self.schema_bytes;
        let why = || {
            format!("expected at most {limit} bytes of JSON, got {length} (limits.schema_bytes)")
        };
        (length > limit).then(|| Invalid::at(param, &why()))
    }
}

/// A list that is too long.
fn many(
    walk: &mut Walk<'_>,
    name: &str,
    limit: (usize, &str),
) -> Result<Option<Invalid>, JsonError> {
    let count = items(walk, |_, _| {})?;
    Ok(over(name, count, limit))
}

fn over(name: &str, count: usize, (limit, setting): (usize, &str)) -> Option<Invalid> {
    let why = || format!("expected at most {limit}, got {count} ({setting})");
    (count > limit).then(|| Invalid::at(name, &why()))
}

/// How many items stand in an array, each told with its length in bytes; none in what is no array.
fn items(walk: &mut Walk<'_>, mut item: impl FnMut(usize, usize)) -> Result<usize, JsonError> {
    if !walk.is_array() {
        return walk.skip().map(|()| 0);
    }
    let mut count = 0;
    walk.array(|walk| {
        item(count, walk.value()?.1.len());
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// A key as the parser will read it, however it is written.
fn unescaped(key: &[u8]) -> Cow<'_, str> {
    if !key.contains(&b'\\') {
        return String::from_utf8_lossy(key);
    }
    let quoted = [b"\"", key, b"\""].concat();
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default())
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
