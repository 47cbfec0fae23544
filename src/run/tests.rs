use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, unbounded};

use super::*;
use crate::error::{Error, Result};
use crate::plan::Scheduler;
use crate::report::Counters;
use crate::report::event::{Event, Extent, PhaseName, What};

const ALL: [Scheduler; 3] = [Scheduler::Stealing, Scheduler::Static, Scheduler::Shared];

/// Each scheduler with few threads and with more threads than there are tasks.
fn pools() -> impl Iterator<Item = Pool> {
    let with = |scheduler| [1, 2, 3, 256].map(|threads| Pool::new(threads, scheduler).unwrap());
    ALL.into_iter().flat_map(with)
}

/// Runs `body`, and fails instead of hanging if it doesn't end.
fn ends<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (to, from) = mpsc::channel();
    thread::spawn(move || drop(to.send(body())));
    from.recv_timeout(Duration::from_secs(60)).expect("ends")
}

impl Work for usize {
    fn extent(&self) -> Extent {
        Extent { from: None, bytes: 1000 }
    }
}

/// What one test's phase needs: a control and a log.
#[derive(Default)]
struct Ground {
    control: Control,
    log: Log,
}

impl Ground {
    /// Attempts `tasks` and the tasks that flow in, each up to `attempts` times. Returns what `work` made of each.
    fn run<T: Send>(
        &self,
        pool: &Pool,
        (tasks, inflow): (usize, impl Inflow<usize>),
        deal: Deal,
        attempts: u32,
        work: impl Fn(&Attempt<'_>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let Ground { control, log } = self;
        let phase = Phase {
            name: PhaseName::Map,
            first: 0,
            deal,
            attempts,
            sources: &[],
            latencies: &[],
            meter: &control.progress.map,
            control,
            log,
            cut: None,
        };
        let attempt = |attempt: &Attempt<'_>, &number: &usize| {
            assert_eq!(attempt.number(), number);
            Ok(Done { made: work(attempt)?, records: 0, counters: Counters::default() })
        };
        pool.run(&phase, (0..tasks).collect(), inflow, attempt, |_, made| Ok(made))
    }

    fn events(self) -> Vec<Event> {
        self.log.into_events().0
    }
}

/// Runs the tasks, each once.
fn run<T: Send>(
    pool: &Pool,
    tasks: (usize, impl Inflow<usize>),
    deal: Deal,
    work: impl Fn(usize, Assignment) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    Ground::default().run(pool, tasks, deal, 1, |attempt| work(attempt.number(), attempt.place))
}

/// An inflow whose messages come from a thread: each is a task, or says that there is none yet.
struct Late {
    messages: Receiver<Result<Option<usize>>>,
    held: Option<usize>,
    has_ended: bool,
}

impl Late {
    fn new(messages: impl Iterator<Item = Result<Option<usize>>> + Send + 'static) -> Late {
        let (to, from) = unbounded();
        thread::spawn(move || messages.for_each(|message| drop(to.send(message))));
        Late { messages: from, held: None, has_ended: false }
    }
}

impl Inflow<usize> for Late {
    type Message = Result<Option<usize>>;

    fn poll(&mut self) -> Poll<Option<Result<usize>>> {
        match self.held.take() {
            None if !self.has_ended => Poll::Pending,
            task => Poll::Ready(task.map(Ok)),
        }
    }

    fn messages(&self) -> Receiver<Self::Message> {
        self.messages.clone()
    }

    fn arrived(&mut self, message: Result<Self::Message, RecvError>) -> Result<()> {
        match message {
            Ok(message) => self.held = message?,
            Err(RecvError) => self.has_ended = true,
        }
        Ok(())
    }
}

fn failing(number: usize) -> Error {
    Error::usage(format!("task {number}"))
}

#[test]
fn every_task_once_and_results_by_number() {
    for pool in pools() {
        for (tasks, late, deal) in
            [(0, 0, Deal::Split), (1, 0, Deal::Round), (100, 0, Deal::Split), (10, 50, Deal::Round)]
        {
            let ran: Vec<_> = (0..tasks + late).map(|_| AtomicUsize::new(0)).collect();
            let coming = Late::new((tasks..tasks + late).flat_map(|i| [Ok(None), Ok(Some(i))]));
            let made = run(&pool, (tasks, coming), deal, |number, place| {
                assert!(place.worker < pool.threads() && place.seeded < pool.threads());
                ran[number].fetch_add(1, Ordering::Relaxed);
                Ok(2 * number)
            });
            assert_eq!(made.unwrap(), (0..tasks + late).map(|i| 2 * i).collect::<Vec<_>>());
            assert!(ran.iter().all(|times| times.load(Ordering::Relaxed) == 1), "{pool:?}");
        }
    }
}

