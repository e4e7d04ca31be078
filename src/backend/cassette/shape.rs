//! The shape of a reply: which members its JSON has and of which sorts they are, whatever they
//! say. Two replies of one shape can be read by the same program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bytes::Bytes;
use serde_json::Value;

use super::{MAX_BODY, Response};
use crate::sse::Decoder;

/// A reply's shape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    status: u16,
    media_type: String,
    /// All chunks of a stream together.
    chunk: Option<Tree>,
    /// A body in one piece.
    body: Option<Tree>,
    has_sentinel: bool,
}

/// The sorts of values met at one place, and what is within them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tree {
    sorts: BTreeSet<Sort>,
    members: BTreeMap<String, Tree>,
    items: Option<Box<Tree>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sort {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
    NoJson,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
            Self::NoJson => "no JSON",
        })
    }
}

impl Shape {
    /// A recorded reply's.
    pub fn recorded(response: &Response) -> Self {
        Self::of(response.status, response.content_type(), response.body())
    }

    /// A reply's, by its status, its `content-type` and its body.
    pub fn of(status: u16, content_type: Option<&str>, body: Bytes) -> Self {
        let media_type = content_type.unwrap_or_default().split(';').next();
        let mut shape = Self {
            status,
            media_type: media_type.unwrap_or_default().trim().to_lowercase(),
            ..Self::default()
        };
        if shape.media_type != "text/event-stream" {
            shape.body = (!body.is_empty()).then(|| Tree::of(&body));
            return shape;
        }
        let mut decoder = Decoder::new(MAX_BODY);
        decoder.push(body);
        while let Some(Ok(event)) = decoder.next() {
            match event.data.trim_ascii() {
                b"[DONE]" => shape.has_sentinel = true,
                data => shape.chunk.get_or_insert_default().add_text(data),
            }
        }
        shape
    }

    /// What a program that reads this one may not find, or may find of another sort, in the
    /// other; a line for each. Null is no sort of its own where a member has others too.
    pub fn drift(&self, live: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.status != live.status {
            found.push(format!("status: was {}, is {}", self.status, live.status));
        }
        if self.media_type != live.media_type {
            let (was, is) = (&self.media_type, &live.media_type);
            found.push(format!("content-type: was `{was}`, is `{is}`"));
        }
        let parts = [
            ("chunk", &self.chunk, &live.chunk),
            ("body", &self.body, &live.body),
        ];
        for (name, was, is) in parts {
            match (was, is) {
                (Some(was), Some(is)) => was.drift(is, name, &mut found),
                (Some(_), None) => found.push(format!("{name}: disappeared")),
                (None, Some(_)) => found.push(format!("{name}: appeared")),
                (None, None) => {}
            }
        }
        match (self.has_sentinel, live.has_sentinel) {
            (true, false) => found.push("[DONE]: disappeared".to_owned()),
            (false, true) => found.push("[DONE]: appeared".to_owned()),
            (true, true) | (false, false) => {}
        }
        found
    }
}

impl Tree {
    fn of(text: &[u8]) -> Self {
        let mut tree = Self::default();
        tree.add_text(text);
        tree
    }

    fn add_text(&mut self, text: &[u8]) {
        match serde_json::from_slice(text) {
            Ok(value) => self.add(&value),
            Err(_) => drop(self.sorts.insert(Sort::NoJson)),
        }
    }

