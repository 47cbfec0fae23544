//! Waiting for bytes that somebody else has yet to write: never past a source's time, and no longer than it is wanted.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::panics::lock;
use crate::units::Span;

/// Asks readers to end: each hands over the whole records that it holds, and reads no more. A copy asks the same readers.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Asked>);

#[derive(Debug)]
struct Asked {
    is_asked: AtomicBool,
    /// Can be read once it is asked, and stays so: whoever polls it beside a source wakes at once.
    event: OwnedFd,
}

impl Stop {
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Stop(Arc::new(Asked { is_asked: AtomicBool::new(false), event })))
    }

    pub fn now(&self) {
        if !self.0.is_asked.swap(true, Ordering::AcqRel) {
            // A counter of eight bytes: writing once to one that is 0 can't fail.
            let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        }
    }

    pub fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire)
    }
}

/// The time that a source has, from when its reading begins. It stands still while the source is not to blame: while the job
/// has no room for what was read.
#[derive(Clone, Debug)]
pub struct Clock {
    begun: Instant,
    end: Option<Instant>,
    stands_since: Option<Instant>,
    /// For how long it stood still before.
    stood: Duration,
    pub silence: Silence,
}

/// Since when a source is waited for without having brought anything, if it is. A copy is of the same source.
#[derive(Clone, Debug, Default)]
pub struct Silence(Arc<Mutex<Option<Instant>>>);

impl Silence {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.0)
    }

    pub fn has_lasted(&self, time: Duration) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= time)
    }
}

impl Clock {
    pub fn start(timeout: Option<Span>) -> Self {
        let begun = Instant::now();
        let end = timeout.and_then(|span| begun.checked_add(span.duration()));
        Clock { begun, end, stands_since: None, stood: Duration::ZERO, silence: Silence::default() }
    }

    pub fn pause(&mut self) {
        self.stands_since = Some(Instant::now());
        *self.silence.since() = None;
    }

    pub fn go_on(&mut self) {
        let Some(since) = self.stands_since.take() else { return };
        let stood = since.elapsed();
        self.stood += stood;
        if let Some(end) = &mut self.end {
            *end += stood;
        }
    }

    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The source's time that was over at `now`: without that in which the clock stood still.
    pub fn spent(&self, now: Instant) -> Duration {
        let until = self.stands_since.unwrap_or(now);
        until.saturating_duration_since(self.begun).saturating_sub(self.stood)
    }

    /// What is left. Nothing when the time is over, `None` where it has no end.
    fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Of each descriptor, whether it can be read without waiting, its end included.
    Ready([bool; 2]),
    Stopped,
    /// The source's time is over.
    Late,
    /// Nothing happened for as long as the caller wanted to wait at most.
    Quiet,
}

