"""Ask ten sources, of which one is slow, for an answer in time. Run it through benches/fanout.sh.

Four sources are files, three are FIFOs and three are commands. The last command takes ten times as long as all the
others together. Half of the records have one key. Every answer, partial or not, is compared with what Python counts in
the bytes that the report says are covered.
"""

import argparse
import datetime
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from measure import MAPFOLD, RESULTS, ROOT, machine, warm, write_section

SOURCES = 10
FILES, FIFOS = range(0, 4), range(4, 7)
SLOW = SOURCES - 1
FAST_SECONDS = 0.5  # about what the other nine take together
SLOW_SECONDS = 10 * FAST_SECONDS
PATHS = 5000
BLOCK = 1 << 20  # a source repeats a block of about this many bytes
DEADLINES = [0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10]
PLOT = ROOT / "benches" / "fanout.svg"
# Seconds that a process may take to start and to end, beyond its deadline.
GRACE = 0.1

SETTINGS = {
    "stealing, combining": [],
    "static, combining": ["--scheduler", "static"],
    "stealing, no combiner": ["--combiner", "off"],
    "static, no combiner": ["--scheduler", "static", "--combiner", "off"],
}


def block(source: int) -> bytes:
    """Returns lines of a log, `PATH CLIENT BYTES`. The path of every second line is `/`."""
    draw = random.Random(source)
    lines, size = [], 0
    while size < BLOCK:
        path = "/" if draw.random() < 0.5 else f"/page/{int(PATHS * draw.random() ** 2)}"
        lines.append(f"{path} 192.0.2.{draw.randrange(256)} {draw.randrange(100_000)}\n".encode())
        size += len(lines[-1])
    return b"".join(lines)


def tally(lines: bytes) -> Counter:
    """Counts requests and bytes by path."""
    counts: Counter = Counter()
    for line in lines.splitlines():
        path, _, size = line.split(b" ")
        counts[path, "requests"] += 1
        counts[path, "bytes"] += int(size)
    return counts


class Source:
    """A block of lines, repeated, so that the content of any part of the source is counted quickly."""

    def __init__(self, number: int, data: Path, mebibytes: int):
        self.name = f"web{number}"
        self.block = block(number)
        self.times = mebibytes
        self.bytes = len(self.block) * mebibytes
        self.whole = tally(self.block)
        self.path = data / self.name
        if not self.path.exists() or self.path.stat().st_size != self.bytes:
            with self.path.open("wb") as file:
                for _ in range(mebibytes):
                    file.write(self.block)

    def until(self, offset: int) -> Counter:
        """Returns the tally of the lines before this byte."""
        times, rest = divmod(offset, len(self.block))
        counts = Counter({key: count * times for key, count in self.whole.items()})
        counts.update(tally(self.block[:rest]))
        return counts


def pace(path: str, seconds: float) -> None:
    """Print a file within this many seconds."""
    size, begun, done = os.path.getsize(path), time.monotonic(), 0
    with open(path, "rb") as file:
        while done < size:
            due = int(size * min(1, (time.monotonic() - begun) / seconds))
            if due > done:
                sys.stdout.buffer.write(file.read(due - done))
                sys.stdout.buffer.flush()
                done = due
            time.sleep(0.005)


def part(path: str, size: int, then: str, marker: str) -> None:
    """Print a part of a file, then hang or be killed. With `once`, be killed without the marker, and else print on."""
    with open(path, "rb") as file:
        sys.stdout.buffer.write(file.read(size))
        sys.stdout.buffer.flush()
        if then == "hang":
            time.sleep(1000)
        if then == "kill" or not os.path.exists(marker):
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        sys.stdout.buffer.write(file.read())


