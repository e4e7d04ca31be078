//! A schema and its keywords, each read as what it has to be.

use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::{Cause, Unsatisfiable};

/// A schema, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Located<'a> {
    pub(super) schema: &'a Value,
    /// A JSON Pointer.
    pub(super) at: Rc<str>,
}

/// A schema that is an object, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Part<'a> {
    pub(super) map: &'a Map<String, Value>,
    /// A JSON Pointer.
    pub(super) at: Rc<str>,
}

impl<'a> Located<'a> {
    /// The whole schema.
    pub(super) fn root(schema: &'a Value) -> Self {
        let at = "".into();
        Self { schema, at }
    }

    /// What tells this schema from any other of the document.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self.schema).addr()
    }

    /// An error that points here.
    pub(super) fn error(&self, cause: Cause) -> Unsatisfiable {
        Unsatisfiable::new(&self.at, cause)
    }

    /// Its keywords, unless it is `true` or `false`.
    pub(super) fn part(&self) -> Result<Option<Part<'a>>, Unsatisfiable> {
        match self.schema {
            Value::Bool(_) => Ok(None),
            Value::Object(map) => Ok(Some(Part {
                map,
                at: self.at.clone(),
            })),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let why = "a schema is an object or a boolean".to_owned();
                Err(self.error(Cause::Malformed(why)))
            }
        }
    }
}

impl<'a> Part<'a> {
    /// A keyword as it stands.
    pub(super) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.map.get(keyword)
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.map.contains_key(keyword)
    }

    /// A keyword's schema.
    pub(super) fn schema(&self, keyword: &str) -> Option<Located<'a>> {
        let schema = self.get(keyword)?;
        Some(self.below(&[keyword], schema))
    }

    /// A keyword's list of schemas; none where it is missing.
    pub(super) fn schemas(&self, keyword: &str) -> Result<Vec<Located<'a>>, Unsatisfiable> {
        let list = match self.get(keyword) {
            None => return Ok(Vec::new()),
            Some(value) => value.as_array(),
        };
        let list = list.ok_or_else(|| self.malformed(keyword, "a list of schemas"))?;
        let list = list.iter().enumerate();
        let located =
            list.map(|(index, schema)| self.below(&[keyword, &index.to_string()], schema));
        Ok(located.collect())
    }

    /// One of a keyword's named schemas.
    pub(super) fn member(&self, keyword: &str, name: &str) -> Option<Located<'a>> {
        let schema = self.get(keyword)?.get(name)?;
        Some(self.below(&[keyword, name], schema))
    }

    /// A keyword's object, as its names and values.
    pub(super) fn members(
        &self,
        keyword: &str,
    ) -> Result<impl Iterator<Item = (&'a str, &'a Value)> + use<'a>, Unsatisfiable> {
        let map = match self.get(keyword) {
            None => None,
            Some(value) => match value.as_object() {
                Some(map) => Some(map),
                None => return Err(self.malformed(keyword, "an object")),
            },
        };
        let members = map.into_iter().flatten();
        Ok(members.map(|(name, schema)| (&name[..], schema)))
    }

    /// A keyword's count.
    pub(super) fn count(&self, keyword: &str) -> Result<Option<usize>, Unsatisfiable> {
        let Some(number) = self.number(keyword)? else {
            return Ok(None);
        };
        // 2.0 is a count too, and one beyond what fits is beyond every limit.
        let float = number.as_f64().unwrap_or(-1.0);
        if float < 0.0 || float.fract() != 0.0 {
            return Err(self.malformed(keyword, "a count"));
        }
        let whole = number.as_u64().unwrap_or(float as u64);
        Ok(Some(usize::try_from(whole).unwrap_or(usize::MAX)))
    }

    /// A keyword's number.
    pub(super) fn number(&self, keyword: &str) -> Result<Option<&'a Number>, Unsatisfiable> {
        match self.get(keyword) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(self.malformed(keyword, "a number")),
        }
    }

    /// A keyword's text.
    pub(super) fn text(&self, keyword: &str) -> Result<Option<&'a str>, Unsatisfiable> {
        match self.get(keyword) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.malformed(keyword, "a string")),
        }
    }

    /// A keyword's list of names; none where it is missing.
    pub(super) fn names(&self, keyword: &str) -> Result<Vec<&'a str>, Unsatisfiable> {
        let Some(value) = self.get(keyword) else {
            return Ok(Vec::new());
        };
        texts(value).ok_or_else(|| self.malformed(keyword, "a list of strings"))
    }

    /// A keyword that is `true`.
    pub(super) fn is_set(&self, keyword: &str) -> bool {
        self.get(keyword) == Some(&Value::Bool(true))
    }

    /// An error that points at a keyword.
    pub(super) fn error(&self, keyword: &str, cause: Cause) -> Unsatisfiable {
        Unsatisfiable::new(&join(&self.at, &[keyword]), cause)
    }

    fn malformed(&self, keyword: &str, what: &str) -> Unsatisfiable {
        let why = format!("{keyword:?} has to be {what}");
        self.error(keyword, Cause::Malformed(why))
    }

    fn below(&self, keys: &[&str], schema: &'a Value) -> Located<'a> {
        let at = join(&self.at, keys).into();
        Located { schema, at }
    }
}

/// The texts of a list of nothing else.
pub(super) fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

/// A JSON Pointer and further keys (RFC 6901).
fn join(at: &str, keys: &[&str]) -> String {
    let mut pointer = at.to_owned();
    for key in keys {
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}