#[test]
fn the_earliest_error_wins() {
    for pool in pools() {
        for _ in 0..20 {
            let error = run(&pool, (50, NoMore), Deal::Split, |number, _| match number {
                7 => {
                    // The later tasks fail first.
                    thread::sleep(Duration::from_millis(1));
                    Err(failing(7))
                }
                8.. => Err(failing(number)),
                _ => Ok(()),
            });
            assert_eq!(error.unwrap_err().to_string(), "task 7", "{pool:?}");
        }
    }
}

#[test]
fn what_comes_before_a_failure_is_still_run() {
    for pool in pools() {
        let ran = AtomicUsize::new(0);
        let error = run(&pool, (50, NoMore), Deal::Round, |number, _| {
            if number == 40 {
                return Err(failing(number));
            }
            ran.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        assert_eq!(error.unwrap_err().to_string(), "task 40");
        assert!(ran.into_inner() >= 40, "{pool:?}");
    }
}

#[test]
fn a_panic_fails_one_attempt_and_the_pool_lives() {
    for pool in pools() {
        let error = run(&pool, (10, NoMore), Deal::Split, |number, _| match number {
            3 => panic!("on purpose, {number}"),
            _ => Ok(()),
        });
        assert_eq!(error.unwrap_err().to_string(), "internal error in map-00003: on purpose, 3");
        assert_eq!(run(&pool, (2, NoMore), Deal::Split, |number, _| Ok(number)).unwrap(), [0, 1]);
    }
}

#[test]
fn who_runs_what() {
    let threads = 4;
    let places = |scheduler, tasks: usize, late: usize, deal| {
        let pool = Pool::new(threads, scheduler).unwrap();
        let coming = Late::new((tasks..tasks + late).map(|i| Ok(Some(i))));
        run(&pool, (tasks, coming), deal, |_, place| Ok(place)).unwrap()
    };
    let seeded = |places: Vec<Assignment>| places.iter().map(|place| place.seeded).collect::<Vec<_>>();
    for scheduler in [Scheduler::Stealing, Scheduler::Static] {
        assert_eq!(seeded(places(scheduler, 6, 0, Deal::Split)), [0, 0, 1, 2, 2, 3]);
        assert_eq!(seeded(places(scheduler, 6, 0, Deal::Round)), [0, 1, 2, 3, 0, 1]);
    }
    assert_eq!(seeded(places(Scheduler::Static, 2, 4, Deal::Split)), [0, 2, 2, 3, 0, 1]);
    for scheduler in [Scheduler::Static, Scheduler::Shared] {
        for place in places(scheduler, 50, 10, Deal::Split) {
            assert_eq!(place.worker, place.seeded, "{scheduler:?}");
        }
    }
}

/// One of two workers is held up in task 0 until all others have run.
#[test]
fn who_is_free_takes_what_a_slow_worker_leaves() {
    for scheduler in [Scheduler::Stealing, Scheduler::Shared] {
        let places = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let (both, done) = (Barrier::new(2), AtomicUsize::new(0));
            let run = run(&pool, (20, NoMore), Deal::Split, |number, place| {
                if number == 0 || number == 10 {
                    both.wait();
                }
                while number == 0 && done.load(Ordering::Relaxed) < 19 {
                    thread::sleep(Duration::from_millis(1));
                }
                done.fetch_add(1, Ordering::Relaxed);
                Ok(place)
            });
            run.unwrap()
        });
        assert!(places[1..10].iter().all(|place| place.worker != places[0].worker), "{scheduler:?} {places:?}");
        let stolen = places.iter().filter(|place| place.worker != place.seeded).count();
        assert_eq!(stolen > 0, scheduler == Scheduler::Stealing, "{places:?}");
    }
}

