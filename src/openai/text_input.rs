//! Texts, as a tokenizer or a person writes them: the four forms that a `prompt` and an `input`
//! may have.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer},
};
use utoipa::openapi::{
    ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, Schema,
    schema::{SchemaType, Type},
};

use super::Int;

/// Texts, or lists of a tokenizer's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextInput {
    /// Texts; `"…"` alone is one.
    Texts(Vec<String>),
    /// Lists of token ids; `[1, 2]` alone is one.
    Tokens(Vec<Vec<u32>>),
}

impl TextInput {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(lists) => lists.len(),
        }
    }

    /// One of them has nothing in it.
    pub fn has_empty(&self) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(String::is_empty),
            Self::Tokens(lists) => lists.iter().any(Vec::is_empty),
        }
    }
}

const FORMS: &str = "a string, an array of strings, an array of token ids, or an array of such";
type TokenId = Int<0, { u32::MAX as i64 }>;

impl<'de> Deserialize<'de> for TextInput {
    // By hand, because a derived untagged enum cannot say what is wrong inside.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = TextInput;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextInput, E> {
                Ok(TextInput::Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<TextInput, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                gather(items).ok_or_else(|| {
                    de::Error::custom(format!("expected {FORMS}, got a mixture of these"))
                })
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// One item of an array of inputs.
enum Item {
    Text(String),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> de::Visitor<'de> for Forms {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a token id, or an array of token ids")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Item, E> {
                token_id(number.into_deserializer()).map(Item::Token)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Item, E> {
                token_id(number.into_deserializer()).map(Item::Token)
            }
            // JSON has one kind of number: `1.0` is an id.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Item, E> {
                token_id(number.into_deserializer()).map(Item::Token)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Item, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = seq.next_element::<TokenId>()? {
                    ids.push(id.into());
                }
                Ok(Item::Tokens(ids))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

fn token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    TokenId::deserialize(deserializer).map(u32::from)
}

impl From<TokenId> for u32 {
    fn from(id: TokenId) -> Self {
        // In range by its type.
        Self::try_from(id.get()).unwrap_or_default()
    }
}

/// The items as one kind of input; `None` where they are of several.
fn gather(items: Vec<Item>) -> Option<TextInput> {
    let (mut texts, mut ids, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Text(text) => texts.push(text),
            Item::Token(id) => ids.push(id),
            Item::Tokens(list) => lists.push(list),
        }
    }
    match (texts.is_empty(), ids.is_empty(), lists.is_empty()) {
        (_, true, true) => Some(TextInput::Texts(texts)),
        (true, false, true) => Some(TextInput::Tokens(vec![ids])),
        (true, true, false) => Some(TextInput::Tokens(lists)),
        (_, _, _) => None,
    }
}

/// How little a text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    /// Nothing.
    Nothing,
    /// One character, or one token.
    One,
}

/// The four forms, with so many texts at most.
pub(super) fn schema(least: Least, max_items: usize) -> RefOr<Schema> {
    let least = match least {
        Least::Nothing => 0,
        Least::One => 1,
    };
    let text = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .min_length(Some(least))
        .build();
    let id = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Integer))
        .minimum(Some(0))
        .maximum(Some(u32::MAX));
    let ids = ArrayBuilder::new().items(id).min_items(Some(1)).build();
    let array = || {
        let array = ArrayBuilder::new().min_items(Some(1));
        array.max_items(Some(max_items))
    };
    OneOfBuilder::new()
        .item(text.clone())
        .item(array().items(text))
        .item(ids.clone())
        .item(array().items(RefOr::T(Schema::from(ids))))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(json: &str) -> Result<TextInput, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn all_four_forms_are_inputs() {
        let texts = |texts: &[&str]| {
            Ok(TextInput::Texts(
                texts.iter().map(|text| (*text).to_owned()).collect(),
            ))
        };
        let tokens = |lists: &[&[u32]]| {
            Ok(TextInput::Tokens(
                lists.iter().map(|list| list.to_vec()).collect(),
            ))
        };
        assert_eq!(input(r#""a""#), texts(&["a"]));
        assert_eq!(input(r#"["a","b"]"#), texts(&["a", "b"]));
        assert_eq!(input("[1,2.0]"), tokens(&[&[1, 2]]));
        assert_eq!(input("[[1],[2,3]]"), tokens(&[&[1], &[2, 3]]));
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        for (json, says) in [
            ("7", FORMS),
            ("{}", FORMS),
            ("null", FORMS),
            (r#"["a",1]"#, "mixture"),
            (r#"[1,[2]]"#, "mixture"),
            ("[null]", "a token id"),
            ("[-1]", "an integer from 0 to 4294967295"),
            ("[4294967296]", "an integer from 0 to 4294967295"),
            ("[1.5]", "an integer from 0 to 4294967295"),
            ("[[1.5]]", "an integer from 0"),
        ] {
            let error = input(json).expect_err(json);
            assert!(error.contains(says), "{json}: {error}");
        }
    }
}
