//! A Redis that did not answer for long, and does again.

use std::{io::Write, net::TcpStream, time::Duration};

use tokio::time::sleep;

use super::nodes_tests::{Two, create, event, found, read_to, rest, settings};
use crate::stream::{Cursor, End, StoreSettings};

#[tokio::test]
async fn a_writer_is_heard_again_before_anyone_can_take_its_log_over() {
    let two = Two::start().await;
    let impatient = StoreSettings {
        lease: Duration::from_millis(400),
        ..two.redis.settings()
    };
    let writer = two.redis.node_with(&impatient, &settings()).await;
    let mut producer = create(&writer).await;
    producer.append(event("a;")).expect("within the limits");
    let mut reader = found(&two.b).await.reader(Cursor::START).expect("start");
    assert_eq!(read_to(&mut reader, 1).await, "a;");
    // So long that between two attempts to connect more than a lease would go by.
    let pause = Duration::from_millis(2900);
    let address = impatient.url.trim_start_matches("redis://").to_owned();
    let mut redis = TcpStream::connect(address).expect("a connection");
    let command = format!("CLIENT PAUSE {} ALL\r\n", pause.as_millis());
    redis.write_all(command.as_bytes()).expect("sent");
    sleep(pause).await;
    // It is there at once, and knows of no failure.
    let new = two.redis.node_with(&impatient, &settings()).await;
    let mut there = found(&new).await.reader(Cursor::START).expect("start");
    sleep(impatient.lease * 3).await;
    producer.finish([event("b;")], End::Completed);
    assert_eq!(rest(&mut there).await, "a;b;");
}
