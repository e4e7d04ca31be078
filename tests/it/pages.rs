//! The documentation page needs nothing but this server.

use tokenfall::testing::spawn;

use crate::{
    http::{fetch, request},
    reply::Reply,
};

fn get(path: &str) -> Reply {
    let server = spawn("").expect("a server");
    fetch(server.address(), &request("GET", path, &[]))
}

/// What a page asks the browser to load.
fn loaded(page: &str) -> Vec<&str> {
    let attributes = ["src=\"", "<link rel=\"stylesheet\" href=\""];
    let values = attributes
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1));
    values.filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_page_loads_its_own_files_and_nothing_else() {
    let page = get("/docs");
    let loaded = loaded(page.text());
    assert!(loaded.len() >= 2, "a script and a style: {loaded:?}");
    for file in loaded {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let reply = get(&format!("/{}", file.trim_start_matches(['.', '/'])));
        assert_eq!(reply.head.status, 200, "{file}");
        assert!(!reply.text().contains("import(\"http"), "{file}");
    }
}

#[test]
fn the_browser_is_told_to_refuse_everything_else() {
    let page = get("/docs");
    let policy = page
        .head
        .header("content-security-policy")
        .expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
}

#[test]
fn the_page_shows_the_events_of_the_stream() {
    let page = get("/docs");
    for shown in ["[DONE]", "finish_reason", "error"] {
        assert!(page.text().contains(shown), "{shown}");
    }
    assert!(get("/docs.js").text().contains("itemSchema"));
}

#[test]
fn the_front_door_leads_to_it() {
    let home = get("/");
    assert_eq!(home.head.status, 302);
    assert_eq!(home.head.header("location"), Some("/docs"));
}
