//! A wire plan that is taken can be played to its end, and says the same once it is written again.
//! The first line is the faults, the second the framing, the others are events.
#![no_main]

#[path = "../../src/wire/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is tried here")]
mod wire;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use wire::{ENDLESS, Fault, FaultKind, Move, Plan, Player};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let faults = Fault::list(lines.next().unwrap_or_default()).unwrap_or_default();
    let framing = lines.next().unwrap_or_default().parse().unwrap_or_default();
    for fault in &faults {
        assert!((0.0..=1.0).contains(&fault.probability));
        assert!(fault.lasts.is_none_or(|time| time <= ENDLESS));
    }
    // Such an event has megabytes: there is time for a few.
    let large = |fault: &&Fault| fault.kind == FaultKind::Oversized;
    if faults.iter().filter(large).count() > 1 {
        return;
    }
    let plan = Plan {
        faults,
        framing,
        seed: text.len() as u64,
        ..Plan::default()
    };
    let mut player = Player::new(Arc::new(plan), true);
    for line in lines {
        let frame = format!("data: {line}\n\n");
        player.event(frame.into(), line == "[DONE]");
        player.idle();
    }
    player.end();
    let mut ends = 0;
    while let Some(next) = player.next_move() {
        assert_eq!(ends, 0, "something follows the end");
        match next {
            Move::Write { step, .. } => assert!(step > 0),
            Move::Pause(time) => assert!(time <= ENDLESS),
            Move::End(_) => ends += 1,
        }
    }
    assert_eq!(ends, 1);
});