#[test]
fn a_static_worker_keeps_its_tasks_while_others_are_done() {
    let pool = Pool::new(2, Scheduler::Static).unwrap();
    let places = run(&pool, (10, NoMore), Deal::Split, |number, place| {
        if number == 0 {
            thread::sleep(Duration::from_millis(30));
        }
        Ok(place.worker)
    });
    assert_eq!(places.unwrap(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn shared_tasks_begin_in_order() {
    let pool = Pool::new(3, Scheduler::Shared).unwrap();
    let next = Mutex::new((0..3).collect::<Vec<_>>());
    let (ahead, all) = (AtomicUsize::new(0), Barrier::new(3));
    let run = run(&pool, (30, NoMore), Deal::Split, |number, _| {
        // Three tasks run at a time, so the next task to begin is one of the next three.
        let mut next = next.lock().unwrap();
        ahead.fetch_add(usize::from(!next.contains(&number)), Ordering::Relaxed);
        next.retain(|&waiting| waiting != number);
        next.push(number + 3);
        drop(next);
        all.wait();
        Ok(())
    });
    run.unwrap();
    assert_eq!(ahead.into_inner(), 0);
}

/// Workers wait for a stream that delivers nothing, and a task fails: the stream isn't waited for.
#[test]
fn a_failing_task_is_heard_of_while_a_stream_is_slow() {
    for scheduler in ALL {
        let error = ends(move || {
            let pool = Pool::new(3, scheduler).unwrap();
            let (_open, messages) = unbounded();
            let silent = Late { messages, held: None, has_ended: false };
            run(&pool, (3, silent), Deal::Split, |number, _| match number {
                1 => Err(failing(1)),
                _ => Ok(()),
            })
        });
        assert_eq!(error.unwrap_err().to_string(), "task 1");
    }
}

/// An interrupt comes this way: the wait for a stream reports it.
#[test]
fn an_error_of_the_stream_ends_the_waiting_of_workers() {
    for pool in pools() {
        let error = ends(move || {
            let late = Late::new([Ok(Some(2)), Ok(None), Err(Error::Interrupted { signal: 2 })].into_iter());
            run(&pool, (2, late), Deal::Split, |_, _| {
                thread::sleep(Duration::from_millis(1));
                Ok(())
            })
        });
        assert!(matches!(error, Err(Error::Interrupted { signal: 2 })), "{error:?}");
    }
}

/// If a task that is earlier in the input than the stream's error fails, its error is reported, even if it comes later.
#[test]
fn a_task_before_the_streams_error_wins() {
    for scheduler in ALL {
        let error = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let late = Late::new([Ok(Some(2)), Err(failing(99))].into_iter());
            run(&pool, (2, late), Deal::Split, |number, _| {
                thread::sleep(Duration::from_millis(10));
                if number == 1 { Err(failing(1)) } else { Ok(()) }
            })
        });
        assert_eq!(error.unwrap_err().to_string(), "task 1", "{scheduler:?}");
    }
}

/// A panic here is a bug, but the run must not hang.
#[test]
fn a_panic_of_the_coordinator_leaves_no_worker_waiting() {
    struct Panicking;
    impl Inflow<usize> for Panicking {
        type Message = ();

        fn poll(&mut self) -> Poll<Option<Result<usize>>> {
            panic!("on purpose")
        }

        fn messages(&self) -> Receiver<()> {
            crossbeam_channel::never()
        }

        fn arrived(&mut self, _: Result<(), RecvError>) -> Result<()> {
            Ok(())
        }
    }
    for scheduler in ALL {
        let panicked = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let run = || run(&pool, (2, Panicking), Deal::Split, |_, _| Ok(()));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        });
        assert!(panicked);
    }
}

fn passing(at: u64) -> Error {
    Error::Read { path: "f.txt".into(), at, source: std::io::Error::from_raw_os_error(5) }
}

#[test]
fn what_may_pass_is_attempted_again_and_only_that() {
    for pool in pools() {
        let ground = Ground::default();
        let made = ground.run(&pool, (20, NoMore), Deal::Split, 3, |attempt| {
            attempt.advance(10);
            match (attempt.number() % 4, attempt.id.attempt) {
                (0, 0 | 1) => Err(passing(0)),
                (1, 0) => panic!("on purpose"),
                (_, attempt) => Ok(attempt),
            }
        });
        let expected: Vec<_> = (0..20).map(|number| [2, 1, 0, 0][number % 4]).collect();
        assert_eq!(made.unwrap(), expected, "{pool:?}");
        // Only attempts that won count as progress.
        assert_eq!(ground.control.progress.map.done.load(Ordering::Relaxed), 200);
        let failed = ground.events().iter().filter(|event| matches!(event.what, What::Failed { .. })).count();
        assert_eq!(failed, 15);

        let attempts = AtomicUsize::new(0);
        let error = Ground::default().run(&pool, (3, NoMore), Deal::Split, 3, |attempt| match attempt.number() {
            1 => {
                attempts.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(failing(1))
            }
            _ => Ok(()),
        });
        assert_eq!((error.unwrap_err().to_string().as_str(), attempts.into_inner()), ("task 1", 1));
    }
}

