"""Measure the combiner where it should pay and where it can't. Run it through benches/combiner.sh.

`mapfold bench` does the measuring. This script runs it on each input, and says in one table where combining pays, where
it costs, and what `auto` chose.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measure import DATA, MAPFOLD, RESULTS, ROOT, machine, warm, write_section


@dataclass
class Work:
    title: str
    job: str
    file: str


WORKS = {
    "W1": Work("words between white space of the Linux source", "benches/specs/whitespace.json", "linux.txt"),
    "W2": Work("runs of ASCII letters of the same", "benches/specs/letters.json", "linux.txt"),
    "U1": Work("lines of which every third has occurred before", "uniq", "lines.txt"),
    "D": Work("lines that are all distinct", "uniq", "distinct.txt"),
}


def bench(work: Work, runs: int) -> tuple[dict, str]:
    """Returns what `mapfold bench` measured, as JSON and as Markdown."""
    with tempfile.TemporaryDirectory(prefix="mapfold-combiner-") as name:
        exports = [Path(name) / "bench.json", Path(name) / "bench.md"]
        command = [MAPFOLD, "bench", work.job, str(DATA / work.file), "--vary", "combiner=on,off,auto"]
        command += ["--runs", str(runs), "--export-json", str(exports[0]), "--export-md", str(exports[1])]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"error: {' '.join(command)}: exit {done.returncode}")
        return json.loads(exports[0].read_text()), exports[1].read_text()


def ratio(measured: dict, value: str) -> str:
    wall = next(each["wall"] for each in measured["comparisons"] if each["value"] == value)
    return f"{wall['ratio']:.2f} ({wall['low']:.2f} to {wall['high']:.2f})"


def row(key: str, work: Work, measured: dict) -> str:
    summaries = {each["value"]: each for each in measured["summary"]}
    counters = {value: each["counters"] for value, each in summaries.items()}

    def saved(value: str) -> str:
        return f"{100 * counters[value]['shuffle_bytes_saved'] / counters[value]['map_output_bytes']:.1f} %"

    auto = counters["auto"]
    combined = 100 * auto["combine_input_records"] / auto["map_output_records"]
    cells = [
        f"{key}: {work.title}",
        f"{counters['off']['reduce_shuffle_bytes'] / 1e6:.0f} MB",
        saved("on"),
        f"{summaries['on']['wall_seconds']['median']:.2f} s",
        ratio(measured, "off"),
        ratio(measured, "auto"),
        f"{combined:.0f} %",
        saved("auto"),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benches/combiner.sh", description="Put the combiner on trial.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"default: all of {' '.join(WORKS)}")
    parser.add_argument("--runs", type=int, help="runs of each value, in turn (default 7; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="unoptimised, on little data: shows that it runs")
    parser.add_argument("--write", action="store_true", help="also write its section of benches/RESULTS.md")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.works if name not in WORKS]:
        parser.error(f"no work named {unknown[0]}; there are {' '.join(WORKS)}")
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing")
    runs = (2 if arguments.quick else 7) if arguments.runs is None else arguments.runs

    rows, pages = [], []
    for key in arguments.works or WORKS:
        work = WORKS[key]
        print(f"== {key}", file=sys.stderr, flush=True)
        warm(DATA / work.file)
        measured, page = bench(work, runs)
        rows.append(row(key, work, measured))
        pages += ["", f"## {key}: {work.title}", "", page.strip()]
    page = [
        "# The combiner on trial",
        "",
        f"Made by `benches/combiner.sh` on {datetime.date.today()}, which runs `mapfold bench --vary combiner=on,off,auto`: {runs} runs of each in",
        "turn. Times are of the whole process, the result written to a file. Ratios have 95 % intervals: off takes so many times as",
        "long as on, and auto takes so many times as long as on. One that leaves out 1 is a difference.",
        "",
        *machine(),
        "",
        "| work | shuffle, off | saved, on | time, on | off / on | auto / on | auto combined | saved, auto |",
        "| --- " * 8 + "|",
        *rows,
        *pages,
    ]
    print(*page, sep="\n")
    if arguments.write:
        write_section("benches/combiner.sh", page)
        print(f"wrote {RESULTS.name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
