//! Writes the last message before the process ends because of a signal, a deadline or a lack of memory. The message is
//! written only if standard error takes it. Standard error may be a pipe that nobody reads or a stopped terminal.
//! Writing to it must not keep the process from ending.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anstream::AutoStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::line;

/// How long standard error may take until it accepts more.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Bytes of one write: a pipe that accepts anything accepts this many at once (PIPE_BUF).
const AT_ONCE: usize = 4096;

pub fn say(text: &str) {
    // This is asked first, because erasing the line writes too.
    if takes_more() {
        line::try_end();
        let mut styled = AutoStream::new(Vec::new(), AutoStream::choice(&io::stderr()));
        let _ = styled.write_all(text.as_bytes());
        put(&styled.into_inner());
    }
}

/// Writes `bytes` to standard error. Allocates nothing, and doesn't take the lock of standard error, because its holder
/// may be stuck.
pub fn put(bytes: &[u8]) {
    for part in bytes.chunks(AT_ONCE) {
        if !takes_more() || rustix::io::write(io::stderr(), part).is_err() {
            return;
        }
    }
}

fn takes_more() -> bool {
    let stderr = io::stderr();
    let mut asked = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
    poll(&mut asked, Some(&PATIENCE)).is_ok() && asked[0].revents().contains(PollFlags::OUT)
}
