//! What makes two requests the same: the members that decide the answer, and no others.

use super::{
    ChatRequest,
    json::{JsonError, Kind, Walk},
};

/// Members that say how an answer is shown, kept or labelled, and not what it is.
const BESIDE: [&[u8]; 5] = [
    b"stream",
    b"store",
    b"metadata",
    b"background",
    b"include_sequence",
];

impl ChatRequest {
    /// The same request has the same answer, as far as a model can promise that.
    pub fn is_deterministic(&self) -> bool {
        self.params.temperature == Some(0.0) || self.params.seed.is_some()
    }

    /// What decides the answer, in one form: the body's members without those that say how it is
    /// shown, kept or labelled, by name. Values are compared as bytes, because numbers that are
    /// written differently need not be the same to a model server.
    ///
    /// # Errors
    /// [`JsonError`] when the body is no object, which a parsed one is.
    pub fn identity(&self) -> Result<Vec<u8>, JsonError> {
        let body = &self.body[..];
        let mut members: Vec<(&[u8], Vec<u8>)> = Vec::new();
        let mut walk = Walk::new(body);
        walk.object(|walk, member| {
            let kind = walk.peek();
            let (_, value) = walk.value()?;
            let value = &body[value];
            match member.key {
                key if BESIDE.contains(&key) => {}
                b"stream_options" if kind == Some(Kind::Null) => {}
                b"stream_options" => {
                    let shown = options(value)?;
                    if !shown.is_empty() {
                        members.push((member.key, shown));
                    }
                }
                key => members.push((key, value.to_vec())),
            }
            Ok(())
        })?;
        Ok(in_order(members))
    }
}

/// The options that change the chunks themselves: all but whether the usage is shown.
fn options(options: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut members = Vec::new();
    Walk::new(options).object(|walk, member| {
        let (_, value) = walk.value()?;
        if member.key != b"include_usage" {
            members.push((member.key, options[value].to_vec()));
        }
        Ok(())
    })?;
    Ok(in_order(members))
}

/// Members in the order of their names. What stands twice stays in its order.
fn in_order(mut members: Vec<(&[u8], Vec<u8>)>) -> Vec<u8> {
    members.sort_by_key(|(key, _)| *key);
    let written = members
        .iter()
        .map(|(key, value)| [&b"\""[..], key, b"\":", value, b","].concat());
    written.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(members: &str) -> ChatRequest {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}]{members}}}"#);
        ChatRequest::parse(Bytes::from(body)).expect("a request")
    }

    fn identity(members: &str) -> String {
        let identity = request(members).identity().expect("an object");
        String::from_utf8(identity).expect("UTF-8")
    }

    #[test]
    fn what_only_shows_or_keeps_an_answer_makes_no_difference() {
        let same = identity("");
        for members in [
            r#","stream":true"#,
            r#","stream" : true , "store":true,"metadata":{"a":"b"}"#,
            r#","stream":true,"background":true,"include_sequence":true"#,
            r#","stream_options":null"#,
            r#","stream_options":{"include_usage":true}"#,
        ] {
            assert_eq!(identity(members), same, "{members}");
        }
    }

    #[test]
    fn the_order_of_members_makes_no_difference() {
        let one = identity(r#","seed":1,"top_p":0.5"#);
        assert_eq!(one, identity(r#","top_p":0.5,"seed":1"#));
    }

    #[test]
    fn whatever_may_change_the_answer_does() {
        let mut all: Vec<_> = [
            "",
            r#","seed":1"#,
            r#","seed":2"#,
            r#","user":"u""#,
            r#","vendor":123456789012345678901234567890"#,
            r#","vendor":123456789012345678901234567891"#,
            r#","n":2"#,
            r#","stream_options":{"include_obfuscation":false}"#,
            r#","stream_options":{"include_obfuscation":true,"include_usage":true}"#,
        ]
        .map(identity)
        .to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 9, "{all:#?}");
    }

    #[test]
    fn a_temperature_of_zero_or_a_seed_makes_it_deterministic() {
        for (members, expected) in [
            ("", false),
            (r#","temperature":0"#, true),
            (r#","temperature":0.0"#, true),
            (r#","temperature":0.1"#, false),
            (r#","temperature":1,"seed":0"#, true),
            (r#","seed":null"#, false),
        ] {
            assert_eq!(request(members).is_deterministic(), expected, "{members}");
        }
    }
}