    fn add(&mut self, value: &Value) {
        self.sorts.insert(match value {
            Value::Null => Sort::Null,
            Value::Bool(_) => Sort::Boolean,
            Value::Number(_) => Sort::Number,
            Value::String(_) => Sort::String,
            Value::Array(items) => {
                for item in items {
                    self.items.get_or_insert_default().add(item);
                }
                Sort::Array
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.members.entry(name.clone()).or_default().add(value);
                }
                Sort::Object
            }
        });
    }

    fn drift(&self, live: &Self, place: &str, found: &mut Vec<String>) {
        if !self.is_like(live) {
            found.push(format!(
                "{place}: was {}, is {}",
                self.sorts(),
                live.sorts()
            ));
        }
        // What had no items on one side can be compared with nothing.
        if let (Some(was), Some(is)) = (&self.items, &live.items) {
            was.drift(is, &format!("{place}[]"), found);
        }
        if !self.sorts.contains(&Sort::Object) || !live.sorts.contains(&Sort::Object) {
            return;
        }
        for (name, was) in &self.members {
            let place = format!("{place}.{name}");
            match live.members.get(name) {
                Some(is) => was.drift(is, &place, found),
                None => found.push(format!("{place}: disappeared (was {})", was.sorts())),
            }
        }
        for (name, is) in &live.members {
            if !self.members.contains_key(name) {
                found.push(format!("{place}.{name}: appeared (is {})", is.sorts()));
            }
        }
    }

    /// Whether who reads this can read the other: nothing in it is of a new sort, and something
    /// of a known one. Which values are null is a matter of what they say.
    fn is_like(&self, live: &Self) -> bool {
        let is_new = |sort: &&Sort| **sort != Sort::Null && !self.sorts.contains(sort);
        let was_null = self.sorts.iter().all(|sort| *sort == Sort::Null);
        let has_new = live.sorts.iter().any(|sort| is_new(&sort));
        let has_known = live.sorts.iter().any(|sort| self.sorts.contains(sort));
        was_null || (!has_new && has_known)
    }

    fn sorts(&self) -> String {
        let sorts: Vec<_> = self.sorts.iter().map(ToString::to_string).collect();
        sorts.join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(chunks: &[&str]) -> Shape {
        let body: String = chunks.iter().map(|c| format!("data: {c}\n\n")).collect();
        Shape::of(200, Some("text/event-stream; charset=utf-8"), body.into())
    }

    fn whole(body: &str) -> Shape {
        Shape::of(200, Some("application/json"), body.to_owned().into())
    }

    #[test]
    fn other_values_and_more_chunks_are_the_same_shape() {
        let recorded = stream(&[
            r#"{"id":"a","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ]);
        let live = stream(&[
            r#"{"id":"b","choices":[{"index":0,"delta":{"content":"y"},"finish_reason":null}]}"#,
            r#"{"id":"b","choices":[{"index":0,"delta":{"content":"z"},"finish_reason":null}]}"#,
            r#"{"id":"b","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
            r#"{"id":"b","choices":[]}"#,
            "[DONE]",
        ]);
        assert_eq!(recorded.drift(&live), Vec::<String>::new());
    }

    #[test]
    fn members_that_appear_disappear_or_change_are_told() {
        let recorded = whole(r#"{"a":1,"b":{"c":"x","d":[{"e":1}]},"n":null,"s":"x","t":["x"]}"#);
        let live = whole(r#"{"b":{"c":7,"d":[{"f":1}]},"n":"x","s":null,"t":[],"z":{"y":1}}"#);
        assert_eq!(
            recorded.drift(&live),
            [
                "body.a: disappeared (was number)",
                "body.b.c: was string, is number",
                "body.b.d[].e: disappeared (was number)",
                "body.b.d[].f: appeared (is number)",
                "body.s: was string, is null",
                "body.z: appeared (is object)",
            ]
        );
    }

    #[test]
    fn the_head_and_the_sentinel_are_of_the_shape() {
        let recorded = stream(&["{}", "[DONE]"]);
        assert_eq!(recorded.drift(&stream(&["{}"])), ["[DONE]: disappeared"]);
        let refused = Shape::of(400, Some("application/json"), Bytes::from_static(b"{}"));
        assert_eq!(
            recorded.drift(&refused),
            [
                "status: was 200, is 400",
                "content-type: was `text/event-stream`, is `application/json`",
                "chunk: disappeared",
                "body: appeared",
                "[DONE]: disappeared",
            ]
        );
        assert_eq!(
            stream(&["{}"]).drift(&stream(&["{"])),
            ["chunk: was object, is no JSON"]
        );
    }
}