#[test]
fn a_task_that_fails_each_time_says_why_each_time() {
    let pool = Pool::new(2, Scheduler::Stealing).unwrap();
    let fail = |causes: [u64; 3]| {
        let work = |attempt: &Attempt<'_>| match attempt.number() {
            1 => Err::<(), _>(passing(causes[attempt.id.attempt as usize])),
            _ => Ok(()),
        };
        Ground::default().run(&pool, (2, NoMore), Deal::Split, 3, work).unwrap_err().to_string()
    };
    assert_eq!(fail([7, 7, 7]), "f.txt: cannot read at byte 7: input/output error (each of 3 attempts at map-00001)");
    assert_eq!(
        fail([7, 7, 8]),
        "each of 3 attempts at map-00001 failed: f.txt: cannot read at byte 7: input/output error; then: f.txt: cannot read at byte 8: \
         input/output error"
    );
}

#[test]
fn another_worker_makes_the_next_attempt() {
    let pool = Pool::new(2, Scheduler::Static).unwrap();
    let places = Mutex::new(Vec::new());
    let run = Ground::default().run(&pool, (2, NoMore), Deal::Split, 3, |attempt| {
        if attempt.number() == 0 {
            places.lock().unwrap().push(attempt.place.worker);
            return if attempt.id.attempt < 2 { Err(passing(0)) } else { Ok(()) };
        }
        Ok(())
    });
    run.unwrap();
    assert_eq!(places.into_inner().unwrap(), [0, 1, 0]);
}

/// A task that isn't wanted any more ends at its next check.
#[test]
fn tasks_behind_one_that_failed_are_cancelled() {
    for scheduler in ALL {
        let error = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let both = Barrier::new(2);
            Ground::default().run(&pool, (2, NoMore), Deal::Split, 1, |attempt| {
                both.wait();
                if attempt.number() == 0 {
                    return Err(failing(0));
                }
                loop {
                    attempt.check()?;
                    thread::sleep(Duration::from_millis(1));
                }
            })
        });
        assert_eq!(error.map(|_: Vec<()>| ()).unwrap_err().to_string(), "task 0");
    }
}

/// The first attempt at one task never ends by itself. A second attempt is made and wins, and the first one notices.
#[test]
fn a_straggler_loses_to_a_second_attempt() {
    for scheduler in ALL {
        let (made, events) = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let ground = Ground::default();
            let made = ground.run(&pool, (10, NoMore), Deal::Split, 4, |attempt| {
                attempt.advance(7);
                if attempt.number() == 3 && attempt.id.attempt == 0 {
                    loop {
                        attempt.check()?;
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                Ok(attempt.id.attempt)
            });
            assert_eq!(ground.control.progress.map.done.load(Ordering::Relaxed), 70);
            (made.unwrap(), ground.events())
        });
        assert_eq!(made, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "{scheduler:?}");
        let of = |wanted: fn(&What) -> bool| events.iter().filter(|event| wanted(&event.what)).count();
        assert_eq!(of(|what| matches!(what, What::Speculated { attempt } if attempt.task.number == 3)), 1);
        assert_eq!(of(|what| matches!(what, What::Lost { attempt } if attempt.attempt == 0)), 1);
        assert_eq!(of(|what| matches!(what, What::Failed { .. })), 0);
    }
}

/// A slow task gets a second attempt, which waits behind thousands of tasks. The first attempt then fails in a way that
/// can't pass, and that ends the job: the second attempt isn't waited for.
#[test]
fn a_failure_does_not_wait_for_an_attempt_that_has_not_begun() {
    const TASKS: usize = 100_000;
    let (made, ran) = ends(|| {
        let pool = Pool::new(2, Scheduler::Stealing).unwrap();
        let (ground, ran) = (Ground::default(), AtomicUsize::new(0));
        let made = ground.run(&pool, (TASKS, NoMore), Deal::Split, 4, |attempt| {
            ran.fetch_add(1, Ordering::Relaxed);
            if attempt.number() == 0 && attempt.id.attempt == 0 {
                thread::sleep(Duration::from_millis(500));
                return Err(failing(0));
            }
            thread::sleep(Duration::from_micros(100));
            Ok(())
        });
        let is_second = |event: &Event| matches!(event.what, What::Speculated { .. });
        assert!(ground.events().iter().any(is_second));
        (made.map(|_| ()), ran.into_inner())
    });
    assert_eq!(made.unwrap_err().to_string(), "task 0");
    assert!(ran < TASKS / 2, "{ran}");
}
