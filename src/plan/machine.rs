//! Finds how many threads, how much memory and which spill directory the job gets on this machine.
//!
//! Memory is the least of three limits: the machine's memory, the limit of the process's address space (`ulimit -v`),
//! and the limits of its control groups, versions 1 and 2, its own and those above it. A job's default is half of that.
//! The other half is left to the page cache, which holds the job's runs and input.

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use super::Settings;
use crate::error::{Error, Result, reason, shown};
use crate::input::{Source, decoders};
use crate::units::{argument, size};

/// The least memory that a job accepts in bytes: so much for the process, and so much for each thread.
const LEAST_OF_PROCESS: u64 = 12 << 20;
const LEAST_OF_THREAD: u64 = 2 << 20;

/// Returns the least memory that a job with so many threads accepts, in bytes.
pub fn least_memory(threads: usize) -> u64 {
    LEAST_OF_PROCESS + LEAST_OF_THREAD * threads as u64
}

/// The most threads that are started, unless there are more cores. An idle worker looks for work with every other
/// worker, so the cost of idle workers grows with the square of their number: with 20 KB of input on two cores 256 took
/// 0.1 s, 1024 took 5 s and 4096 took 46 s.
const MOST_THREADS: usize = 256;

/// Returns the number of threads to start, and the memory of the job in bytes. By default there are as many threads as
/// cores that this process may use, as limited by affinity and control groups, or as many as the memory suffices for.
pub(super) fn threads_and_memory(threads: Option<usize>, memory: Option<u64>) -> Result<(usize, u64)> {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let threads = threads.map(|asked| asked.min(MOST_THREADS.max(cores)));
    let least = least_memory(threads.unwrap_or(1));
    let memory = match memory {
        Some(bytes) if bytes < least => return Err(too_little(bytes, threads)),
        Some(bytes) => bytes,
        None => (usable_memory() / 2).max(least),
    };
    let most = usize::try_from((memory - LEAST_OF_PROCESS) / LEAST_OF_THREAD).unwrap_or(usize::MAX);
    Ok((threads.unwrap_or(cores.min(most)), memory))
}

/// Limits the decoders of the sources to the memory of the job. If the number of threads wasn't asked for, takes as few
/// of them as leave enough memory for the decoders.
pub(super) fn limit_decoders(sources: &mut [Source], is_asked: bool, settings: &mut Settings) -> Result<()> {
    let Settings { threads, memory, .. } = settings;
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let most = if is_asked { *threads } else { cores.max(*threads) };
    while !is_asked && *threads > 1 && *memory < least_memory(*threads) + decoders::least(sources, *threads) {
        *threads -= 1;
    }
    decoders::limit(sources, decoders::Threads { now: *threads, most }, *memory, least_memory)
}

fn too_little(bytes: u64, threads: Option<usize>) -> Error {
    let threads = threads.unwrap_or(1);
    let of = if threads > 1 { format!(" for {threads} threads") } else { String::new() };
    let fewer = if bytes < least_memory(1) { "" } else { ", or fewer --threads" };
    Error::usage_hint(
        format!("memory of {} is too little{of}", size(bytes)),
        format!("use --memory {}{fewer}", argument(least_memory(threads))),
    )
}

