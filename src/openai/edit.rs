//! Edits of a request body on its way upstream; every member that stays keeps its bytes.

use std::{borrow::Cow, fmt};

use bytes::Bytes;

use super::{
    json::{JsonError, Kind, Walk},
    partial::GoesOn,
};

/// Fields that only this server understands.
const OWN: [&[u8]; 2] = [b"background", b"include_sequence"];

/// Asks for the usage chunk.
const USAGE: &[u8] = br#""include_usage":true"#;

/// The options of a request that has none.
const USAGE_ALONE: &[u8] = br#""stream_options":{"include_usage":true}"#;

/// What is changed beside our own fields.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edits<'a> {
    /// The model's name there.
    pub(super) model: Option<&'a str>,
    /// The usage chunk is asked for.
    pub(super) asks_usage: bool,
    /// A stream is asked for, whatever the client wrote.
    pub(super) sets_stream: bool,
    /// What was said before is gone on with.
    pub(super) goes_on: Option<GoesOn<'a>>,
    /// Members that are set, whatever the client wrote.
    pub(super) fields: &'a [Field],
}

/// A member of a request's object, ready to be written.
#[derive(Debug, Clone)]
pub struct Field {
    name: String,
    value: String,
}

impl Field {
    /// A member of this name and value.
    pub fn new(name: &str, value: &serde_json::Value) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_string(),
        }
    }

    /// As it stands in a request; `None` if what goes on with an answer wants it gone.
    fn text(&self, goes_on: Option<&GoesOn<'_>>) -> Option<Vec<u8>> {
        let other = goes_on.and_then(|to| to.member(self.name.as_bytes(), self.value.as_bytes()));
        let text = other.unwrap_or_else(|| self.to_string().into_bytes());
        (!text.is_empty()).then_some(text)
    }
}

/// As it stands in an object.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::Value::from(self.name.as_str());
        write!(f, "{name}:{}", self.value)
    }
}

