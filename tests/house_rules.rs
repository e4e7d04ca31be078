//! The rules of ARCHITECTURE.md that the compiler cannot hold: who may import whom, where
//! the big libraries may appear, and how large files may grow.

#![expect(clippy::expect_used, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module, and what of ours it may import.
const MAY_IMPORT: [(&str, &[&str]); 21] = [
    ("cause", &[]),
    ("http1", &[]),
    ("openai", &[]),
    ("sse", &[]),
    ("tokens", &[]),
    ("wire", &[]),
    ("telemetry", &[]),
    ("metrics", &[]),
    ("stream", &["sse"]),
    ("access", &["metrics"]),
    ("spans", &["metrics"]),
    (
        "backend",
        &[
            "cause", "http1", "openai", "sse", "tokens", "wire", "metrics",
        ],
    ),
    (
        "completion",
        &[
            "openai", "sse", "tokens", "wire", "metrics", "spans", "stream", "access", "backend",
        ],
    ),
    (
        "api",
        &[
            "openai",
            "sse",
            "wire",
            "metrics",
            "stream",
            "access",
            "completion",
        ],
    ),
    ("client", &["cause", "http1", "openai", "sse"]),
    (
        "config",
        &[
            "access",
            "api",
            "backend",
            "completion",
            "server",
            "spans",
            "stream",
            "telemetry",
        ],
    ),
    (
        "server",
        &[
            "openai",
            "sse",
            "tokens",
            "telemetry",
            "metrics",
            "spans",
            "stream",
            "access",
            "backend",
            "completion",
            "api",
            "config",
        ],
    ),
    ("testing", &["config", "server", "tokens"]),
    (
        "cli",
        &[
            "access",
            "api",
            "backend",
            "client",
            "completion",
            "config",
            "openai",
            "server",
            "sse",
            "stream",
            "telemetry",
            "tokens",
        ],
    ),
    ("main", &[]),
    ("lib", &[]),
];

/// A file, and what it alone of its module may import: tests steer the mock through it.
const EXCEPTED: [(&str, &str); 1] = [("api/mock_admin.rs", "backend")];

/// Library, and the paths under `src/` that may name it.
const MAY_NAME: [(&str, &[&str]); 16] = [
    ("prometheus_client", &["metrics.rs"]),
    ("actix_web", &["api/", "server"]),
    ("reqwest", &["backend/upstream", "client/", "spans/"]),
    (
        "rustls",
        &["backend/upstream", "client/", "spans/", "server/tls.rs"],
    ),
    ("actix_http", &["server/http.rs"]),
    ("actix_server", &["server/http.rs"]),
    ("actix_service", &["server/http.rs"]),
    ("actix_tls", &["server/http.rs"]),
    ("hyper", &["backend/upstream"]),
    ("hyper_util", &["backend/upstream"]),
    ("tower", &["backend/upstream"]),
    // The store names its own module of that name.
    (
        "redis",
        &[
            "stream/redis/",
            "stream/mod.rs",
            "stream/contract_tests.rs",
            "access/limits/",
        ],
    ),
    ("tiktoken_rs", &["tokens.rs"]),
    ("regex_syntax", &["backend/mock/generate/"]),
    ("fancy_regex", &["backend/mock/generate/"]),
    ("anyhow", &["main.rs", "cli/"]),
];

/// Names that say nothing about what a file holds.
const NAMELESS: [&str; 5] = ["utils", "common", "helpers", "types", "misc"];

/// A source file: its path under `src/` and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The top-level module it belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.trim_end_matches(".rs")
    }

    fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// The code without its comments.
    fn code(&self) -> String {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        self.text
            .lines()
            .filter(is_code)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).expect("below src");
                files.push(Source {
                    path: name.display().to_string(),
                    text: fs::read_to_string(&path).expect("a text"),
                });
            }
        }
    }
    assert!(files.len() > 30, "src/ was found");
    files
}

/// The modules of ours that a text names after `crate::`, groups included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(head(rest)),
        }
    }
    found
}

/// The first name of each item of a `{…}` group, nested groups skipped.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut is_start = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if is_start && !c.is_whitespace() => {
                heads.extend(head(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

#[test]
fn modules_import_only_what_they_may_know() {
    let mut wrong = Vec::new();
    for source in sources() {
        let module = source.module();
        let rule = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let (_, allowed) = rule.expect("every module has a row in MAY_IMPORT");
        for import in imports(&source.code()) {
            let is_excepted = EXCEPTED.contains(&(&source.path[..], &import[..]));
            if import != module && !allowed.contains(&&import[..]) && !is_excepted {
                wrong.push(format!("{} imports {import}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::a::B; use crate::{c, d::{E, f::G}, h}; fn x() { crate::i::j() }";
    let found: Vec<_> = imports(code).into_iter().collect();
    assert_eq!(found, ["a", "c", "d", "h", "i"]);
}

#[test]
fn libraries_appear_only_where_they_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, places) in MAY_NAME {
            let is_named = source.code().contains(&format!("{library}::"));
            let may_name = places.iter().any(|place| source.path.starts_with(place));
            if is_named && !may_name {
                wrong.push(format!("{} names {library}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn half_of_the_files_are_short_and_nearly_all_are_not_long() {
    let sources = sources();
    let share_under = |lines: usize| {
        let under = sources.iter().filter(|source| source.lines() < lines);
        under.count() * 100 / sources.len()
    };
    assert!(
        share_under(150) >= 50,
        "{} % under 150 lines",
        share_under(150)
    );
    assert!(
        share_under(400) >= 90,
        "{} % under 400 lines",
        share_under(400)
    );
}

#[test]
fn files_say_what_they_are() {
    for source in sources() {
        assert!(
            source.text.starts_with("//!"),
            "{} has no module doc",
            source.path
        );
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let is_nameless = NAMELESS.contains(&name.trim_end_matches(".rs"));
        assert!(!is_nameless, "{}: name the thing", source.path);
    }
}

#[test]
fn files_of_the_pages_are_not_long_and_say_what_they_are() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    for entry in fs::read_dir(web).expect("a folder") {
        let path = entry.expect("an entry").path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue; // the folder of what others wrote
        };
        let name = path.display();
        assert!(text.lines().count() < 400, "{name} is long");
        let is_said = match path.extension().and_then(|end| end.to_str()) {
            Some("js") => text.starts_with("// "),
            Some("css") => text.starts_with("/* "),
            Some(_) | None => true,
        };
        assert!(is_said, "{name} does not say what it is");
    }
}
