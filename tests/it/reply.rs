//! What came back, and what tests want to know of it.

use serde_json::Value;

use crate::chunks::{DONE, ID};

/// The head of a reply.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Head {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("a head is text");
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            status: status.unwrap_or_else(|| panic!("no status in {text}")),
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    /// The value of a header, which stands there once at most.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next();
        assert!(found.next().is_none(), "{name} twice: {:?}", self.headers);
        first.map(|(_, value)| &value[..])
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// An upstream's bytes with the id that this completion has instead.
    pub(crate) fn with_our_id(&self, upstream: &str) -> String {
        let id = self.header("x-completion-id").expect("a completion's id");
        assert_ne!(id, ID);
        upstream.replace(&format!("\"id\":\"{ID}\""), &format!("\"id\":\"{id}\""))
    }
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        let json = serde_json::from_slice(&self.body);
        json.unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The chunks of a stream that ended well.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let events = self.text().strip_suffix(DONE).expect("a whole stream");
        let events = events.split_terminator("\n\n");
        let json = events.map(|event| event.strip_prefix("data: ").expect("an event"));
        json.map(|json| serde_json::from_str(json).expect("JSON"))
            .collect()
    }

    /// The stream's bytes are these, but for the id, and it ended well.
    #[track_caller]
    pub(crate) fn assert_streams(&self, upstream: &str) {
        assert_eq!(self.head.status, 200, "{}", self.text());
        assert_eq!(self.text(), self.head.with_our_id(upstream) + DONE);
    }

    /// It is an error envelope of this status and code; its `error` is returned.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: impl Into<Value>) -> Value {
        assert_eq!(self.head.status, status, "{}", self.text());
        assert_eq!(self.head.header("content-type"), Some("application/json"));
        let error = error(self.text());
        assert_eq!(error["code"], code.into(), "{error}");
        error
    }

    /// It is a stream that sent `before` (but for the id) and then failed with this code: one
    /// error event and the sentinel. The `error` is returned.
    #[track_caller]
    pub(crate) fn assert_breaks_off(&self, before: &str, code: &str) -> Value {
        assert_eq!(self.head.status, 200, "{}", self.text());
        let before = self.head.with_our_id(before);
        let rest = self.text().strip_prefix(&before[..]);
        let rest = rest.unwrap_or_else(|| panic!("{before}\nis not before\n{}", self.text()));
        let frame = rest.strip_suffix(DONE).expect("a sentinel");
        let json = frame.strip_prefix("data: ").expect("an event");
        let json = json.strip_suffix("\n\n").expect("an event");
        assert!(!json.contains('\n'), "one event: {json}");
        let error = error(json);
        assert_eq!(error["code"], code, "{error}");
        error
    }
}

/// The error of an envelope, which has all four members and nothing beside them.
#[track_caller]
fn error(json: &str) -> Value {
    let envelope: Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("no JSON: {json}"));
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().unwrap_or_else(|| panic!("{json}"));
        object.keys().cloned().collect()
    };
    assert_eq!(keys(&envelope), ["error"]);
    let error = envelope["error"].clone();
    assert_eq!(keys(&error), ["message", "type", "param", "code"]);
    assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()));
    error
}