/// The body without our own fields and with these edits. White space around members is
/// dropped.
///
/// # Errors
/// [`JsonError`] when the body, or the `stream_options` in it, is no object.
pub(super) fn upstream_body(body: &[u8], edits: Edits<'_>) -> Result<Bytes, JsonError> {
    let mut members = Vec::new();
    let mut wants_usage = edits.asks_usage;
    let mut unnamed = edits.model.map(named);
    let mut walk = Walk::new(body);
    walk.object(|walk, member| {
        let kind = walk.peek();
        let (_, value) = walk.value()?;
        let bytes = &body[member.start..value.end];
        let is_set = |field: &Field| field.name.as_bytes() == member.key;
        if OWN.contains(&member.key) || edits.fields.iter().any(is_set) {
            return Ok(());
        }
        let goes_on = edits.goes_on.as_ref();
        if let Some(text) = goes_on.and_then(|to| to.member(member.key, &body[value.clone()])) {
            members.extend((!text.is_empty()).then_some(Cow::Owned(text)));
            return Ok(());
        }
        let text = match (member.key, edits.model) {
            (b"stream", _) if edits.sets_stream => return Ok(()),
            (b"stream_options", _) if edits.asks_usage => {
                wants_usage = false;
                let options = match kind {
                    Some(Kind::Null) => object(&[Cow::Borrowed(USAGE)]),
                    _ => with_usage(&body[value])?,
                };
                Cow::Owned([br#""stream_options":"#, &options[..]].concat())
            }
            (b"model", Some(model)) => {
                unnamed = None;
                Cow::Owned(named(model))
            }
            _ => Cow::Borrowed(bytes),
        };
        members.push(text);
        Ok(())
    })?;
    // Moderations have a model when they name none.
    members.extend(unnamed.map(Cow::Owned));
    if edits.sets_stream {
        members.push(Cow::Borrowed(br#""stream":true"#));
    }
    // Last, because that is what most parsers take of two: a client could write a name in escapes.
    let goes_on = edits.goes_on.as_ref();
    let fields = edits.fields.iter().filter_map(|field| field.text(goes_on));
    members.extend(fields.map(Cow::Owned));
    let added = edits.goes_on.and_then(|to| to.added());
    members.extend(added.map(Cow::Borrowed));
    if wants_usage {
        members.push(Cow::Borrowed(USAGE_ALONE));
    }
    Ok(object(&members).into())
}

/// The member that names the model.
fn named(model: &str) -> Vec<u8> {
    let name = serde_json::Value::from(model).to_string();
    [br#""model":"#, name.as_bytes()].concat()
}

/// The options with `include_usage` set.
fn with_usage(options: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut members = vec![Cow::Borrowed(USAGE)];
    Walk::new(options).object(|walk, member| {
        let (_, value) = walk.value()?;
        if member.key != b"include_usage" {
            members.push(Cow::Borrowed(&options[member.start..value.end]));
        }
        Ok(())
    })?;
    Ok(object(&members))
}

fn object(members: &[Cow<'_, [u8]>]) -> Vec<u8> {
    let length: usize = members.iter().map(|member| member.len() + 1).sum();
    let mut object = Vec::with_capacity(length + 2);
    object.push(b'{');
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            object.push(b',');
        }
        object.extend_from_slice(member);
    }
    object.push(b'}');
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, model: Option<&str>, asks_usage: bool) -> String {
        let edits = Edits {
            model,
            asks_usage,
            ..Edits::default()
        };
        let bytes = upstream_body(body.as_bytes(), edits).expect("an object");
        String::from_utf8(bytes.to_vec()).expect("UTF-8")
    }

    #[test]
    fn unknown_fields_keep_their_bytes_and_their_order() {
        let body = r#"{"z":1.50e+2,"model":"m","big":123456789012345678901234567890,"é":"\u00e9","a":[ 1 , 2 ]}"#;
        assert_eq!(edited(body, None, false), body);
    }

    #[test]
    fn our_own_fields_are_taken_out_wherever_they_stand() {
        let cases = [
            (r#"{"background":true,"a":1}"#, r#"{"a":1}"#),
            (
                r#"{"a":1,"background":true, "include_sequence" : null }"#,
                r#"{"a":1}"#,
            ),
            (r#"{ "include_sequence":{"x":[1]} }"#, "{}"),
            (
                r#"{"a":{"background":true}}"#,
                r#"{"a":{"background":true}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(edited(body, None, false), expected);
        }
    }

    #[test]
    fn fields_that_are_set_take_the_place_of_the_clients() {
        let fields = [
            Field::new("top_k", &1.into()),
            Field::new("é\"", &"x".into()),
        ];
        let edits = Edits {
            fields: &fields,
            ..Edits::default()
        };
        let cases = [
            ("{}", r#"{"top_k":1,"é\"":"x"}"#),
            (
                r#"{"top_k":[7],"a":1.0,"top_k":8}"#,
                r#"{"a":1.0,"top_k":1,"é\"":"x"}"#,
            ),
            (
                r#"{"a":{"top_k":2}}"#,
                r#"{"a":{"top_k":2},"top_k":1,"é\"":"x"}"#,
            ),
        ];
        for (body, expected) in cases {
            let bytes = upstream_body(body.as_bytes(), edits).expect("an object");
            assert_eq!(bytes, expected);
        }
    }

    #[test]
    fn usage_is_asked_for_and_other_options_stay() {
        let cases = [
            (
                r#"{"a":1}"#,
                r#"{"a":1,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":null}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{},"a":1}"#,
                r#"{"stream_options":{"include_usage":true},"a":1}"#,
            ),
            (
                r#"{"stream_options":{"x":1.0,"include_usage":false}}"#,
                r#"{"stream_options":{"include_usage":true,"x":1.0}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(edited(body, None, true), expected);
        }
    }

    #[test]
    fn a_stream_is_asked_for_once() {
        let edits = Edits {
            sets_stream: true,
            ..Edits::default()
        };
        for body in [
            r#"{"a":1,"stream":false}"#,
            r#"{"stream":null,"a":1}"#,
            r#"{"a":1}"#,
        ] {
            let bytes = upstream_body(body.as_bytes(), edits).expect("an object");
            assert_eq!(&bytes[..], br#"{"a":1,"stream":true}"#);
        }
    }

    #[test]
    fn the_model_gets_the_name_it_has_there() {
        assert_eq!(
            edited(r#"{"model":"a","n":1}"#, Some("b\"c"), false),
            r#"{"model":"b\"c","n":1}"#
        );
        assert_eq!(
            edited(r#"{"n":1}"#, Some("b"), false),
            r#"{"n":1,"model":"b"}"#
        );
    }
}
