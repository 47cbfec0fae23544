//! Failpoints: operations that tests make fail, to check that a job gives the right answer or none.
//!
//! Without the feature `failpoints` this module compiles to nothing. With the feature, the environment variable
//! `MAPFOLD_FAIL`, or a call of `arm`, says what fails:
//!
//! ```text
//! MAPFOLD_FAIL='spill.write:3=eio, run.read:2+=damage'
//!               point       │ │             └ the second operation and all later ones
//!                           │ └ how: eio, enospc, panic, damage (to the bytes read), delay, stall
//!                           └ the third operation at this point, counted over all threads
//! MAPFOLD_FAIL='record:BOOM&BANG=panic'
//!                      │         └ panic, or once: only the first time
//!                      └ fails when a step, or what follows the steps, gets a batch whose values hold all these texts
//! ```

use std::io;

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A kind of operation, wherever in the code it is done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        impl Point {
            pub const ALL: &[Point] = &[$(Point::$point),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// Looking up an input that has a timeout.
    InputLook = "input.look",
    InputOpen = "input.open",
    InputRead = "input.read",
    InputMap = "input.map",
    /// Reading a mapped page that its device can't read.
    InputLost = "input.lost",
    /// Checking that a file is still the one that was planned.
    InputCheck = "input.check",
    SpillDirectory = "spill.directory",
    SpillCreate = "spill.create",
    SpillWrite = "spill.write",
    RunOpen = "run.open",
    RunIndex = "run.index",
    RunRead = "run.read",
    /// Reading back lines that were kept until every task had succeeded.
    StagedRead = "staged.read",
    OutputCreate = "output.create",
    OutputWrite = "output.write",
    /// Giving a file its name.
    CommitLink = "commit.link",
    /// Renaming a file or a directory.
    CommitRename = "commit.rename",
    CommitExchange = "commit.exchange",
    /// Adding the report and `_SUCCESS` to an output directory.
    CommitAdd = "commit.add",
    Remove = "remove",
}

/// Fails if this operation of `point` is armed. To be called before the operation.
#[inline(always)]
pub fn hit(point: Point) -> io::Result<()> {
    read(point, &mut [])
}

/// Like [`hit`], but to be called after an operation has read `bytes`, which it may damage.
#[inline(always)]
pub fn read(point: Point, bytes: &mut [u8]) -> io::Result<()> {
    #[cfg(feature = "failpoints")]
    armed::hit(point, bytes)?;
    let _ = (point, bytes);
    Ok(())
}

/// Panics if `values` hold texts that are armed. To be called with the values of each batch of records before code that
/// may have a bug takes them.
#[inline(always)]
pub fn records<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) {
    #[cfg(feature = "failpoints")]
    armed::records(&values);
    let _ = values;
}

/// Does work whose operations don't count: the job doesn't depend on whether they fail.
#[inline(always)]
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(feature = "failpoints")]
    let _uncounted = armed::Uncounted::begin();
    work()
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, hits};

#[cfg(feature = "failpoints")]
mod armed {
    use std::cell::Cell;
    use std::ops::RangeInclusive;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;
    use std::{env, io, thread};

    use memchr::memmem;
    use rustix::io::Errno;

    use super::Point;

    const DELAY: Duration = Duration::from_millis(20);
    const STALL: Duration = Duration::from_secs(1);

    #[derive(Default)]
    struct Armed {
        faults: Vec<Fault>,
        bugs: Vec<Bug>,
        /// Operations so far, indexed by point.
        hits: [u64; Point::ALL.len()],
    }

    struct Fault {
        point: Point,
        operations: RangeInclusive<u64>,
        how: How,
    }

    /// A simulated bug: a panic at a batch of records whose values hold all of `texts`.
    struct Bug {
        texts: Vec<String>,
        is_once: bool,
    }

    #[derive(Clone, Copy)]
    enum How {
        Eio,
        Enospc,
        Panic,
        Damage,
        Delay,
        Stall,
    }

    static ARMED: LazyLock<Mutex<Armed>> =
        LazyLock::new(|| Mutex::new(Armed::of(&env::var("MAPFOLD_FAIL").unwrap_or_default())));

