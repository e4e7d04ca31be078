//! `docs/configuration.md`: `config.default.toml`, with what else can be found out about each setting.

mod file;
mod probe;

use std::fmt::Write;

use clap::CommandFactory;
use tokenfall::{
    cli::{self, Cli},
    config::DEFAULTS,
};

use self::{
    file::{Section, Setting},
    probe::{accepted, allowed, is_default},
};
use super::hold;

const INTRODUCTION: &str = "\
# Configuration

Defaults, then a file (`--config tokenfall.toml`), then the environment, then flags: the later the stronger. `tokenfall check --config
tokenfall.toml` says what is wrong, with file and line; `tokenfall config` prints all of this page as a file.

- A **duration** is text such as `\"250ms\"`, `\"5s\"`, `\"1m 30s\"`. **Bytes** are whole numbers; `16_777_216` may be written so.
- A **variable** has the key in capitals, with two underscores for each dot. A list is written as in TOML:
  `TOKENFALL__CORS__ORIGINS='[\"https://chat.example.org\"]'`; so are entries of lists, all of them at once:
  `TOKENFALL__MODELS='[{ name = \"*\", mock = true }]'`.
- **Live** settings are replaced while the server runs, when the file changes or at SIGHUP.

This page is made of [`src/config.default.toml`](../src/config.default.toml).
";

#[test]
fn the_page_of_settings_is_what_the_code_says() {
    let sections = file::read(DEFAULTS);
    let flags = flags();
    let mut page = format!("{INTRODUCTION}\n");
    for section in &sections {
        let anchor: String = section
            .title()
            .chars()
            .filter(|c| is_in_anchor(*c))
            .collect();
        let _ = writeln!(
            page,
            "- [`{}`](#{})",
            section.title(),
            anchor.to_lowercase()
        );
    }
    for section in &sections {
        write_section(&mut page, section, &flags);
    }
    for (_, key) in &flags {
        let is_known = page.contains(&format!("### `{key}`")) || *key == "models";
        assert!(is_known, "the key of a flag, {key}, is nowhere");
    }
    hold("docs/configuration.md", &page);
}

#[test]
fn every_key_that_is_accepted_has_its_place_on_the_page() {
    let sections = file::read(DEFAULTS);
    let known: Vec<String> = sections
        .iter()
        .flat_map(|section| {
            let keys = section.settings.iter().map(|setting| setting.key.clone());
            keys.chain([section.path.clone()])
        })
        .map(|key| key.replace("[]", ""))
        .collect();
    let tables = sections.iter().filter(|section| !section.is_example());
    let tables = tables.map(|section| section.path.clone());
    // What is told as a single key may hold no keys of ours.
    let keys = sections.iter().flat_map(|section| &section.settings);
    let keys = keys.map(|setting| setting.key.clone());
    let mut looked_at = 0;
    for table in tables.chain(keys).chain([String::new()]) {
        for key in accepted(&table.replace("[]", "")) {
            looked_at += 1;
            let is_known = known.iter().any(|known| {
                let rest = known.strip_prefix(&key);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            });
            assert!(is_known, "config.default.toml says nothing of {key}");
        }
    }
    assert!(looked_at > 120, "{looked_at}");
}

#[test]
fn the_defaults_of_entries_are_true() {
    for section in file::read(DEFAULTS) {
        for setting in section.settings {
            let is_told = setting.is_commented && setting.mark.is_empty();
            assert!(!is_told || is_default(&setting), "{}", setting.key);
        }
    }
}

/// Each flag and the key that it sets.
fn flags() -> Vec<(&'static str, &'static str)> {
    let command = Cli::command();
    let mut found = Vec::new();
    for argument in command.get_arguments() {
        let name = argument.get_long().map(|long| format!("--{long}"));
        let Some(name) = name.filter(|_| argument.get_id() != "config") else {
            continue;
        };
        let mut line = vec![&name[..]];
        line.extend(argument.get_action().takes_values().then_some("1"));
        let with = match &name[..] {
            "--upstream-key-env" => &["--upstream", "http://127.0.0.1:1"][..],
            "--on-miss" => &["--cassettes", "cassettes"],
            _ => &[],
        };
        line.extend(with);
        let settings = cli::settings(&line).expect("a command line");
        found.extend(settings.iter().map(|flag| (flag.name, flag.key)));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn is_in_anchor(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn write_section(page: &mut String, section: &Section, flags: &[(&str, &str)]) {
    let _ = write!(page, "\n## `{}`\n", section.title());
    if !section.comment.is_empty() {
        let _ = write!(page, "\n{}\n", markdown(&section.comment));
    }
    if section.is_example() {
        let _ = write!(page, "\n```toml\n{}\n```\n", section.source.trim());
        return;
    }
    for setting in &section.settings {
        write_setting(page, setting, flags);
    }
}

fn write_setting(page: &mut String, setting: &Setting, flags: &[(&str, &str)]) {
    let key = &setting.key;
    assert!(!setting.comment.is_empty(), "{key} is not explained");
    let (comment, is_live) = match setting.comment.strip_suffix(" [live]") {
        Some(comment) => (comment, true),
        None => (&setting.comment[..], false),
    };
    let _ = write!(page, "\n### `{key}`\n\n{}\n\n", markdown(comment));
    let mut facts = vec![setting.kind().to_owned()];
    let text = &setting.text;
    facts.push(match &setting.mark[..] {
        "none" => format!("no default; such as `{text}`"),
        "required" => format!("required; such as `{text}`"),
        _ => format!("default `{text}`"),
    });
    facts.extend(allowed(setting));
    let of_flag = flags.iter().filter(|(_, set)| set == key);
    let name = key.to_uppercase().replace('.', "__");
    if !key.contains("[]") {
        facts.push(format!("`TOKENFALL__{name}`"));
    }
    facts.extend(of_flag.map(|(flag, _)| format!("`{flag}`")));
    facts.extend(is_live.then(|| "live".to_owned()));
    let _ = writeln!(page, "{}", facts.join(" · "));
}

/// A comment as Markdown: what would mean something there means itself, but for code.
fn markdown(comment: &str) -> String {
    let parts = comment.split('`').enumerate().map(|(index, part)| {
        let is_code = index % 2 == 1;
        if is_code {
            return part.to_owned();
        }
        part.replace('*', "\\*").replace('<', "\\<")
    });
    parts.collect::<Vec<_>>().join("`")
}
