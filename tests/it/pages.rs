//! The pages need nothing but this server.

use std::collections::BTreeSet;

use tokenfall::testing::{TestServer, spawn};

use crate::{
    http::{fetch, request},
    reply::Reply,
};

const PAGES: [&str; 2] = ["/", "/docs"];

fn get(server: &TestServer, path: &str) -> Reply {
    fetch(server.address(), &request("GET", path, &[]))
}

fn start() -> TestServer {
    spawn("").expect("a server")
}

/// What a page or a script asks the browser to load, as paths under `web/`.
fn loaded(text: &str) -> Vec<String> {
    let of_pages = [
        "src=\"web/",
        "<link rel=\"stylesheet\" href=\"web/",
        "<link rel=\"icon\" href=\"web/",
    ];
    let of_scripts = ["from \"./", "from \"../"];
    let attributes = of_pages.iter().chain(&of_scripts);
    let values = attributes.flat_map(|attribute| text.split(attribute).skip(1));
    let names = values.filter_map(|rest| rest.split('"').next());
    names.map(|name| format!("/web/{name}")).collect()
}

#[test]
fn the_pages_load_their_own_files_and_nothing_else() {
    let server = start();
    let mut left: Vec<String> = PAGES.map(str::to_owned).to_vec();
    let mut seen = BTreeSet::new();
    while let Some(path) = left.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let reply = get(&server, &path);
        assert_eq!(reply.head.status, 200, "{path}");
        let text = reply.text();
        for elsewhere in [
            "src=\"http",
            "src=\"//",
            "import(\"",
            "from \"http",
            "@import",
        ] {
            assert!(!text.contains(elsewhere), "{path} has {elsewhere}");
        }
        left.extend(loaded(text));
    }
    for file in ["/web/sse.js", "/web/vendor/purify.js", "/web/theme.css"] {
        assert!(seen.contains(file), "{seen:?}");
    }
}

#[test]
fn the_browser_is_told_to_refuse_everything_else() {
    let server = start();
    for path in PAGES {
        let page = get(&server, path);
        let policy = page.head.header("content-security-policy");
        let policy = policy.expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        let is_open = ["unsafe", "http", "data:", "*"]
            .iter()
            .any(|word| policy.contains(word));
        assert!(!is_open, "{policy}");
        assert_eq!(page.head.header("x-content-type-options"), Some("nosniff"));
        assert!(
            !page.text().contains(" style=") && !page.text().contains(" onclick="),
            "{path}"
        );
    }
}

#[test]
fn the_reference_shows_the_events_of_the_stream() {
    let server = start();
    let page = get(&server, "/docs");
    for shown in ["[DONE]", "finish_reason", "error"] {
        assert!(page.text().contains(shown), "{shown}");
    }
    assert!(get(&server, "/web/docs.js").text().contains("itemSchema"));
}

#[test]
fn what_is_no_file_of_theirs_is_not_found() {
    let server = start();
    for path in [
        "/web/",
        "/web/docs.html",
        "/web/../Cargo.toml",
        "/web/vendor/README.md",
    ] {
        assert_eq!(get(&server, path).head.status, 404, "{path}");
    }
    let posted = fetch(
        server.address(),
        &request("POST", "/web/vendor/purify.js", &[]),
    );
    assert_eq!(posted.head.status, 405);
}
