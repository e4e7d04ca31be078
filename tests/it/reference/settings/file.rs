//! `config.default.toml` as people read it: sections, settings and what is said of them.

use toml::{Table, Value};

/// A table of settings.
pub(super) struct Section {
    /// Such as `server.tls`; `[]` stands for each entry of a list.
    pub(super) path: String,
    /// What is said of it.
    pub(super) comment: String,
    /// Its lines.
    pub(super) source: String,
    pub(super) settings: Vec<Setting>,
}

/// A setting.
pub(super) struct Setting {
    pub(super) key: String,
    /// Its value as it is written, and read.
    pub(super) text: String,
    pub(super) value: Value,
    /// What is said of it.
    pub(super) comment: String,
    /// `none` or `required` where the value is no default.
    pub(super) mark: String,
    /// It is of an entry that the defaults have none of.
    pub(super) is_commented: bool,
}

impl Section {
    /// As a file has it.
    pub(super) fn title(&self) -> String {
        match self.path.strip_suffix("[]") {
            Some(path) => format!("[[{}]]", path.replace("[]", "")),
            None => format!("[{}]", self.path.replace("[]", "")),
        }
    }

    /// It only gives values to keys that another section explains.
    pub(super) fn is_example(&self) -> bool {
        self.settings
            .iter()
            .all(|setting| setting.comment.is_empty())
    }
}

impl Setting {
    /// What it is, with its unit.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::String(_) if self.is_duration() => "duration",
            Value::String(_) => "text",
            Value::Integer(_) if self.key.ends_with("bytes") => "bytes",
            Value::Integer(_) => "whole number",
            Value::Float(_) => "number",
            Value::Boolean(_) => "true or false",
            Value::Array(_) => "list",
            Value::Table(_) => "table",
            Value::Datetime(_) => "time",
        }
    }

    pub(super) fn is_duration(&self) -> bool {
        let text = self.value.as_str().unwrap_or_default();
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        unit.len() < text.len() && ["ms", "s", "m", "h", "days"].contains(&unit)
    }
}

/// The sections of a file. A key behind a `#` without a space counts as if that were not there.
pub(super) fn read(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut comment = Vec::new();
    for line in text.lines() {
        if line.is_empty() {
            comment.clear();
            continue;
        }
        if let Some(said) = line.strip_prefix("# ") {
            comment.push(said);
            continue;
        }
        let bare = line.trim_start_matches('#');
        let said = std::mem::take(&mut comment).join("\n");
        if bare.starts_with('[') {
            let path = path(&sections, bare);
            sections.push(Section {
                path,
                comment: said,
                source: String::new(),
                settings: Vec::new(),
            });
        } else {
            let section = sections.last().expect("a section before its keys");
            let mut setting = setting(&section.path, bare, said);
            setting.is_commented = bare != line;
            sections.last_mut().expect("it").settings.push(setting);
        }
        let source = &mut sections.last_mut().expect("it").source;
        source.push_str(bare);
        source.push('\n');
    }
    sections
}

/// The path of a header, such as `[[models.upstreams]]`.
fn path(sections: &[Section], header: &str) -> String {
    let name = header.trim_matches(['[', ']']);
    let lists = sections
        .iter()
        .filter(|section| section.path.ends_with("[]"));
    let mut inside = lists.filter_map(|list| {
        let rest = name.strip_prefix(list.path.trim_end_matches("[]"))?;
        rest.starts_with('.')
            .then(|| format!("{}{rest}", list.path))
    });
    let path = inside.next_back().unwrap_or(name.to_owned());
    if header.starts_with("[[") {
        path + "[]"
    } else {
        path
    }
}

fn setting(section: &str, line: &str, comment: String) -> Setting {
    let mark = ["none", "required"]
        .into_iter()
        .find(|mark| line.ends_with(&format!(" # {mark}")));
    let mark = mark.unwrap_or_default();
    let line = line
        .trim_end_matches(mark)
        .trim_end_matches("# ")
        .trim_end();
    let table: Table = line.parse().expect("a key and its value");
    let (name, value) = table.into_iter().next().expect("a key");
    let (_, text) = line.split_once(" = ").expect("a value");
    Setting {
        key: format!("{section}.{name}"),
        text: text.to_owned(),
        value,
        comment,
        mark: mark.to_owned(),
        is_commented: false,
    }
}
