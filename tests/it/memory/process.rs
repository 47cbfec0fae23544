//! A job's process and the most memory that it had.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Dir;

const MIB: u64 = 1 << 20;

/// What an optimised build has in memory of its own executable. The pages of an unoptimised one are 11 MiB more,
/// whatever the job is.
const EXECUTABLE: u64 = 6 * MIB;

/// A job that has ended. All sizes are bytes.
pub struct Measured {
    pub code: Option<i32>,
    pub stderr: String,
    /// `VmHWM` as the job's report has it, or 0 without a report.
    pub reported: u64,
    /// `VmHWM` as it was seen from outside. It never falls, so only the last milliseconds are missed. `ru_maxrss` isn't
    /// used, because it begins at what this process had.
    pub seen: u64,
    /// Pages of the executable beyond [`EXECUTABLE`].
    pub unoptimised: u64,
    pub seconds: f64,
}

impl Measured {
    /// The most resident memory of the process, mapped input included, as an optimised build would have it.
    pub fn peak(&self) -> u64 {
        self.reported.max(self.seen) - self.unoptimised
    }

    /// The budget that the job's error asks for.
    pub fn needs(&self) -> Option<u64> {
        let (_, hint) = self.stderr.split_once("hint: use --memory ")?;
        hint.split_once('M')?.0.parse::<u64>().ok().map(|mebibytes| mebibytes * MIB)
    }
}

/// Runs `mapfold` with these arguments, split at spaces, on so many threads within `budget`. The result goes to the file
/// `out`. If `piped` names a file, its bytes come through a pipe.
pub fn measure(dir: &Dir, args: &str, (threads, budget): (usize, u64), piped: Option<&str>) -> Measured {
    for old in ["out", "report.json"] {
        let _ = fs::remove_file(dir.join(old));
    }
    let args = format!("{args} --threads {threads} --memory {budget} -o out --report report.json");
    let mut command = dir.command(args.split_whitespace()).command;
    command.stdin(if piped.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::null()).stderr(File::create(dir.join("stderr")).unwrap());
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    let feed = piped.map(|name| {
        let (mut file, mut pipe) = (File::open(dir.join(name)).unwrap(), child.stdin.take().unwrap());
        // A job that fails closes its end.
        thread::spawn(move || match io::copy(&mut file, &mut pipe) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("{error}"),
            _ => {}
        })
    });
    let (mut seen, mut executable) = (0, 0);
    let status = loop {
        seen = seen.max(peak_of(&child).unwrap_or(0));
        executable = executable.max(executable_of(&child).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let seconds = started.elapsed().as_secs_f64();
    feed.into_iter().for_each(|feed| feed.join().unwrap());
    let report = fs::read(dir.join("report.json")).ok();
    let report = report.map(|report| serde_json::from_slice::<Value>(&report).unwrap());
    Measured {
        code: status.code(),
        stderr: fs::read_to_string(dir.join("stderr")).unwrap(),
        reported: report.map_or(0, |report| report["peak_rss_bytes"].as_u64().unwrap()),
        seen,
        unoptimised: executable.saturating_sub(EXECUTABLE),
        seconds,
    }
}

/// Returns the number of a line like `VmHWM:  1234 kB`, in bytes.
fn bytes(line: &str) -> Option<u64> {
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn peak_of(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find(|line| line.starts_with("VmHWM:")).and_then(bytes)
}

/// Returns how much of its executable the process has in memory.
fn executable_of(child: &Child) -> Option<u64> {
    let proc = format!("/proc/{}", child.id());
    let executable = fs::read_link(format!("{proc}/exe")).ok()?;
    let maps = fs::read_to_string(format!("{proc}/smaps")).ok()?;
    let (mut is_its, mut sum) = (false, 0);
    for line in maps.lines() {
        if line.starts_with("Rss:") {
            sum += if is_its { bytes(line)? } else { 0 };
        } else if line.split_whitespace().next().is_some_and(|word| word.contains('-')) {
            is_its = line.ends_with(executable.to_str()?);
        }
    }
    Some(sum)
}
