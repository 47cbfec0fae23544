//! Whatever operation fails, in whatever way, a job either answers correctly, or says why it can't and leaves nothing
//! behind.

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

/// Takes the lock that lets one test run at a time. Armed faults hold for the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the case once for each operation of each point, and makes that operation fail. Returns what was wrong.
fn sweep(case: &Case, points: &[Point], how: &str) -> Vec<String> {
    let expected = case.undisturbed();
    let mut wrong = Vec::new();
    // Faults of the input are tested for one goal only, since reading doesn't depend on where the result goes.
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

/// Whether the job does something else when this point fails, without another attempt.
fn is_made_up_for(case: &Case, point: Point) -> bool {
    use Point::{
        CommitExchange, CommitLink, CommitRename, InputCheck, InputOpen, InputRead, OutputCreate, Remove, RunIndex,
        RunOpen, RunRead, SpillCreate, SpillWrite,
    };
    match point {
        CommitExchange | CommitLink | CommitRename | InputCheck | InputOpen | InputRead | OutputCreate | Remove => true,
        // To measure how long reducing takes, a job with a deadline reduces a part and discards the result.
        RunOpen | RunIndex | RunRead | SpillCreate | SpillWrite => case.job.has_deadline(),
        _ => false,
    }
}

/// Whether a failure there fails an attempt, so that the next attempt helps.
fn helps(case: &Case, point: Point, n: u64) -> bool {
    match point {
        Point::InputMap | Point::InputLost | Point::RunIndex | Point::SpillWrite | Point::Remove => true,
        // The writer of the output reads the runs of lines that pass through.
        Point::RunOpen | Point::RunRead => !case.job.passes_in_order,
        // The first file is the lock of the spill directory. The lock of the output's staging directory may be the
        // second.
        Point::SpillCreate => n > 2 && !case.has_staging(),
        _ => false,
    }
}

/// Runs every job to each of these goals, with the schedulers in turn. Reports everything that was wrong together.
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
    // A panic in `Remove` may interrupt another removal, and mapfold itself can't panic between two renames.
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

/// A directory has no room for what is written next, and another directory has: the run moves there.
#[test]
fn a_directory_is_full_and_another_is_not() {
    let _alone = alone();
    for (number, job) in JOBS.iter().enumerate() {
        // The files of bad records stay in the first directory.
        if job.name == "bad records" {
            continue;
        }
        let mut case = Case::new(job, Goal::File);
        case.set(SCHEDULERS[number % 3], 2);
        case.two_directories();
        let expected = case.undisturbed();
        let mut moves = 0;
        for n in 1.. {
            let fault = format!("spill.write:{n}=enospc");
            let outcome = case.run(&fault);
            let was_hit = failpoint::hits(Point::SpillWrite) >= n;
            case.check(&expected, &outcome, &format!("{case}, {fault}"));
            let report = outcome.result.as_ref().unwrap_or_else(|_| panic!("{case}, {fault}: {}", outcome.error()));
            assert_eq!(report.counters.failed_attempts, 0, "{case}, {fault}");
            if !was_hit {
                break;
            }
            moves += 1;
        }
        assert!(moves >= 2, "{case}: {moves}");
        // Both are full.
        let outcome = case.run("spill.write:2+=enospc");
        case.check(&expected, &outcome, &format!("{case}, full"));
        assert!(outcome.error().ends_with(": no space left on device"), "{case}: {}", outcome.error());
    }
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

/// Two operations fail in a job of one task. Both may belong to the same point.
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

/// A compressed input has a reader of its own, which reads it again from its beginning.
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
                // The failure happens alone, together with the first operation of the next attempt, and with every
                // later operation.
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
            // The message doesn't mention the error of a later task.
            assert!(error.contains(why) && error.contains(task), "{error}");
            assert!(error.contains("each of 4 attempts"), "{error}");
        }
    }
}