@dataclass
class Fault:
    """A fault of one source: it hangs, is slow, or is killed, always or only the first time that it is read."""

    source: int
    kind: str
    deadline: float

    @classmethod
    def draw(cls, draw: random.Random) -> "Fault":
        kind = draw.choice(["hang", "slow", "kill", "once"])
        # The job can't tell a FIFO whose writer is killed from a FIFO that has ended.
        source = draw.randrange(FIFOS.start if kind in ("hang", "slow") else FIFOS.stop, SOURCES)
        return cls(source, kind, draw.uniform(0.3, 2))

    def command(self, source: "Source", marker: Path) -> list[str]:
        if self.kind == "slow":
            return [sys.executable, __file__, "--pace", str(source.path), str(SLOW_SECONDS)]
        size = source.bytes // 8
        return [sys.executable, __file__, "--part", str(source.path), str(size), self.kind, str(marker)]


@dataclass
class Run:
    seconds: float
    share: float  # covered share of the bytes of all sources
    whole: int  # number of sources of which nothing is missing
    status: str
    counters: dict
    wrong: str = ""


class Fanout:
    def __init__(self, data: Path, mebibytes: int, tmp: Path):
        self.sources = [Source(number, data, mebibytes) for number in range(SOURCES)]
        self.all = sum(source.bytes for source in self.sources)
        self.tmp = tmp
        for source in self.sources:
            warm(source.path)

    def command(self, number: int, fault: Fault) -> list[str]:
        """Returns the command that prints a source that isn't a file."""
        source = self.sources[number]
        if number == fault.source:
            return fault.command(source, self.tmp / "marker")
        return ["cat", str(source.path)]

    def inputs(self, fault: Fault) -> list:
        inputs: list = []
        for number, source in enumerate(self.sources):
            if number in FILES:
                inputs.append(str(source.path))
            elif number in FIFOS:
                inputs.append(str(self.tmp / source.name))
            else:
                retry = {"retry": True} if number == fault.source and fault.kind == "once" else {}
                inputs.append({"command": self.command(number, fault), "name": source.name, **retry})
        return inputs

    def run(self, fault: Fault, flags: list[str]) -> Run:
        (self.tmp / "marker").unlink(missing_ok=True)
        spec = self.tmp / "requests.json"
        job = {
            "input": self.inputs(fault),
            "read": {"format": "csv", "delimiter": " ", "fields": ["path", "client", "bytes"], "types": {"bytes": "int"}},
            "group_by": ["path"],
            "aggregate": [{"op": "count", "as": "requests"}, {"op": "sum", "field": "bytes", "as": "bytes"}],
            "output": {"format": "tsv"},
            "deadline": {"timeout": f"{round(fault.deadline * 1000)}ms", "on_timeout": "partial"},
        }
        spec.write_text(json.dumps(job))
        report, out = self.tmp / "report.json", self.tmp / "out.tsv"
        out.unlink(missing_ok=True)
        writers = []
        for number in FIFOS:
            fifo = self.tmp / self.sources[number].name
            fifo.unlink(missing_ok=True)
            os.mkfifo(fifo)
            shell = ["sh", "-c", 'exec > "$0"; exec "$@"', str(fifo), *self.command(number, fault)]
            writers.append(subprocess.Popen(shell, stderr=subprocess.DEVNULL))
        begun = time.perf_counter()
        command = [MAPFOLD, "run", str(spec), "-o", str(out), "--report", str(report), *flags]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begun
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        if done.returncode == 1 and fault.kind == "kill" and f"web{fault.source}: " in done.stderr:
            return Run(seconds, 0, 0, "failed", {})
        if done.returncode not in (0, 3):
            sys.exit(f"error: {fault}: exit code {done.returncode}: {done.stderr}")
        if fault.kind == "kill" and done.returncode == 0:
            return Run(seconds, 1, SOURCES, "succeeded", {}, "a source that was killed is whole")
        return self.judge(json.loads(report.read_text()), out.read_bytes(), seconds, done.returncode)

    def judge(self, report: dict, rows: bytes, seconds: float, code: int) -> Run:
        """Compare the answer with the counts of the bytes that the report doesn't call missing."""
        gaps: dict[str, list] = {}
        for missing in report["missing"]:
            gaps.setdefault(Path(missing["source"]).name, []).append((missing["from"], missing["to"]))
        expected: Counter = Counter()
        covered = 0
        for source in self.sources:
            at = 0
            for begin, end in [*gaps.get(source.name, []), (source.bytes, source.bytes)]:
                if begin > at:
                    expected.update(source.until(begin))
                    expected.subtract(source.until(at))
                    covered += begin - at
                at = source.bytes if end is None else end
        found: Counter = Counter()
        for row in rows.splitlines():
            path, requests, size = row.split(b"\t")
            found[path, "requests"], found[path, "bytes"] = int(requests), int(size)
        wrong = "" if +expected == +found else "other rows than are in what is covered"
        if (code == 3) != bool(gaps) or (report["status"] == "partial") != bool(gaps):
            wrong = f"exit code {code} and status {report['status']} with {len(gaps)} sources missing"
        return Run(seconds, covered / self.all, SOURCES - len(gaps), report["status"], report["counters"], wrong)