fn usable_memory() -> u64 {
    /// The memory assumed if no limit is known.
    const UNKNOWN: u64 = 2 << 30;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let limits = [
        physical_memory(&read("/proc/meminfo")),
        control_group_memory(&read("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        getrlimit(Resource::As).current,
    ];
    limits.into_iter().flatten().min().unwrap_or(UNKNOWN)
}

/// `MemTotal` of /proc/meminfo, in bytes.
fn physical_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Returns the least limit of the groups that /proc/self/cgroup names, below `mount`. Inside a container the path is
/// often the host's and isn't mounted; the mounted root is then the container's own group.
fn control_group_memory(groups: &str, mount: &Path) -> Option<u64> {
    groups.lines().filter_map(|line| group_memory(line, mount)).min()
}

/// Returns the least limit of one line's group and the groups above it. The line is `0::/path` in version 2, and
/// `5:memory:/path` in version 1.
fn group_memory(line: &str, mount: &Path) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, file) = match controllers {
        "" => (mount.to_owned(), "memory.max"),
        list if list.split(',').any(|name| name == "memory") => (mount.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    let group = root.join(path.trim_start_matches('/'));
    let above = group.ancestors().take_while(|directory| directory.starts_with(&root));
    // A group without a limit says "max", or in version 1 a number beyond any memory.
    above.filter_map(|directory| fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok()).min()
}

/// Returns the directories in which a job makes its own: those asked for, else `$TMPDIR`, else /var/tmp, which unlike
/// /tmp is on a disk.
pub(super) fn spill_dirs(asked: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let from_environment = || env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    match (asked, from_environment()) {
        ([], Some(directory)) => Ok(vec![usable(directory, "$TMPDIR")?]),
        ([], None) => Ok(vec![usable("/var/tmp".into(), "the default")?]),
        (asked, _) => asked.iter().map(|directory| usable(directory.clone(), "--spill-dir")).collect(),
    }
}

/// Returns the directory if a job can make files in it. Messages say that it was `named_by` that.
fn usable(directory: PathBuf, named_by: &str) -> Result<PathBuf> {
    let refuse = |what: &str| {
        Err(Error::usage_hint(
            format!("spill directory {} ({named_by}): {what}", shown(&directory)),
            "name a directory on a disk with free space with --spill-dir",
        ))
    };
    match fs::metadata(&directory) {
        Err(e) => return refuse(&reason(&e)),
        Ok(metadata) if !metadata.is_dir() => return refuse("not a directory"),
        Ok(_) => {}
    }
    if let Err(e) = access(&directory, Access::WRITE_OK | Access::EXEC_OK) {
        return refuse(&reason(&e.into()));
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_asked_for() {
        let threads = |asked, memory| threads_and_memory(asked, memory).unwrap().0;
        let cores = threads(None, Some(1 << 40));
        assert_eq!([1, 3, 256].map(|asked| threads(Some(asked), None)), [1, 3, 256]);
        assert_eq!(threads(Some(4096), None), cores.max(256));
        assert_eq!(threads(Some(cores), None), cores);
        assert_eq!(threads(None, Some(14 << 20)), 1);
        assert_eq!(threads(None, Some(16 << 20)), cores.min(2));
    }

    #[test]
    fn memory_of_the_machine() {
        let meminfo = "MemTotal:        8123456 kB\nMemFree:          123456 kB\n";
        assert_eq!(physical_memory(meminfo), Some(8_123_456 * 1024));
        assert_eq!(physical_memory(""), None);
        assert!(usable_memory() > least_memory(1));
    }

    #[test]
    fn memory_of_control_groups() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/memory.max", "5000000\n");
        write("a/b/memory.max", "max\n");
        write("memory/memory.limit_in_bytes", "7000000\n");
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |groups: &str| control_group_memory(groups, mount.path());
        assert_eq!(limit("0::/a/b\n"), Some(5_000_000));
        assert_eq!(limit("0::/\n"), None);
        assert_eq!(limit("12:cpu,cpuacct:/c\n5:memory:/c\n0::/\n"), Some(7_000_000));
        assert_eq!(limit("5:memory:/docker/of-the-host\n"), Some(7_000_000));
        assert_eq!(limit("5:cpu:/a\nnonsense\n"), None);
    }

    #[test]
    fn memory_asked_for() {
        for (threads, least) in [(1, 14), (2, 16), (8, 28)] {
            assert_eq!(threads_and_memory(Some(threads), Some(least << 20)).unwrap(), (threads, least << 20));
        }
        for (threads, bytes, message, hint) in [
            (None, 1000, "memory of 1000 bytes is too little", "use --memory 14M"),
            (Some(1), 13 << 20, "memory of 13 MiB is too little", "use --memory 14M"),
            (Some(2), 13 << 20, "memory of 13 MiB is too little for 2 threads", "use --memory 16M"),
            (Some(8), 16 << 20, "memory of 16 MiB is too little for 8 threads", "use --memory 28M, or fewer --threads"),
        ] {
            let error = threads_and_memory(threads, Some(bytes)).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (message, Some(hint)));
        }
        for threads in [None, Some(1), Some(256)] {
            let (threads, memory) = threads_and_memory(threads, None).unwrap();
            assert!(memory >= least_memory(threads));
        }
    }

    #[test]
    fn spill_directory_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().to_owned();
        assert_eq!(spill_dirs(&[own.clone(), own.clone()]).unwrap(), [own.clone(), own.clone()]);
        let message = |path: &Path| spill_dirs(&[own.clone(), path.to_owned()]).unwrap_err().to_string();
        assert!(message(&dir.path().join("none")).ends_with("/none (--spill-dir): no such file or directory"));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(message(&dir.path().join("file")).ends_with("/file (--spill-dir): not a directory"));
    }
}
