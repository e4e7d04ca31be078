//! How many threads serve.

use std::thread;

use super::{File, binary::Binary};

/// Starts with these settings, and waits until the server has said how many workers it starts.
fn starts(settings: &str, arguments: &[&str], workers: usize) {
    let name = format!("workers-{workers}-{}.toml", arguments.len());
    let file = File::new(&name, &format!("server.log = 'info'\n{settings}"));
    let serve = ["serve", "--port", "0", "--config", file.path()];
    let binary = Binary::start(&[&serve, arguments].concat());
    let said = binary.logs("workers\"");
    let expected = format!("\"starting {workers} workers\"");
    assert!(said.contains(&expected), "{expected} is not in {said}");
}

#[test]
fn a_proxy_has_one_for_each_processor_and_the_mock_half_as_many() {
    let processors = thread::available_parallelism().expect("a number").get();
    let upstream = ["--upstream", "http://127.0.0.1:9/v1"];
    starts("", &upstream, processors);
    starts("", &["--instant"], processors.div_ceil(2));
    starts("server.workers = 5", &["--instant"], 5);
    starts("server.workers = 5", &upstream, 5);
}
