//! Readers that attach while a stream is written as fast as it can be.

use std::{net::SocketAddr, thread};

use super::{events, nodes::Nodes, open, path};
use crate::{
    chunks::{DONE, STREAM, finish, text},
    proxy::before,
    upstream::Script,
};

fn rush() -> Script {
    let words = (0..1000).map(|n| text(&format!("{n} 🌊")));
    let script = words.fold(Script::stream(), |script, word| script.event(&word));
    script.event(&finish()).done()
}

/// Reads a stream in as many connections as it has to: each reads what is there, is cut, and the
/// next attaches behind that. What was read, and how often it attached before the end was there.
fn read_in_pieces(address: SocketAddr, id: &str) -> (String, usize) {
    let (mut read, mut attached) = (String::new(), 0);
    loop {
        let rest = format!("?stream=true&starting_after={}", events(&read).len());
        let mut connection = open(address, &path(id, &rest), &[]);
        assert_eq!(connection.head().status, 200);
        let piece = connection.chunk().expect("no end without [DONE]");
        let piece = String::from_utf8(piece).expect("whole characters");
        // A heartbeat, where nothing new is there.
        read.push_str(piece.strip_prefix(":\n\n").unwrap_or(&piece));
        if read.ends_with(DONE) {
            return (read, attached);
        }
        attached += 1;
    }
}

/// Until readers have attached so often while the stream they read was growing.
fn attach(nodes: &Nodes, times: usize) {
    let mut attached = 0;
    for _ in 0..times {
        if attached >= times {
            return;
        }
        let mut made = nodes.maker.open(STREAM);
        let head = made.head();
        let id = head.header("x-completion-id").expect("an id").to_owned();
        let addresses = nodes.addresses().into_iter().cycle().take(4);
        let readers: Vec<_> = addresses
            .map(|address| {
                let id = id.clone();
                thread::spawn(move || read_in_pieces(address, &id))
            })
            .collect();
        let whole = made.rest(head, "");
        for reader in readers {
            let (read, times) = reader.join().expect("no panic");
            assert_eq!(read, whole.text());
            attached += times;
        }
    }
    panic!("only {attached} came before the end");
}

#[test]
fn thousands_attach_at_full_speed_and_miss_and_repeat_nothing() {
    attach(&Nodes::one(before(rush())), 3000);
}

#[test]
fn thousands_attach_here_and_elsewhere_at_full_speed_and_miss_and_repeat_nothing() {
    attach(&Nodes::two(before(rush())), 3000);
}
