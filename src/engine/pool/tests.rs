use std::iter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use super::*;

const ALL: [Scheduler; 3] = [Scheduler::Stealing, Scheduler::Static, Scheduler::Shared];

/// Each scheduler with few threads and with many, also more than there are tasks.
fn pools() -> impl Iterator<Item = Pool> {
    let with = |scheduler| [1, 2, 3, 256].map(|threads| Pool::new(threads, scheduler).unwrap());
    ALL.into_iter().flat_map(with)
}

/// Fails instead of hanging when `body` doesn't end.
fn ends<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (to, from) = mpsc::channel();
    thread::spawn(move || drop(to.send(body())));
    from.recv_timeout(Duration::from_secs(60)).expect("ends")
}

fn none() -> iter::Empty<Result<Option<usize>>> {
    iter::empty()
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
            let coming = (tasks..tasks + late).flat_map(|i| [Ok(None), Ok(Some(i))]);
            let made = pool.run((0..tasks).collect(), deal, coming, "map", |number, item, place| {
                assert_eq!(number, item);
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
            let error = pool.run((0..50).collect(), Deal::Split, none(), "map", |number, _, _| match number {
                7 => {
                    // The later ones fail first.
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
        let error = pool.run((0..50).collect(), Deal::Round, none(), "map", |number, _, _| {
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
        let error = pool.run((0..10).collect(), Deal::Split, none(), "map", |number, _, _| match number {
            3 => panic!("on purpose, {number}"),
            _ => Ok(()),
        });
        assert_eq!(error.unwrap_err().to_string(), "internal error in map-00003: on purpose, 3");
        assert_eq!(pool.run(vec![1], Deal::Split, none(), "map", |_, item, _| Ok(item)).unwrap(), [1]);
    }
}

#[test]
fn who_runs_what() {
    let threads = 4;
    let places = |scheduler, tasks: usize, late: usize, deal| {
        let pool = Pool::new(threads, scheduler).unwrap();
        let coming = (0..late).map(|i| Ok(Some(i)));
        pool.run((0..tasks).collect(), deal, coming, "map", |_, _, place| Ok(place)).unwrap()
    };
    let seeded = |places: Vec<Place>| places.iter().map(|place| place.seeded).collect::<Vec<_>>();
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
            let run = pool.run((0..20).collect(), Deal::Split, none(), "map", |number, _, place| {
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
    let places = pool.run((0..10).collect(), Deal::Split, none(), "map", |number, _, place| {
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
    let run = pool.run((0..30).collect(), Deal::Split, none(), "map", |number, _, _| {
        // Three run at a time, so the next to begin is one of the three that come next.
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

/// Workers wait for a stream that brings nothing; a task fails; the stream is not waited for.
#[test]
fn a_failing_task_is_heard_of_while_a_stream_is_slow() {
    for scheduler in ALL {
        let error = ends(move || {
            let pool = Pool::new(3, scheduler).unwrap();
            let slow = iter::repeat_with(|| {
                thread::sleep(Duration::from_millis(1));
                Ok(None)
            });
            pool.run(vec![0, 1, 2], Deal::Split, slow, "map", |number, _: usize, _| match number {
                1 => Err(failing(1)),
                _ => Ok(()),
            })
        });
        assert_eq!(error.unwrap_err().to_string(), "task 1");
    }
}

/// As an interrupt does, which the wait for a stream hears of.
#[test]
fn an_error_of_the_stream_ends_the_waiting_of_workers() {
    for pool in pools() {
        let error = ends(move || {
            let late = [Ok(Some(0)), Ok(None), Err(Error::Interrupted { signal: 2 })].into_iter();
            pool.run(vec![0, 1], Deal::Split, late, "map", |_, _: usize, _| {
                thread::sleep(Duration::from_millis(1));
                Ok(())
            })
        });
        assert!(matches!(error, Err(Error::Interrupted { signal: 2 })), "{error:?}");
    }
}

/// An error before the stream's in the input is the one to report, also if it comes after.
#[test]
fn a_task_before_the_streams_error_wins() {
    for scheduler in ALL {
        let error = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let late = [Ok(Some(0)), Err(failing(99))].into_iter();
            pool.run(vec![0, 1], Deal::Split, late, "map", |number, _: usize, _| {
                thread::sleep(Duration::from_millis(10));
                if number == 1 { Err(failing(1)) } else { Ok(()) }
            })
        });
        assert_eq!(error.unwrap_err().to_string(), "task 1", "{scheduler:?}");
    }
}

#[test]
fn a_panic_of_the_stream_leaves_no_worker_waiting() {
    for scheduler in ALL {
        let panicked = ends(move || {
            let pool = Pool::new(2, scheduler).unwrap();
            let late = iter::from_fn(|| -> Option<Result<Option<usize>>> { panic!("on purpose") });
            let run = || pool.run(vec![0, 1], Deal::Split, late, "map", |_, _, _| Ok(()));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
        });
        assert!(panicked);
    }
}
