"""Time mapfold's schedulers on inputs whose work is hard to share out. Run it through benches/skew.sh.

The schedulers take turns (A B C A B C …): on a shared machine one time says little, but the ratio within a round
holds. The times of phases, tasks and workers come from mapfold's report. All schedulers must write the same bytes.
"""

import argparse
import datetime
import hashlib
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import MAPFOLD, RESULTS, THREADS, execute, machine, warm, write_section

SCHEDULERS = ["stealing", "static", "shared"]
PHASES = ["map", "reduce"]


@dataclass
class Input:
    title: str
    name: str  # in the directory that gen_skew makes
    job: list[str]


INPUTS = {
    "uniform": Input("uniform: one file, the same all through; wordcount", "uniform.txt", ["wordcount"]),
    "uneven": Input(
        "uneven files: 400, their sizes by a power law, the largest two fifths of all; wordcount",
        "uneven",
        ["wordcount"],
    ),
    "cost": Input(
        "cost by byte: half the file few ASCII words, the other half many Cyrillic ones; wordcount",
        "cost.txt",
        ["wordcount"],
    ),
    "heavy": Input(
        "one heavy partition: four of five lines are the same; uniq without the combiner",
        "heavy.txt",
        ["uniq", "--combiner", "off"],
    ),
}


@dataclass
class Run:
    whole: float  # seconds of the process
    phase: dict[str, float]  # seconds of each phase
    busy: dict[str, float]  # share of the workers' time in a phase that they spent in its tasks
    tail: dict[str, float]  # seconds from when the first worker ran out of tasks until the last task ended
    tasks: dict[str, int]
    stolen: int
    digest: str


def measured(report: dict, whole: float, digest: str) -> Run:
    run = Run(whole, {}, {}, {}, {}, report["counters"]["stolen_tasks"], digest)
    threads = report["settings"]["threads"]
    for phase in PHASES:
        tasks = [task for task in report["tasks"] if task["id"].startswith(f"{phase}-")]
        # A worker that ran no task ran out of tasks when the first task began.
        last = dict.fromkeys(range(threads), min(task["start_s"] for task in tasks))
        for task in tasks:
            last[task["worker"]] = max(last[task["worker"]], task["end_s"])
        seconds = report["phase_seconds"][phase]
        run.phase[phase] = seconds
        run.busy[phase] = sum(task["end_s"] - task["start_s"] for task in tasks) / (threads * seconds)
        run.tail[phase] = max(last.values()) - min(last.values())
        run.tasks[phase] = len(tasks)
    return run


def once(arguments: list[str], scheduler: str, tmp: Path) -> Run:
    out, report = tmp / "out.txt", tmp / "report.json"
    flags = ["--scheduler", scheduler, "-o", str(out), "--force", "--report", str(report)]
    run = execute([MAPFOLD, "run", *arguments, *flags], tmp / "stdout.txt", {})
    if run.error:
        sys.exit(f"error: {' '.join(arguments)} with {scheduler}: {run.error}")
    return measured(json.loads(report.read_text()), run.seconds, hashlib.sha256(out.read_bytes()).hexdigest())


def median(values) -> float:
    return statistics.median(list(values))


def row(scheduler: str, runs: dict[str, list[Run]]) -> str:
    mine = runs[scheduler]
    ratios = [run.whole / first.whole for run, first in zip(mine, runs["stealing"])]
    ratio = "–" if scheduler == "stealing" else f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    cells = [f"{median(run.whole for run in mine):.2f}", ratio]
    for phase in PHASES:
        cells += [
            f"{median(run.phase[phase] for run in mine):.2f}",
            f"{100 * median(run.busy[phase] for run in mine):.0f} %",
            f"{median(run.tail[phase] for run in mine):.3f}",
        ]
    return f"| {scheduler} | {' | '.join(cells)} | {median(run.stolen for run in mine):.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benches/skew.sh", description="Time mapfold's schedulers on inputs that are hard to share out."
    )
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help=f"default: all of {' '.join(INPUTS)}")
    parser.add_argument("--rounds", type=int, help="runs of each scheduler, in turn (default 7; 1 with --quick)")
    parser.add_argument("--threads", type=int, default=THREADS, help=f"workers (default: one a core, here {THREADS})")
    parser.add_argument("--quick", action="store_true", help="unoptimised, on little data: shows that it runs")
    parser.add_argument("--write", action="store_true", help="also write its section of benches/RESULTS.md")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.inputs if name not in INPUTS]:
        parser.error(f"no input named {unknown[0]}; there are {' '.join(INPUTS)}")
    rounds = (1 if arguments.quick else 7) if arguments.rounds is None else arguments.rounds
    if rounds < 1 or arguments.threads < 1:
        parser.error("--rounds and --threads must be at least 1")
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing")
    data = Path(os.environ["MAPFOLD_SKEW_DATA"])

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    say("# Schedulers on inputs that are hard to share out", "")
    say(f"Made by `benches/skew.sh` on {datetime.date.today()}, rounds in turn: {rounds}, workers: {arguments.threads}.")
    say("Whole is the process, the result written to a file; a ratio is the median of the ratios within each round, with")
    say("their range: above 1, stealing was faster. Busy is the share of the workers' time in a phase that they spent in")
    say("its tasks, idle tail the time from when the first worker ran out of tasks until the last task ended. Times are")
    say("medians, in seconds.")
    say("", *machine(), "")
    fine = True
    with tempfile.TemporaryDirectory(prefix="mapfold-skew-", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        for key in arguments.inputs or INPUTS:
            chosen = INPUTS[key]
            print(f"== {key}", file=sys.stderr, flush=True)
            path = data / chosen.name
            warm(path)
            command = [*chosen.job, str(path), "--threads", str(arguments.threads)]
            runs: dict[str, list[Run]] = {scheduler: [] for scheduler in SCHEDULERS}
            for _ in range(rounds):
                for scheduler in SCHEDULERS:
                    runs[scheduler].append(once(command, scheduler, Path(name)))
            tasks = " and ".join(f"{count} {phase}" for phase, count in runs["stealing"][0].tasks.items())
            say(f"## {chosen.title}", "", f"{tasks} tasks.", "")
            say("| scheduler | whole | ratio | map | busy | idle tail | reduce | busy | idle tail | stolen |")
            say("| --- " * 10 + "|", *(row(scheduler, runs) for scheduler in SCHEDULERS), "")
            if len({run.digest for each in runs.values() for run in each}) > 1:
                say("**The results differ.**", "")
                fine = False
    page.pop()  # the empty line at the end
    if arguments.write:
        write_section("benches/skew.sh", page)
        print(f"wrote {RESULTS.name}", file=sys.stderr)
    if not fine:
        print("error: results differ: see the tables", file=sys.stderr)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
