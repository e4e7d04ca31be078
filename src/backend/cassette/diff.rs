//! How two requests differ.

use std::fmt;

use serde_json::Value;

use super::Request;

/// How much of a text is shown: so many characters before its first difference, and in all.
const BEFORE: usize = 20;
const SHOWN: usize = 60;
/// Where two requests differ in more places, the rest is not looked at.
const MOST: usize = 1_000;

/// One place where a request is not what was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, such as `messages[0].content`.
    pub place: String,
    /// What was recorded there, in short; none if nothing was.
    pub recorded: Option<String>,
    /// What was asked there, likewise.
    pub asked: Option<String>,
    /// How much of it differs: a whole value is 1, a text less by what is the same in it.
    pub weight: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        match (&self.recorded, &self.asked) {
            (Some(recorded), Some(asked)) => write!(f, "recorded {recorded}, asked {asked}"),
            (Some(recorded), None) => write!(f, "recorded {recorded}, not asked"),
            (None, Some(asked)) => write!(f, "not recorded, asked {asked}"),
            (None, None) => Ok(()),
        }
    }
}

impl Request {
    /// Where `asked` is not what this one is; nothing if they are equal.
    pub fn differences(&self, asked: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let paths = [&self.path, &asked.path].map(|path| Value::from(&path[..]));
        compare("path", Some(&paths[0]), Some(&paths[1]), &mut found);
        compare("", Some(&self.body), Some(&asked.body), &mut found);
        found
    }
}

fn compare(
    place: &str,
    recorded: Option<&Value>,
    asked: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    if found.len() >= MOST || recorded == asked {
        return;
    }
    match (recorded, asked) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                let inner = match place {
                    "" => name.clone(),
                    place => format!("{place}.{name}"),
                };
                compare(&inner, one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for at in 0..one.len().max(other.len()) {
                let inner = format!("{place}[{at}]");
                compare(&inner, one.get(at), other.get(at), found);
            }
        }
        (recorded, asked) => found.push(difference(place, recorded, asked)),
    }
}

fn difference(place: &str, recorded: Option<&Value>, asked: Option<&Value>) -> Difference {
    let (same, weight) = match (recorded, asked) {
        (Some(Value::String(one)), Some(Value::String(other))) => common(one, other),
        (_, _) => (0, 1.0),
    };
    Difference {
        place: place.to_owned(),
        recorded: recorded.map(|value| shown(value, same)),
        asked: asked.map(|value| shown(value, same)),
        weight,
    }
}

/// How many characters two texts begin with together, and which part of them is not the same.
#[expect(clippy::cast_precision_loss, reason = "it is a measure, not a count")]
fn common(one: &str, other: &str) -> (usize, f64) {
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let start = same(&mut one.chars().zip(other.chars()));
    let lengths = [one.chars().count(), other.chars().count()];
    let end = same(&mut one.chars().rev().zip(other.chars().rev()));
    let end = end.min(lengths[0].min(lengths[1]) - start);
    let longest = lengths[0].max(lengths[1]).max(1);
    let differs = longest - start - end;
    (start, (differs as f64 / longest as f64).max(0.01))
}

/// A value as JSON; of a text, what stands around its character number `at`.
fn shown(value: &Value, at: usize) -> String {
    let (text, is_text) = match value.as_str() {
        Some(text) => (text.to_owned(), true),
        None => (value.to_string(), false),
    };
    let skipped = at.saturating_sub(BEFORE);
    let mut part: String = text.chars().skip(skipped).take(SHOWN).collect();
    if skipped > 0 {
        part.insert(0, '…');
    }
    if text.chars().count() > skipped + SHOWN {
        part.push('…');
    }
    if is_text {
        Value::from(part).to_string()
    } else {
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(recorded: &str, asked: &str) -> Vec<String> {
        let request = |body: &str| Request::new("/p", body.as_bytes()).expect("JSON");
        let found = request(recorded).differences(&request(asked));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_place_that_differs_is_told_with_both_values() {
        let recorded = r#"{"a":1,"m":[{"c":"Where is it?"},{"c":"x"}],"t":{"x":null}}"#;
        let asked = r#"{"b":[2],"m":[{"c":"Where was it?"}],"t":{"x":true}}"#;
        assert_eq!(
            differences(recorded, asked),
            [
                "a: recorded 1, not asked",
                r#"m[0].c: recorded "Where is it?", asked "Where was it?""#,
                r#"m[1]: recorded {"c":"x"}, not asked"#,
                "t.x: recorded null, asked true",
                "b: not recorded, asked [2]",
            ]
        );
        assert!(differences(recorded, recorded).is_empty());
    }

    #[test]
    fn of_long_texts_the_surroundings_of_the_first_difference_are_told() {
        let body =
            |word: &str| format!(r#"{{"c":"{}{word}{}"}}"#, "é".repeat(100), "z".repeat(100));
        let told = differences(&body("cat"), &body("cow"));
        let head = "é".repeat(19);
        let tail = "z".repeat(38);
        let expected = format!(r#"c: recorded "…{head}cat{tail}…", asked "…{head}cow{tail}…""#);
        assert_eq!(told, [expected]);
    }

    #[test]
    fn a_text_that_is_nearly_the_same_weighs_less_than_another() {
        let weight = |one: &str, other: &str| common(one, other).1;
        assert!(weight("Where is the cat?", "Where is the car?") < 0.1);
        assert!(weight("Where is the cat?", "Good evening") > 0.8);
        assert!(weight("aa", "aaa") < 0.5);
        assert!((weight("", "b") - 1.0).abs() < f64::EPSILON);
    }
}