/// Waits until one of two descriptors can be read, for `most` at most. The first is what the source brings.
pub fn wait(fds: [Option<BorrowedFd<'_>>; 2], stop: &Stop, clock: &Clock, most: Option<Duration>) -> io::Result<Woken> {
    clock.silence.since().get_or_insert_with(Instant::now);
    loop {
        let left = clock.left();
        // Asked first: what is always ready would never end.
        if stop.is_asked() {
            return Ok(Woken::Stopped);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Woken::Late);
        }
        let mut polled: [PollFd<'_>; 3] = [None, fds[0], fds[1]].map(|fd| match fd {
            Some(fd) => PollFd::from_borrowed_fd(fd, PollFlags::IN),
            // Twice the same where there is none.
            None => PollFd::new(&stop.0.event, PollFlags::IN),
        });
        let time = match (left, most) {
            (Some(left), Some(most)) => Some(left.min(most)),
            (left, most) => left.or(most),
        };
        let time = time.map(|time| Timespec {
            tv_sec: time.as_secs().min(1 << 31) as i64,
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        match poll(&mut polled, time.as_ref()) {
            Ok(0) if most.is_some() => return Ok(Woken::Quiet),
            Ok(_) if !polled[0].revents().is_empty() => return Ok(Woken::Stopped),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                let is_ready = |at: usize| fds[at].is_some() && !polled[at + 1].revents().is_empty();
                if is_ready(0) {
                    *clock.silence.since() = None;
                }
                return Ok(Woken::Ready([is_ready(0), is_ready(1)]));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::thread;

    use super::*;

    fn span(text: &str) -> Option<Span> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn what_wakes_a_wait() {
        let (stop, forever) = (Stop::new().unwrap(), Clock::start(None));
        let (one, mut to_one) = io::pipe().unwrap();
        let (other, mut to_other) = io::pipe().unwrap();
        let both = [Some(one.as_fd()), Some(other.as_fd())];
        let tick = Some(Duration::from_millis(1));
        assert_eq!(wait(both, &stop, &forever, tick).unwrap(), Woken::Quiet);
        assert_eq!(wait(both, &stop, &Clock::start(span("1ms")), None).unwrap(), Woken::Late);
        to_other.write_all(b"x").unwrap();
        assert_eq!(wait(both, &stop, &forever, None).unwrap(), Woken::Ready([false, true]));
        to_one.write_all(b"x").unwrap();
        assert_eq!(wait(both, &stop, &forever, None).unwrap(), Woken::Ready([true, true]));
        assert_eq!(wait([both[0], None], &stop, &forever, None).unwrap(), Woken::Ready([true, false]));
        // Bytes that are there don't keep it from ending.
        let mut late = Clock::start(span("1ms"));
        thread::sleep(Duration::from_millis(2));
        assert_eq!(wait(both, &stop, &late, None).unwrap(), Woken::Late);
        stop.clone().now();
        late.pause();
        assert_eq!(wait(both, &stop, &late, None).unwrap(), Woken::Stopped);
    }

    #[test]
    fn only_what_is_brought_ends_a_silence() {
        let (stop, mut clock) = (Stop::new().unwrap(), Clock::start(None));
        let (one, mut to_one) = io::pipe().unwrap();
        let (other, mut to_other) = io::pipe().unwrap();
        let both = [Some(one.as_fd()), Some(other.as_fd())];
        let (watched, tick) = (clock.silence.clone(), Duration::from_millis(2));
        assert!(!watched.has_lasted(Duration::ZERO));
        wait(both, &stop, &clock, Some(tick)).unwrap();
        assert!(watched.has_lasted(tick) && !watched.has_lasted(Duration::from_secs(3600)));
        to_other.write_all(b"x").unwrap();
        wait(both, &stop, &clock, None).unwrap();
        assert!(watched.has_lasted(tick));
        to_one.write_all(b"x").unwrap();
        wait(both, &stop, &clock, None).unwrap();
        assert!(!watched.has_lasted(Duration::ZERO));
        // Nobody waits who has no room.
        wait([None, None], &stop, &clock, Some(tick)).unwrap();
        clock.pause();
        assert!(!watched.has_lasted(Duration::ZERO));
    }

    #[test]
    fn a_stop_is_heard_at_once() {
        let stop = Stop::new().unwrap();
        let (silent, _writer) = io::pipe().unwrap();
        let asked = stop.clone();
        thread::scope(|scope| {
            let wait = scope.spawn(|| wait([Some(silent.as_fd()), None], &stop, &Clock::start(None), None).unwrap());
            thread::sleep(Duration::from_millis(20));
            asked.now();
            assert_eq!(wait.join().unwrap(), Woken::Stopped);
        });
    }

    #[test]
    fn a_clock_stands_still() {
        let mut clock = Clock::start(span("1h"));
        let before = clock.left().unwrap();
        clock.pause();
        thread::sleep(Duration::from_millis(20));
        clock.go_on();
        assert!(before - clock.left().unwrap() < Duration::from_millis(20));
        assert_eq!(Clock::start(None).left(), None);
    }

    #[test]
    fn what_was_spent_is_the_sources_own_time() {
        for timeout in [None, span("1h")] {
            let mut clock = Clock::start(timeout);
            let (begun, stood) = (clock.begun(), Duration::from_millis(20));
            thread::sleep(stood);
            clock.pause();
            let at_pause = clock.spent(Instant::now());
            assert!(at_pause >= stood);
            thread::sleep(stood);
            assert_eq!(clock.spent(Instant::now()), at_pause);
            clock.go_on();
            let now = Instant::now();
            assert!(clock.spent(now) + stood <= now - begun);
        }
    }
}
