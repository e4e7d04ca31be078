//! Readers that attach, read, leave and come back while a log grows, in thousands of orders.
//!
//! All that a log does is done under its one lock, and wakers are called when it is released. So
//! an order of steps, in which a wake-up may arrive some steps late, is all that threads can do
//! to it. A seed names an order: one that fails, fails again.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Batch, Budget, Caps, Cursor, End, Event, Grace, Id, Kind, Log, Owner, Producer, Reader, Seq,
    Spec, state::Serving,
};

const SEEDS: u64 = 5000;
const STEPS: u64 = 400;
const READERS: usize = 8;

/// Numbers that a seed determines (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A wake-up that is on its way.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

/// A reader and the task that polls it, which sleeps until it is woken.
struct Task {
    reader: Reader,
    is_observer: bool,
    bell: Arc<Bell>,
    is_awake: bool,
    read: u64,
    has_ended: bool,
}

impl Task {
    fn new(reader: Reader, is_observer: bool) -> Self {
        Self {
            read: reader.cursor().seq.0,
            reader,
            is_observer,
            bell: Arc::default(),
            is_awake: true,
            has_ended: false,
        }
    }

    fn poll(&mut self, dice: &mut Dice) {
        // A task may be polled with another waker than before.
        if dice.below(3) == 0 {
            self.bell = Arc::default();
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        if dice.below(4) == 0 {
            let peeked = pin!(self.reader.peek());
            self.is_awake = Future::poll(peeked, &mut context).is_ready();
            return;
        }
        let mut events = Vec::new();
        let polled = self.reader.poll_batch(&mut context, &mut events);
        for event in &events {
            self.read += 1;
            assert_eq!(
                event.frame.to_bytes()[..8],
                self.read.to_be_bytes(),
                "in order"
            );
        }
        assert_eq!(self.reader.cursor().seq, Seq(self.read));
        self.is_awake = polled.is_ready();
        match polled {
            Poll::Ready(Batch::Events) => assert!(!events.is_empty()),
            Poll::Ready(Batch::End) => self.has_ended = true,
            Poll::Ready(Batch::Lost) => panic!("nothing is dropped here"),
            Poll::Pending => assert!(events.is_empty()),
        }
    }

    /// Nobody will poll it before something happens.
    fn is_asleep(&self) -> bool {
        !self.is_awake && !self.bell.0.load(Relaxed)
    }
}

/// One order of steps.
struct Schedule {
    dice: Dice,
    log: Arc<Log>,
    producer: Option<Producer>,
    written: u64,
    epoch: u32,
    is_in_doubt: bool,
    tasks: Vec<Task>,
    /// Where readers were that have left.
    left: Vec<Cursor>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let spec = Spec {
            id: Id::new("log-", [1; 16]),
            owner: Owner([1; 16]),
            about: Bytes::new(),
            grace: Grace(Duration::MAX),
        };
        let log = Log::new(spec, Caps::NONE, Arc::new(Budget::new(usize::MAX)));
        Self {
            dice: Dice(seed),
            producer: Some(Producer::new(Arc::clone(&log), |_| {})),
            log,
            written: 0,
            epoch: 1,
            is_in_doubt: false,
            tasks: Vec::new(),
            left: Vec::new(),
        }
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..6 => self.append(),
            6..8 => self.attach(),
            8 => self.leave(),
            9 => self.doubt(),
            10 => self.take_over(),
            _ => self.run_task(),
        }
        self.check();
    }

    fn event(&mut self) -> Event {
        self.written += 1;
        // Some are so large that a batch does not hold two.
        let padding = if self.dice.below(8) == 0 { 20_000 } else { 0 };
        let mut frame = vec![0; 8 + padding];
        frame[..8].copy_from_slice(&self.written.to_be_bytes());
        Event {
            kind: Kind::Chunk,
            frame: Bytes::from(frame).into(),
        }
    }

    fn append(&mut self) {
        let event = self.event();
        let producer = self.producer.as_mut().expect("not finished");
        producer.append(event).expect("no limits");
    }

    fn take_over(&mut self) {
        self.epoch += 1;
        let producer = self.producer.as_mut().expect("not finished");
        producer.begin_epoch(self.epoch);
    }

    /// Whether this node still has the log, or everybody has to wait until that is known.
    fn doubt(&mut self) {
        self.is_in_doubt = !self.is_in_doubt;
        self.log.serve(match self.is_in_doubt {
            true => Serving::Until(Instant::now()),
            false => Serving::Always,
        });
    }

    /// At a place where somebody was, or at any other.
    fn attach(&mut self) {
        if self.tasks.len() == READERS {
            return;
        }
        let seq = Seq(self.dice.below(self.written + 1));
        let task = if self.dice.below(4) == 0 {
            Task::new(self.log.observer(seq, 100), true)
        } else {
            let epoch = self.log.lock().epochs.of(seq);
            let cursor = self.left.pop().unwrap_or(Cursor { epoch, seq });
            Task::new(self.log.reader(cursor).expect("a place"), false)
        };
        self.tasks.push(task);
    }

    fn leave(&mut self) {
        if let Some(at) = self.any_task() {
            let task = self.tasks.swap_remove(at);
            self.left.push(task.reader.cursor());
        }
    }

    fn run_task(&mut self) {
        let Some(at) = self.any_task() else { return };
        let task = &mut self.tasks[at];
        // A task that is polled without a reason has to come to no harm.
        let is_spurious = self.dice.below(10) == 0;
        if task.is_awake || is_spurious {
            task.poll(&mut self.dice);
        } else {
            task.is_awake = task.bell.0.swap(false, Relaxed);
        }
    }

    fn any_task(&mut self) -> Option<usize> {
        let count = self.tasks.len() as u64;
        let any = (count > 0).then(|| self.dice.below(count))?;
        usize::try_from(any).ok()
    }

    /// Who sleeps has nothing to read.
    fn check(&self) {
        for task in self.tasks.iter().filter(|task| task.is_asleep()) {
            let has_to_wait = self.is_in_doubt && !task.is_observer;
            assert!(has_to_wait || task.read == self.written, "not woken");
            assert!(has_to_wait || self.producer.is_some(), "the end is missed");
        }
        let readers = self.tasks.iter().filter(|task| !task.is_observer).count();
        assert_eq!(self.log.readers(), readers);
    }

    fn finish(&mut self) {
        let last = self.event();
        let producer = self.producer.take().expect("not finished");
        producer.finish([last], End::Completed);
        self.check();
        if self.is_in_doubt {
            self.doubt();
            self.check();
        }
    }

    /// Whoever is left reads to the end, and only when woken.
    fn run_to_the_end(&mut self) {
        for task in &mut self.tasks {
            while !task.has_ended {
                assert!(!task.is_asleep(), "not woken");
                task.poll(&mut self.dice);
            }
            assert_eq!(task.read, self.written, "all was read");
        }
    }
}

#[test]
fn in_any_order_readers_miss_and_repeat_nothing_and_are_woken() {
    let mut most = 0;
    for seed in 0..SEEDS {
        let in_order = std::panic::catch_unwind(|| {
            let mut schedule = Schedule::new(seed);
            for _ in 0..STEPS {
                schedule.step();
            }
            schedule.finish();
            schedule.run_to_the_end();
            schedule.tasks.len()
        });
        most = most.max(in_order.unwrap_or_else(|_| panic!("in the order of seed {seed}")));
    }
    assert_eq!(most, READERS, "the orders have as many readers as they may");
}
