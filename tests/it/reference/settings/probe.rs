//! What the settings themselves say of what they take, asked with values that they refuse.

use tokenfall::config::{Config, ConfigError};
use toml::{Table, Value};

use super::file::Setting;

/// A key that no table has.
const UNKNOWN: &str = "no_such_key";

/// The least that is valid, with an entry in each list.
const BASE: &str = "
auth.keys = [{ name = 'ci', key = 'k' }]
models = [{ name = 'm', upstreams = [{ base_url = 'http://127.0.0.1:1/v1' }] }]
mock.profiles.NAME = {}
";

/// The keys that the table of this path takes; none where it is no table of ours.
pub(super) fn accepted(table: &str) -> Vec<String> {
    let key = |name: &str| match table {
        "" => name.to_owned(),
        _ => format!("{table}.{name}"),
    };
    let Err(error) = with(&key(UNKNOWN), 1.into()) else {
        return Vec::new();
    };
    let Some((_, expected)) = error
        .reason
        .split_once(&format!("unknown field `{UNKNOWN}`, "))
    else {
        return Vec::new();
    };
    expected.split('`').skip(1).step_by(2).map(key).collect()
}

/// What else is allowed, in the words of those who refuse.
pub(super) fn allowed(setting: &Setting) -> Vec<String> {
    let (low, high): (Vec<Value>, Value) = match &setting.value {
        Value::Integer(_) => (vec![0.into()], i64::MAX.into()),
        Value::Float(_) => (vec![(-1.0).into()], 1e9.into()),
        Value::String(_) if setting.is_duration() => {
            (vec!["20ms".into(), "0s".into()], "1000days".into())
        }
        Value::String(_) => (vec![], "no such text".into()),
        Value::Array(_) => (vec![], Value::Array(vec!["no such text".into()])),
        Value::Boolean(_) | Value::Table(_) | Value::Datetime(_) => return Vec::new(),
    };
    let refused = |value| refusal(&setting.key, value);
    let low = low.into_iter().find_map(refused);
    let mut all: Vec<String> = low.into_iter().chain(refused(high)).collect();
    all.dedup();
    all
}

/// Nothing changes where it is said.
pub(super) fn is_default(setting: &Setting) -> bool {
    let base = Config::from_toml(BASE).expect("valid");
    let said = with(&setting.key, setting.value.clone()).expect("valid");
    let text = |config: Config| format!("{:?} {:?}", config.models, config.mock.profiles);
    let is_admin = |config: &Config| config.auth.keys[0].admin;
    is_admin(&base) == is_admin(&said) && text(base) == text(said)
}

/// Why a setting cannot have this value, if it is for what it is.
fn refusal(key: &str, value: Value) -> Option<String> {
    let error = with(key, value).err()?;
    if !error.key.replace("[0]", "[]").starts_with(key) || error.reason.starts_with("invalid ") {
        return None;
    }
    let (_, expected) = error.reason.rsplit_once("expected ")?;
    // What was refused is nobody's concern here.
    let end = [" (got ", ", got ", ": not "]
        .iter()
        .filter_map(|mark| expected.find(mark))
        .min();
    Some(expected[..end.unwrap_or(expected.len())].to_owned())
}

fn with(key: &str, value: Value) -> Result<Config, ConfigError> {
    let mut table: Table = BASE.parse().expect("valid");
    put(&mut table, &key.split('.').collect::<Vec<_>>(), value);
    Config::from_toml(&table.to_string())
}

fn put(table: &mut Table, path: &[&str], value: Value) {
    let (first, rest) = path.split_first().expect("a key");
    let name = first.trim_end_matches("[]");
    if rest.is_empty() {
        table.insert(name.to_owned(), value);
        return;
    }
    let entry = table.entry(name).or_insert_with(|| Table::new().into());
    if let Value::Array(items) = entry {
        put(items[0].as_table_mut().expect("an entry"), rest, value);
    } else if let Value::Table(inner) = entry {
        put(inner, rest, value);
    } else {
        *entry = Table::from_iter([(rest[0].to_owned(), value)]).into();
    }
}
