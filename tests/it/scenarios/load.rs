//! Reading scenarios: all or none, with the place of what is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokenfall::backend::mock::scenario::load;

use super::{ask, chat, serve, text};

/// A folder of one's own, gone with this.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tokenfall-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder that can be written");
        Self(path)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file that can be written");
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn name(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A scenario that cannot be, and what its error says.
const WRONG: [(&str, &[&str]); 17] = [
    (
        "match: [gpt-4]\nreply: {text: x}",
        &["a.yaml:1: match", "an object"],
    ),
    ("reply: {text: x", &["a.yaml:1"]),
    (
        "reply:\n  text: x\ncolour: red",
        &["a.yaml:3", "colour", "priority"],
    ),
    (
        "match: {}\nreply:\n  txt: x",
        &["a.yaml:3: reply", "txt", "blocks"],
    ),
    (
        "reply:\n  text: x\n  raw: []",
        &["a.yaml:2: reply", "exactly one of"],
    ),
    (
        "reply:\n  blocks:\n    - text: x\n      refusal: y",
        &["reply.blocks[0]", "exactly one of"],
    ),
    (
        "reply:\n  blocks:\n    - tool_calls: []",
        &["reply.blocks[0]", "at least one call"],
    ),
    (
        "match:\n  last_user: {regex: '('}\nreply: {text: x}",
        &["a.yaml:2: match.last_user", "unclosed group"],
    ),
    (
        "match:\n  jmespath: 'a ='\nreply: {text: x}",
        &["a.yaml:2: match.jmespath", "JMESPath"],
    ),
    (
        "match:\n  turn: x\nreply: {text: x}",
        &["a.yaml:2: match.turn"],
    ),
    (
        "reply:\n  text: |\n    a\n    {{ b",
        &["reply", "template", "line 2 of the text"],
    ),
    (
        "reply: {text: x}\nfault: explode",
        &["a.yaml:2: fault", "unknown fault `explode`"],
    ),
    (
        "reply: {text: x}\nwire: bytes=0",
        &["a.yaml:2: wire", "`bytes=0`"],
    ),
    (
        "reply: {text: x}\nspeed: 0",
        &["a.yaml:2: speed", "from 0.001"],
    ),
    (
        "reply: {error: {status: 200}}",
        &["status", "from 400 to 599"],
    ),
    ("description: nothing", &["a.yaml:1", "reply: missing"]),
    (
        "reply: {text: x}\nsequence: [{text: y}]",
        &["sequence", "either this or `reply`"],
    ),
];

#[test]
fn an_error_names_file_line_field_and_what_is_allowed() {
    for (source, expected) in WRONG {
        let folder = Folder::new("errors");
        folder.write("a.yaml", source);
        let error = load(folder.path()).expect_err(source).to_string();
        for part in expected {
            assert!(error.contains(part), "{source}\n{error} lacks {part}");
        }
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn json_is_read_as_yaml_is() {
    let folder = Folder::new("json");
    folder.write(
        "deep/er/a.json",
        r#"{"reply": {"text": "x"}, "priority": 1}"#,
    );
    folder.write("b.yml", "reply: {text: y}");
    folder.write(".c.yaml", "an editor's");
    folder.write("readme.txt", "for people");
    let set = load(folder.path()).expect("valid scenarios");
    let names: Vec<_> = set.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["b", "deep/er/a"]);
}

#[test]
fn two_of_one_priority_of_which_one_covers_the_other_are_an_error() {
    let folder = Folder::new("covers");
    folder.write("all.yaml", "reply: {text: x}");
    folder.write("some.yaml", "match: {last_user: hi}\nreply: {text: y}");
    let error = load(folder.path()).expect_err("both match").to_string();
    assert!(
        error.contains("some: priority: ") && error.contains("`all`"),
        "{error}"
    );
    folder.write(
        "some.yaml",
        "match: {last_user: hi}\npriority: 1\nreply: {text: y}",
    );
    assert!(load(folder.path()).is_ok());
}

#[test]
fn a_changed_folder_is_read_again_and_a_bad_one_changes_nothing() {
    let folder = Folder::new("reload");
    folder.write("a.yaml", "reply: {text: before}");
    let server = serve(&folder.name(), "");
    let said = || text(&ask(server.address(), &chat("x"), &[]));
    let comes = |expected: &str| {
        let start = Instant::now();
        while said() != expected {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "never {expected}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(said(), "before");
    folder.write("a.yaml", "reply: {text: after and longer}");
    comes("after and longer");
    folder.write("b.yaml", "reply: {");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(said(), "after and longer");
    folder.write("b.yaml", "priority: 1\nreply: {text: both}");
    comes("both");
}
