//! Whatever operation fails, and however: a job answers right, or says why not and leaves nothing behind.

#[path = "failpoints/jobs.rs"]
mod jobs;
#[path = "failpoints/panics.rs"]
mod panics;
#[path = "failpoints/processes.rs"]
mod processes;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobs::{Case, Goal, JOBS, Outcome};
use mapfold::failpoint::{self, Point};
use mapfold::plan::Scheduler;

const SCHEDULERS: [Scheduler; 3] = [Scheduler::Stealing, Scheduler::Static, Scheduler::Shared];

/// What fails is the same for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has each operation of each point fail, one a run. Gives what was wrong.
fn sweep(case: &Case, points: &[Point], how: &str) -> Vec<String> {
    let expected = case.undisturbed();
    let mut wrong = Vec::new();
    // Reading knows nothing of what becomes of the result.
    let is_of_goal = |point: &&Point| case.goal == Goal::File || !point.name().starts_with("input");
    for &point in points.iter().filter(is_of_goal) {
        for n in 1.. {
            let fault = format!("{}:{n}={how}", point.name());
            let outcome = case.run(&fault);
            let label = format!("{case}, {fault}");
            let was_hit = failpoint::hits(point) >= n;
            let checked = catch_unwind(AssertUnwindSafe(|| {
                case.check(&expected, &outcome, &label);
                if let Outcome { result: Ok(report), .. } = &outcome {
                    let failed = report.counters.failed_attempts;
                    let at_most = u64::from(was_hit && how != "delay");
                    assert!(failed <= at_most, "{label}: {failed} failed attempts");
                    assert!(
                        !was_hit || failed == 1 || is_made_up_for(case, point) || how == "delay",
                        "{label}: nobody noticed"
                    );
                } else if how != "enospc" {
                    assert!(!helps(case, point, n), "{label}: was not attempted again: {}", outcome.error());
                }
            }));
            if let Err(panic) = checked {
                wrong.push(panic.downcast_ref::<String>().unwrap().clone());
            }
            if !was_hit {
                break;
            }
        }
    }
    wrong
}

/// Whether something else is done where this fails, without another attempt.
fn is_made_up_for(case: &Case, point: Point) -> bool {
    use Point::{
        CommitExchange, CommitLink, CommitRename, InputCheck, InputOpen, InputRead, OutputCreate, Remove, RunIndex,
        RunOpen, RunRead, SpillCreate, SpillWrite,
    };
    match point {
        CommitExchange | CommitLink | CommitRename | InputCheck | InputOpen | InputRead | OutputCreate | Remove => true,
        // To see how long reducing takes some is reduced, and thrown away.
        RunOpen | RunIndex | RunRead | SpillCreate | SpillWrite => case.job.has_deadline(),
        _ => false,
    }
}

/// Whether what fails there is an attempt, so that the next one helps.
fn helps(case: &Case, point: Point, n: u64) -> bool {
    match point {
        Point::InputMap | Point::InputLost | Point::RunIndex | Point::SpillWrite | Point::Remove => true,
        // Lines that pass through are read by who writes them.
        Point::RunOpen | Point::RunRead => !case.job.passes_in_order,
        // The first is the lock of the spill directory, and then there may be that of the output's.
        Point::SpillCreate => n > 2 && !case.has_staging(),
        _ => false,
    }
}

