//! The pages of `docs/` that are made of the code. `UPDATE_DOCS=1 cargo test reference` writes them anew.

mod errors;
mod settings;

use std::{fs, path::Path};

/// Holds a page to what the code says.
fn hold(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).expect("written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = committed.lines().zip(page.lines()).zip(1..);
    let differs = lines.find(|((committed, made), _)| committed != made);
    assert!(
        committed == page,
        "{name} is not what the code says: {differs:?}; UPDATE_DOCS=1 cargo test reference"
    );
}

#[test]
fn every_metric_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = fs::read_to_string(root.join("src/metrics.rs")).expect("a source");
    let page = fs::read_to_string(root.join("docs/operations.md")).expect("a page");
    let mut found = 0;
    // `.register("tokens", …)`, and `.register_with_unit("log", …)`.
    for call in source.split(".register").skip(1) {
        let name = call.split('"').nth(1).unwrap_or_default();
        if call.starts_with("(\"") || call.starts_with("_with_unit(\"") {
            found += 1;
            assert!(
                page.contains(&format!("`{name}")),
                "{name} is not in docs/operations.md"
            );
        }
    }
    assert!(found >= 18, "{found}");
}
