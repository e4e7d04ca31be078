//! What the binary says when its settings are read again.

use rustix::process::Signal;

use super::{File, binary::Binary, status, wait_for_key};
use crate::gate::wait_until;

fn keys(key: &str, more: &str) -> String {
    format!("auth.keys = [{{ name = 'k', key = '{key}' }}]\n{more}\n")
}

#[test]
fn a_wrong_file_is_refused_whole_and_says_what_and_where() {
    let file = File::new("wrong.toml", &keys("a", ""));
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    let address = binary.address();
    file.write(&keys("b", "limits.streams = 0"));
    let line = binary.logs("what held before holds on");
    assert!(line.contains("ERROR"), "{line}");
    let place = format!("{}:2: limits.streams", file.path());
    assert!(line.contains(&place), "{line}");
    assert!(line.contains("expected at least 1"), "{line}");
    assert_eq!((status(address, "a"), status(address, "b")), (200, 401));
    file.write(&keys("c", "limits.streams = 7"));
    wait_for_key(address, "c");
}

#[test]
fn settings_that_need_a_restart_are_named() {
    let file = File::new("restart.toml", &keys("a", "server.workers = 1"));
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    let more = "server = { workers = 2, host = '127.0.0.2' }\nstream.retry = '3s'";
    file.write(&keys("b", more));
    wait_for_key(binary.address(), "b");
    let line = binary.logs("need a restart");
    assert!(
        line.contains("server.host, server.workers, stream.retry"),
        "{line}"
    );
}

#[test]
fn from_the_mock_to_upstreams_takes_a_restart() {
    let file = File::new("from-mock.toml", &keys("a", ""));
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    let models = "models = [{ name = '*', upstreams = [{ base_url = 'http://127.0.0.1:9/v1' }] }]";
    file.write(&keys("b", models));
    let line = binary.logs("what held before holds on");
    assert!(line.contains("takes a restart"), "{line}");
    assert_eq!(status(binary.address(), "a"), 200);
}

#[test]
fn a_server_that_is_open_to_others_keeps_its_keys() {
    let exposed = |keys: &str| {
        format!(
            "{keys}\nserver.host = '0.0.0.0'\n[[models]]\nname = '*'\n\
             upstreams = [{{ base_url = 'http://127.0.0.1:9/v1', headers = {{ api-key = 'x' }} }}]\n"
        )
    };
    let file = File::new("exposed.toml", &exposed(&keys("a", "")));
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    // Alone it would be fine; the host of the server that runs is another.
    let alone = exposed("").replace("0.0.0.0", "127.0.0.1");
    file.write(&alone);
    let line = binary.logs("what held before holds on");
    assert!(line.contains("everyone who reaches this address"), "{line}");
}

#[test]
fn a_hangup_has_the_files_read_again() {
    let file = File::new("hangup.toml", &keys("a", ""));
    let binary = Binary::start(&["--port", "0", "--config", file.path()]);
    binary.started.signal(Signal::HUP);
    binary.logs("the configuration was read again");
    assert_eq!(status(binary.address(), "a"), 200);
}

#[test]
fn without_a_file_a_hangup_ends_it() {
    let mut binary = Binary::start(&["--port", "0"]);
    binary.started.signal(Signal::HUP);
    wait_until("its end", || {
        binary.started.child.try_wait().expect("a child").is_some()
    });
}
