"""Shared by the scripts that time mapfold: running a command, the machine, and the sections of RESULTS.md."""

import contextlib
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("MAPFOLD_BENCH_DATA", ROOT / "benches" / "data")).resolve()
RESULTS = ROOT / "benches" / "RESULTS.md"
THREADS = len(os.sched_getaffinity(0))
MAPFOLD = os.environ.get("MAPFOLD", "target/release/mapfold")


@dataclass
class Run:
    seconds: float
    peak: int  # resident bytes of the largest process, if there were several
    error: str = ""
    cpu: float = 0.0  # seconds, of all cores


def execute(command: list[str], stdout: Path, env: dict[str, str], cwd: Path = ROOT) -> Run:
    """Runs the command to its end. (Its peak includes what this Python process holds, some 20 MB.)"""
    with stdout.open("wb") as sink, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=stderr, cwd=cwd, env={**os.environ, **env}
        )
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        error = ""
        if child.returncode:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip().splitlines()
            error = next((line for line in said if "Error" in line or "error" in line), f"exit {child.returncode}")
    return Run(seconds, usage.ru_maxrss * 1024, error, usage.ru_utime + usage.ru_stime)


def warm(path: Path) -> None:
    """Reads a file, or the files of a directory, into the page cache."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        with file.open("rb", buffering=0) as bytes_of_it:
            while bytes_of_it.read(1 << 22):
                pass


def first_line(*command: str) -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0 and done.stdout:
            return done.stdout.splitlines()[0].strip()
    return "not found"


def machine() -> list[str]:
    """Returns the machine and the build, as items of a list."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in cpus if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no") != "not found"
    return [
        f"- {model}, {THREADS} cores, {memory:.0f} GiB; Linux {platform.release()}",
        f"- {first_line(MAPFOLD, '--version')}, commit {first_line('git', 'rev-parse', '--short', 'HEAD')}"
        f"{' with changes' if changed else ''}, {first_line('rustc', '--version')}",
    ]


def write_section(script: str, lines: list[str]) -> None:
    """Puts `lines` in RESULTS.md in place of what `script` wrote before, or at the end. The rest is left alone."""
    begin, end = f"<!-- {script} -->\n", f"<!-- /{script} -->\n"
    text = RESULTS.read_text() if RESULTS.exists() else ""
    before, found, rest = text.partition(begin)
    if found:
        after = rest.partition(end)[2]
    else:
        before, after = (text and f"{text}\n"), ""
    RESULTS.write_text(before + begin + "".join(f"{line}\n" for line in lines) + end + after)
