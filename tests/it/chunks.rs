//! The chunks that upstreams send in these tests. Their id is [`ID`], to be rewritten.

pub(crate) const ID: &str = "chatcmpl-upstream";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A request for a stream.
pub(crate) const STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
/// The same request, not streamed.
pub(crate) const WHOLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;

/// [`STREAM`] with one more member.
pub(crate) fn stream_with(member: &str) -> String {
    STREAM.replacen('{', &format!("{{{member},"), 1)
}

/// An event of this JSON.
pub(crate) fn frame(json: &str) -> String {
    format!("data: {json}\n\n")
}

/// A chunk that adds `text` to the first choice.
pub(crate) fn text(text: &str) -> String {
    text_of(0, text)
}

pub(crate) fn text_of(index: u32, text: &str) -> String {
    choice(index, &format!(r#"{{"content":"{text}"}}"#), "null")
}

/// The first chunk of a choice, which says nothing yet.
pub(crate) fn role() -> String {
    choice(0, r#"{"role":"assistant","content":""}"#, "null")
}

/// The last chunk of the first choice.
pub(crate) fn finish() -> String {
    finish_of(0, "stop")
}

pub(crate) fn finish_of(index: u32, reason: &str) -> String {
    choice(index, "{}", &format!(r#""{reason}""#))
}

/// The chunk that has the usage and no choices.
pub(crate) fn usage() -> String {
    chunk(r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#)
}

fn choice(index: u32, delta: &str, finish_reason: &str) -> String {
    chunk(&format!(
        r#""choices":[{{"index":{index},"delta":{delta},"finish_reason":{finish_reason}}}]"#
    ))
}

/// A chunk with these members beside the usual ones.
pub(crate) fn chunk(members: &str) -> String {
    format!(r#"{{"id":"{ID}","object":"chat.completion.chunk","created":7,"model":"m",{members}}}"#)
}

/// A whole completion.
pub(crate) fn completion() -> String {
    format!(
        r#"{{"id":"{ID}","object":"chat.completion","created":7,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hello"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}},"timings":{{"predicted_ms":1.50e+2}}}}"#
    )
}