    fn state() -> MutexGuard<'static, Armed> {
        ARMED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms `faults`, written as in `MAPFOLD_FAIL`, in place of all others. Operations are counted from zero again.
    pub fn arm(faults: &str) {
        *state() = Armed::of(faults);
    }

    /// Returns the number of operations of `point` so far.
    pub fn hits(point: Point) -> u64 {
        state().hits[point as usize]
    }

    impl Armed {
        fn of(faults: &str) -> Armed {
            let faults = faults.split(',').map(str::trim).filter(|fault| !fault.is_empty());
            let mut state = Armed::default();
            for text in faults {
                match (Bug::of(text), Fault::of(text)) {
                    (Some(bug), _) => state.bugs.push(bug),
                    (None, Some(fault)) => state.faults.push(fault),
                    (None, None) => panic!("MAPFOLD_FAIL: what is {text:?}?"),
                }
            }
            state
        }
    }

    impl Bug {
        fn of(text: &str) -> Option<Bug> {
            let (texts, how) = text.strip_prefix("record:")?.split_once('=')?;
            let is_once = match how {
                "panic" => false,
                "once" => true,
                _ => return None,
            };
            Some(Bug { texts: texts.split('&').map(str::to_owned).collect(), is_once })
        }

        fn is_hit_by<'a>(&self, values: &(impl Iterator<Item = &'a [u8]> + Clone)) -> bool {
            let holds = |text: &String| values.clone().any(|value| memmem::find(value, text.as_bytes()).is_some());
            self.texts.iter().all(holds)
        }
    }

    impl Fault {
        fn of(text: &str) -> Option<Fault> {
            let (place, how) = text.split_once('=')?;
            let (name, which) = place.split_once(':')?;
            let operations = match which.strip_suffix('+') {
                Some(first) => first.parse().ok()?..=u64::MAX,
                None => which.parse().ok()?..=which.parse().ok()?,
            };
            let how = match how {
                "eio" => How::Eio,
                "enospc" => How::Enospc,
                "panic" => How::Panic,
                "damage" => How::Damage,
                "delay" => How::Delay,
                "stall" => How::Stall,
                _ => return None,
            };
            let point = *Point::ALL.iter().find(|point| point.name() == name)?;
            Some(Fault { point, operations, how })
        }
    }

    thread_local! {
        static IS_UNCOUNTED: Cell<bool> = const { Cell::new(false) };
    }

    /// While this lives, operations of its thread don't count.
    pub struct Uncounted;

    impl Uncounted {
        pub fn begin() -> Self {
            IS_UNCOUNTED.set(true);
            Uncounted
        }
    }

    impl Drop for Uncounted {
        fn drop(&mut self) {
            IS_UNCOUNTED.set(false);
        }
    }

    pub fn hit(point: Point, bytes: &mut [u8]) -> io::Result<()> {
        if IS_UNCOUNTED.get() {
            return Ok(());
        }
        let how = {
            let Armed { faults, hits, .. } = &mut *state();
            hits[point as usize] += 1;
            let hit = |fault: &&Fault| fault.point == point && fault.operations.contains(&hits[point as usize]);
            faults.iter().find(hit).map(|fault| fault.how)
        };
        match how {
            None => {}
            Some(How::Eio) => return Err(Errno::IO.into()),
            Some(How::Enospc) => return Err(Errno::NOSPC.into()),
            Some(How::Panic) => panic!("failpoint {}", point.name()),
            Some(How::Damage) => {
                let middle = bytes.len() / 2;
                bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 0x10);
            }
            Some(How::Delay) => thread::sleep(DELAY),
            Some(How::Stall) => thread::sleep(STALL),
        }
        Ok(())
    }

    pub fn records<'a>(values: &(impl Iterator<Item = &'a [u8]> + Clone)) {
        if IS_UNCOUNTED.get() {
            return;
        }
        let bugs = &mut state().bugs;
        if let Some(hit) = bugs.iter().position(|bug| bug.is_hit_by(values)) {
            let is_once = bugs[hit].is_once;
            let texts = if is_once { bugs.remove(hit).texts } else { bugs[hit].texts.clone() };
            panic!("failpoint {}", texts.join(" and "));
        }
    }
}
