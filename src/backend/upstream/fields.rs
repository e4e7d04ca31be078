//! What an operator sets in the bodies of requests.

use serde_json::{Map, Number, Value};

use super::UpstreamSettingsError;
use crate::openai::Field;

/// What the stream and its bookkeeping rest on; the model's name there is a setting of its own.
const OURS: [&str; 9] = [
    "background",
    "include_sequence",
    "input",
    "messages",
    "model",
    "n",
    "prompt",
    "stream",
    "stream_options",
];

/// The members that `body` sets.
pub(super) fn fields(body: &toml::Table) -> Result<Vec<Field>, UpstreamSettingsError> {
    let field = |(name, value): (&String, &toml::Value)| {
        let refuse = |reason| UpstreamSettingsError {
            key: "body",
            reason,
        };
        if OURS.contains(&name.as_str()) {
            let reason = format!("`{name}` cannot be set, nor can any of {}", OURS.join(", "));
            return Err(refuse(reason));
        }
        let unsayable = || format!("`{name}`: expected what JSON can say, not `inf` or `nan`");
        let value = json(value).ok_or_else(|| refuse(unsayable()))?;
        Ok(Field::new(name, &value))
    };
    body.iter().map(field).collect()
}

fn json(value: &toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::Number(Number::from_f64(*number)?),
        toml::Value::Boolean(is) => Value::from(*is),
        toml::Value::Datetime(date) => Value::from(date.to_string()),
        toml::Value::Array(values) => Value::Array(values.iter().map(json).collect::<Option<_>>()?),
        toml::Value::Table(table) => {
            let member =
                |(name, value): (&String, &toml::Value)| Some((name.clone(), json(value)?));
            Value::Object(table.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(body: &str) -> Result<Vec<Field>, UpstreamSettingsError> {
        fields(&body.parse().expect("TOML"))
    }

    #[test]
    fn whatever_json_has_can_be_set() {
        let body = "top_k = 20\np = 0.5\nkw.think = false\nstop = ['a', 1]";
        let fields = set(body).expect("fields");
        let text = fields.iter().map(Field::to_string);
        let expected = [
            r#""kw":{"think":false}"#,
            r#""p":0.5"#,
            r#""stop":["a",1]"#,
            r#""top_k":20"#,
        ];
        assert_eq!(text.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_streams_rest_on_cannot_be_set() {
        for name in OURS {
            let error = set(&format!("{name} = true")).expect_err("refused");
            assert_eq!(error.key, "body");
            assert!(error.reason.contains(name), "{}", error.reason);
        }
    }

    #[test]
    fn what_json_has_not_is_refused() {
        for value in ["nan", "inf", "[{ a = -inf }]"] {
            let error = set(&format!("x = {value}")).expect_err(value);
            assert!(error.reason.contains("`x`"), "{}", error.reason);
        }
    }
}
