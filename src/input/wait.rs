//! Waits for bytes that somebody else has yet to write. A wait ends when the source's time is over, or when the bytes
//! aren't wanted any more.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use smallvec::SmallVec;

use super::gauge::Gauge;

/// Asks readers to end. Each reader hands over the whole records that it holds, and reads no more. Copies ask the same
/// readers.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Asked>);

#[derive(Debug)]
struct Asked {
    is_asked: AtomicBool,
    /// Readable once the stop is asked for, and from then on. A reader that polls it beside a source wakes at once.
    event: OwnedFd,
}

impl Stop {
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Stop(Arc::new(Asked { is_asked: AtomicBool::new(false), event })))
    }

    pub fn now(&self) {
        if !self.0.is_asked.swap(true, Ordering::AcqRel) {
            // The eventfd is a counter of eight bytes. Writing once to a counter of 0 can't fail.
            let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        }
    }

    pub fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Acquire)
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken<const N: usize> {
    /// For each descriptor, whether it can be read without waiting. That includes its end.
    Ready([bool; N]),
    Stopped,
    /// The source's time is over.
    Late,
    /// Nothing happened for the longest time that the caller wanted to wait.
    Quiet,
}

/// Waits until one of the descriptors can be read, for up to `most`.
pub fn wait<const N: usize>(
    fds: [Option<BorrowedFd<'_>>; N],
    stop: &Stop,
    gauge: &Gauge,
    most: Option<Duration>,
) -> io::Result<Woken<N>> {
    gauge.waits();
    loop {
        let left = gauge.left();
        // Checked first: reading a source that is always ready would never end otherwise.
        if stop.is_asked() {
            return Ok(Woken::Stopped);
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Woken::Late);
        }
        let polled = fds.map(|fd| match fd {
            Some(fd) => PollFd::from_borrowed_fd(fd, PollFlags::IN),
            // In place of a missing descriptor, the stop's is polled once more.
            None => PollFd::new(&stop.0.event, PollFlags::IN),
        });
        let mut polled: SmallVec<[PollFd<'_>; 5]> = polled.into_iter().collect();
        polled.push(PollFd::new(&stop.0.event, PollFlags::IN));
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
            Ok(_) if !polled[N].revents().is_empty() => return Ok(Woken::Stopped),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                return Ok(Woken::Ready(std::array::from_fn(|at| {
                    fds[at].is_some() && !polled[at].revents().is_empty()
                })));
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
    use crate::units::Span;

    fn span(text: &str) -> Option<Span> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn what_wakes_a_wait() {
        let (stop, forever) = (Stop::new().unwrap(), Gauge::start(None));
        let (one, mut to_one) = io::pipe().unwrap();
        let (other, mut to_other) = io::pipe().unwrap();
        let both = [Some(one.as_fd()), Some(other.as_fd())];
        let tick = Some(Duration::from_millis(1));
        assert_eq!(wait(both, &stop, &forever, tick).unwrap(), Woken::Quiet);
        assert_eq!(wait(both, &stop, &Gauge::start(span("1ms")), None).unwrap(), Woken::Late);
        to_other.write_all(b"x").unwrap();
        assert_eq!(wait(both, &stop, &forever, None).unwrap(), Woken::Ready([false, true]));
        to_one.write_all(b"x").unwrap();
        assert_eq!(wait(both, &stop, &forever, None).unwrap(), Woken::Ready([true, true]));
        assert_eq!(wait([both[0], None], &stop, &forever, None).unwrap(), Woken::Ready([true, false]));
        // Bytes that are ready don't keep a late source from ending.
        let late = Gauge::start(span("1ms"));
        thread::sleep(Duration::from_millis(2));
        assert_eq!(wait(both, &stop, &late, None).unwrap(), Woken::Late);
        stop.clone().now();
        late.pause();
        assert_eq!(wait(both, &stop, &late, None).unwrap(), Woken::Stopped);
    }

    #[test]
    fn a_stop_is_heard_at_once() {
        let stop = Stop::new().unwrap();
        let (silent, _writer) = io::pipe().unwrap();
        let asked = stop.clone();
        thread::scope(|scope| {
            let wait = scope.spawn(|| wait([Some(silent.as_fd()), None], &stop, &Gauge::start(None), None).unwrap());
            thread::sleep(Duration::from_millis(20));
            asked.now();
            assert_eq!(wait.join().unwrap(), Woken::Stopped);
        });
    }
}