def median(values) -> float:
    return statistics.median(list(values))


def span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{round(seconds * 1000)} ms"


def plot(lines: dict[str, list[float]]) -> str:
    """Draws coverage by deadline, with one line per setting."""
    width, height, left, bottom, right, top = 720, 400, 60, 50, 190, 20
    low, high = math.log10(DEADLINES[0]), math.log10(DEADLINES[-1])

    def x(deadline: float) -> float:
        return left + (math.log10(deadline) - low) / (high - low) * (width - left - right)

    def y(share: float) -> float:
        return height - bottom - share * (height - bottom - top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path d="M{left} {y(share):.1f}H{width - right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for deadline in DEADLINES:
        parts.append(f'<path d="M{x(deadline):.1f} {top}V{height - bottom}" stroke="#eee"/>')
        parts.append(f'<text x="{x(deadline):.1f}" y="{height - bottom + 18}" text-anchor="middle">{span(deadline)}</text>')
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" text-anchor="middle">deadline</text>')
    colours = ["#0b6e4f", "#c1440e", "#3457a6", "#8a5a9e"]
    for number, ((name, shares), colour) in enumerate(zip(lines.items(), colours)):
        points = " ".join(f"{x(deadline):.1f},{y(share):.1f}" for deadline, share in zip(DEADLINES, shares))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<path d="M{width - right + 12} {top + 10 + 20 * number}h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{width - right + 36}" y="{top + 14 + 20 * number}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    if sys.argv[1:2] == ["--pace"]:
        pace(sys.argv[2], float(sys.argv[3]))
        return 0
    if sys.argv[1:2] == ["--part"]:
        part(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
        return 0
    parser = argparse.ArgumentParser(
        prog="benches/fanout.sh", description="Ask ten sources, one of them slow, for an answer in time."
    )
    parser.add_argument("--runs", type=int, default=100, help="runs with a deadline of a second (default 100)")
    parser.add_argument("--faults", type=int, default=200, help="runs in which one source hangs, is slow or is killed (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each deadline and setting, in turn (default 5)")
    parser.add_argument("--quick", action="store_true", help="unoptimised, on little data: shows that it runs")
    parser.add_argument("--write", action="store_true", help=f"also write its section of {RESULTS.name} and {PLOT.name}")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing")
    runs, rounds, faults = (3, 1, 8) if arguments.quick else (arguments.runs, arguments.rounds, arguments.faults)

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    data = Path(os.environ["MAPFOLD_FANOUT_DATA"])
    data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mapfold-fanout-", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        fanout = Fanout(data, int(os.environ["MAPFOLD_FANOUT_MEBIBYTES"]), Path(name))
        by_setting: dict[str, dict[float, list[Run]]] = {s: {d: [] for d in DEADLINES} for s in SETTINGS}
        for round_ in range(rounds):
            print(f"== round {round_ + 1} of {rounds}", file=sys.stderr, flush=True)
            for deadline in DEADLINES:
                for setting, flags in SETTINGS.items():
                    by_setting[setting][deadline].append(fanout.run(Fault(SLOW, "slow", deadline), flags))
        print(f"== {runs} runs", file=sys.stderr, flush=True)
        many = [fanout.run(Fault(SLOW, "slow", 1), []) for _ in range(runs)]
        print(f"== {faults} runs with faults", file=sys.stderr, flush=True)
        draw = random.Random(faults)
        drawn = [Fault.draw(draw) for _ in range(faults)]
        settings = list(SETTINGS.values())
        faulty = [fanout.run(fault, settings[number % len(settings)]) for number, fault in enumerate(drawn)]

    every = [*many, *faulty, *(run for of in by_setting.values() for each in of.values() for run in each)]
    wrong = [run.wrong for run in every if run.wrong]
    say("# Ten sources, one of them slow", "")
    say(f"Made by `benches/fanout.sh` on {datetime.date.today()}; runs of each setting and deadline, in turn: {rounds}.")
    say(f"Ten sources of {fanout.sources[0].bytes / 1e6:.0f} MB: four files, three FIFOs, three commands. The last command takes {SLOW_SECONDS:g} s to")
    say("print what the others bring at once. Requests and bytes are added up by path; half of the records have one path.")
    say("Answers are partial where the deadline says so. Each was compared with what Python counts in the bytes that are")
    say(f"covered: {len(every) - len(wrong)} of {len(every)} were the same.")
    say("", *machine(), "")
    say("| deadline | answer is out after (most) | bytes covered | sources whole |", "| --- " * 4 + "|")
    first = by_setting[next(iter(SETTINGS))]
    for deadline, each in first.items():
        late = max(run.seconds for run in each)
        say(
            f"| {span(deadline)} | {median(run.seconds for run in each):.3f} s ({late:.3f}) "
            f"| {100 * median(run.share for run in each):.1f} % | {median(run.whole for run in each):g} of {SOURCES} |"
        )
    in_time = sum(run.seconds <= 1 + GRACE for run in many)
    say("", f"With a deadline of a second the answer was out within {1 + GRACE:g} s in {in_time} of {len(many)} runs: after "
        f"{median(run.seconds for run in many):.3f} s, at most {max(run.seconds for run in many):.3f} s.", "")
    kept = sum(run.seconds <= fault.deadline + GRACE for fault, run in zip(drawn, faulty))
    late = max((run.seconds - fault.deadline for fault, run in zip(drawn, faulty)), default=0)
    kinds = Counter(fault.kind for fault in drawn)
    failed = sum(run.status == "failed" for run in faulty)
    say(f"In {len(faulty)} runs more one source, drawn at random, hung ({kinds['hang']}), was slow ({kinds['slow']}), was killed ({kinds['kill']}), or was "
        f"killed once and may be run again ({kinds['once']}), with deadlines from 0.3 to 2 s: {kept} were out in time, the last {late:+.3f} s "
        f"from its deadline. {failed} failed, as a source that ends badly is no matter of time, and named it; all others were right.", "")
    say("What stealing and the combiner are worth: bytes covered by deadline, and what was shuffled of all of it.", "")
    shown = [deadline for deadline in DEADLINES if deadline <= 1]
    say(f"| setting | {' | '.join(map(span, shown))} | shuffled | saved |", "| --- " * (len(shown) + 3) + "|")
    for setting, of in by_setting.items():
        shares = [f"{100 * median(run.share for run in of[deadline]):.1f} %" for deadline in shown]
        whole = of[DEADLINES[-1]][0].counters
        say(
            f"| {setting} | {' | '.join(shares)} | {whole['reduce_shuffle_bytes'] / 1e6:.2f} MB "
            f"| {whole['shuffle_bytes_saved'] / 1e6:.1f} MB |"
        )
    say("", f"![Share of the bytes that the answer covers, by deadline]({PLOT.name})")
    if arguments.write:
        write_section("benches/fanout.sh", page)
        PLOT.write_text(plot({s: [median(run.share for run in of[d]) for d in DEADLINES] for s, of in by_setting.items()}))
        print(f"wrote {RESULTS.name} and {PLOT.name}", file=sys.stderr)
    for why in sorted(set(wrong)):
        print(f"error: {why}", file=sys.stderr)
    # An unoptimised build on a busy machine may be late.
    is_late = not arguments.quick and (in_time < len(many) or kept < len(faulty))
    return 1 if wrong or is_late else 0


if __name__ == "__main__":
    sys.exit(main())