/// Every job to each of these goals, by one scheduler or another. Tells all that was wrong together.
#[track_caller]
fn each_case(goals: &[Goal], mut with: impl FnMut(&mut Case) -> Vec<String>) {
    let mut wrong = Vec::new();
    for (i, job) in JOBS.iter().enumerate() {
        for (j, &goal) in goals.iter().enumerate() {
            let mut case = Case::new(job, goal);
            case.set(SCHEDULERS[(i + j) % 3], 2);
            wrong.extend(with(&mut case));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_operation_fails() {
    let _alone = alone();
    each_case(&Goal::ALL, |case| {
        if case.goal != Goal::File {
            return sweep(case, Point::ALL, "eio");
        }
        let by = |scheduler| {
            case.set(scheduler, 2);
            sweep(case, Point::ALL, "eio")
        };
        SCHEDULERS.into_iter().flat_map(by).collect()
    });
}

#[test]
fn an_operation_panics() {
    let _alone = alone();
    // One while things are removed may be in the middle of another, and one between two renames would be none of ours.
    let is_ours = |point: &Point| !matches!(point, Point::Remove | Point::CommitRename);
    let points: Vec<_> = Point::ALL.iter().copied().filter(is_ours).collect();
    each_case(&[Goal::File, Goal::Directory, Goal::Device], |case| sweep(case, &points, "panic"));
}

#[test]
fn the_disk_is_full() {
    let _alone = alone();
    use Point::{
        CommitAdd, CommitLink, CommitRename, OutputCreate, OutputWrite, SpillCreate, SpillDirectory, SpillWrite,
    };
    let points =
        [CommitAdd, CommitLink, CommitRename, OutputCreate, OutputWrite, SpillCreate, SpillDirectory, SpillWrite];
    each_case(&Goal::ALL, |case| sweep(case, &points, "enospc"));
}

#[test]
fn what_is_read_of_a_run_is_damaged() {
    let _alone = alone();
    each_case(&[Goal::File, Goal::Device], |case| sweep(case, &[Point::RunIndex, Point::RunRead], "damage"));
}

#[test]
fn an_operation_takes_long() {
    let _alone = alone();
    each_case(&[Goal::Device], |case| sweep(case, &[Point::RunIndex], "delay"));
}

/// Two failures of one job, which has one task: among these are two of the same operation.
#[test]
fn two_operations_fail() {
    let _alone = alone();
    for (number, job) in JOBS.iter().enumerate() {
        let mut case = Case::new(job, Goal::File);
        case.one_split();
        case.set(SCHEDULERS[number % 3], 1 + number % 2);
        let expected = case.undisturbed();
        for point in [Point::InputRead, Point::SpillCreate, Point::SpillWrite, Point::RunOpen, Point::RunRead] {
            case.run("");
            let operations = failpoint::hits(point).min(8);
            for first in 1..=operations {
                for second in first + 1..=operations + 1 {
                    let name = point.name();
                    let faults = format!("{name}:{first}=eio, {name}:{second}=panic");
                    let outcome = case.run(&faults);
                    case.check(&expected, &outcome, &format!("{case}, {faults}"));
                }
            }
        }
    }
}

/// What is packed is read by a reader of its own, which reads it again.
#[test]
fn reading_from_the_beginning_fails() {
    let _alone = alone();
    let job = JOBS.iter().find(|job| job.name == "packed").unwrap();
    for scheduler in SCHEDULERS {
        let mut case = Case::new(job, Goal::File);
        case.set(scheduler, 2);
        let expected = case.undisturbed();
        for point in [Point::InputOpen, Point::InputRead] {
            case.run("");
            let operations = failpoint::hits(point);
            assert!(operations > 0);
            for first in 1..=operations {
                // Alone, with the first of the next attempt, and with all that come.
                for (also, failures) in [("".into(), 1), (format!(", {}:{}=eio", point.name(), first + 1), 2)] {
                    let faults = format!("{}:{first}=eio{also}", point.name());
                    let outcome = case.run(&faults);
                    case.check(&expected, &outcome, &format!("{case}, {faults}"));
                    let report = outcome.result.as_ref().unwrap_or_else(|_| panic!("{faults}: {}", outcome.error()));
                    assert_eq!(report.counters.failed_attempts, failures, "{faults}");
                }
                let outcome = case.run(&format!("{}:{first}+=eio", point.name()));
                let error = outcome.error();
                assert!(error.contains("input/output error (each of 4 attempts at reading "), "{error}");
            }
        }
    }
}

#[test]
fn each_attempt_fails() {
    let _alone = alone();
    for scheduler in SCHEDULERS {
        for (point, why, task) in [
            (Point::InputMap, "input/output error", "map-0000"),
            (Point::SpillWrite, "input/output error", "map-0000"),
            (Point::RunRead, "input/output error", "reduce-0000"),
        ] {
            let mut case = Case::new(&JOBS[0], Goal::File);
            case.set(scheduler, 2);
            let expected = case.undisturbed();
            let outcome = case.run(&format!("{}:1+=eio", point.name()));
            case.check(&expected, &outcome, point.name());
            let error = outcome.error();
            // What a later task failed with is none of the message.
            assert!(error.contains(why) && error.contains(task), "{error}");
            assert!(error.contains("each of 4 attempts"), "{error}");
        }
    }
}
