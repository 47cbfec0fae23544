"""Time mapfold and other tools within budgets of memory. Run it through benches/memory.sh.

The work is U1 of benches/peers.py, unordered and ordered by line, with budgets from 24M to 4G. The tools take turns
(A B A B …), and the result is removed after each run. Each tool is told its budget in its own way, and its peak is what
its process really took: the largest resident set, with mapped input. The tools' results must have equally many rows
and, if ordered, equal bytes at every budget.
"""

import argparse
import datetime
import importlib.util
import json
import math
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from measure import DATA, MAPFOLD, RESULTS, ROOT, THREADS, Run, warm, write_section
from peers import Result, measure, shown, versions
from works import CLICKHOUSE_LINES, DUCKDB_LINES, LINES, Tool, Work, clickhouse, duckdb, mapfold, path, shell

MIB = 1 << 20
BUDGETS = [24, 32, 64, 128, 256, 512, 1024, 2048, 4096]  # MiB
PLOT = ROOT / "benches" / "memory.svg"
SORT = "sort, uniq -c"
# Pages of its executable that an unoptimised build has in memory beyond those of an optimised one.
UNOPTIMISED = 12 * MIB

# Runs a command, and writes its seconds and peak to a file. The peak of a process begins at what the process that
# started it had. This one is small: it has neither `site` nor any module that isn't in every Python.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as out:
    out.write("[%f, %d]" % (seconds, usage.ru_maxrss * 1024))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass
class Cell:
    """The runs of a tool within a budget."""

    runs: list[Run] = field(default_factory=list)

    def good(self) -> list[Run]:
        return [run for run in self.runs if not run.error]

    def seconds(self) -> float | None:
        return statistics.median(run.seconds for run in self.good()) if self.good() else None

    def peak(self) -> int | None:
        return max(run.peak for run in self.good()) if self.good() else None


@dataclass
class Question:
    """A work, and its tools by budget."""

    title: str
    flags: tuple[str, ...]  # of mapfold
    order: str  # the end of a query
    cells: dict[str, dict[int, Cell]] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def work(self) -> Work:
        return Work(self.title, [LINES], [], ordered=bool(self.order))

    def tools(self, budget: int) -> list[Tool]:
        """ClickHouse is told to spill at half of its budget, as its documentation advises, and isn't stopped above
        it: with a limit on all of its memory it fails at small budgets."""
        half = budget * MIB // 2
        external = ", max_bytes_ratio_before_external_group_by = 0, max_bytes_ratio_before_external_sort = 0"
        external += f", max_bytes_before_external_group_by = {half}, max_bytes_before_external_sort = {half}"
        sort = f"sort --parallel={THREADS} -S {budget}M {path(LINES)} | uniq -c"
        tools = [
            mapfold("uniq", LINES, *self.flags, "--memory", f"{budget}M"),
            clickhouse(CLICKHOUSE_LINES + self.order, LINES, external),
            replace(duckdb(DUCKDB_LINES + self.order, LINES, memory=f"{budget}MiB"), name="DuckDB"),
            replace(shell(SORT, sort), comparable=False),
        ]
        tools[2].slow = bool(self.order)
        return tools

    def run(self, tool: Tool, budget: int, tmp: Path, kept: Path) -> Run:
        usage = kept / "usage.json"
        usage.unlink(missing_ok=True)
        launched = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(usage), *tool.command]
        warm(DATA / LINES)
        run, result = measure(replace(tool, command=launched), self.work(), tmp, kept)
        if usage.exists():
            run.seconds, run.peak = json.loads(usage.read_text())
        self.cells.setdefault(tool.name, {}).setdefault(budget, Cell()).runs.append(run)
        if result:
            first = self.results.setdefault(tool.name if not tool.comparable else "", result)
            if (result.rows, result.digest) != (first.rows, first.digest):
                self.wrong.add(f"{self.title}: {tool.name} within {amount(budget)} gave another result")
            if result.rows != next(iter(self.results.values())).rows:
                self.wrong.add(f"{self.title}: {tool.name} within {amount(budget)} gave other rows")
        return run

    def over(self, name: str, budget: int) -> bool:
        peak = self.cells[name][budget].peak()
        return peak is not None and peak > budget * MIB

    def table(self, budgets: list[int]) -> list[str]:
        names = list(self.cells)
        lines = [f"| budget | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
        for budget in budgets:
            lines.append(f"| {amount(budget)} | {' | '.join(self.shown(name, budget) for name in names)} |")
        return lines

    def shown(self, name: str, budget: int) -> str:
        cell = self.cells[name][budget]
        failed = len(cell.runs) - len(cell.good())
        if not cell.good():
            return "failed"
        peak = f"{cell.peak() / MIB:,.0f} MiB"
        peak = f"**{peak}**" if self.over(name, budget) else peak
        some = f", failed {failed} of {len(cell.runs)}" if failed else ""
        return f"{cell.seconds():.2f} s, {peak}{some}"


def amount(mebibytes: int) -> str:
    return f"{mebibytes}M" if mebibytes < 1024 else f"{mebibytes // 1024}G"


# Of the Okabe–Ito palette, in a shade for a light and one for a dark background, and a mark of its own.
SERIES = {
    "mapfold": ("#0072b2", "#56b4e9", "circle"),
    "ClickHouse local (chDB)": ("#b37400", "#e69f00", "square"),
    "DuckDB": ("#009e73", "#2fd6a5", "diamond"),
    SORT: ("#b0508a", "#e79ac7", "triangle"),
}
MARKS = {
    "circle": "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0Z",
    "square": "M-3.2 -3.2h6.4v6.4h-6.4Z",
    "diamond": "M0 -4.5L4.5 0L0 4.5L-4.5 0Z",
    "triangle": "M0 -4.2L4 3.2H-4Z",
}
LEGEND = 34  # height
PANEL = (330, 220)  # width and height of what is inside the axes
LEFT, GAP, TOP, BOTTOM = 66, 76, 30, 44


def axis(values: list[float]) -> list[float]:
    """Returns powers of two around the values, at most eight."""
    low, high = math.floor(math.log2(min(values))), math.ceil(math.log2(max(values)))
    high = max(high, low + 1)
    step = math.ceil((high - low) / 7)
    return [2.0**power for power in range(low, high + step, step)]


def panel(at: tuple[float, float], title: str, lines: dict[str, dict[int, float]], ticks: list[float], budgets: list[int],
          named, diagonal: bool) -> list[str]:
    """Draws lines over budgets. Both axes are logarithmic."""
    width, height = PANEL
    across, down = math.log2(budgets[-1] / budgets[0]), math.log2(ticks[-1] / ticks[0])

    def x(budget: float) -> float:
        return math.log2(budget / budgets[0]) / across * width

    def y(value: float) -> float:
        return height - math.log2(value / ticks[0]) / down * height

    parts = [f'<g transform="translate({at[0]} {at[1]})">', f'<text class="title" x="0" y="-10">{title}</text>']
    for tick in ticks:
        parts.append(f'<path class="grid" d="M0 {y(tick):.1f}H{width}"/>')
        parts.append(f'<text x="-8" y="{y(tick) + 4:.1f}" text-anchor="end">{named(tick)}</text>')
    for budget in budgets:
        parts.append(f'<path class="grid" d="M{x(budget):.1f} 0V{height}"/>')
        # The first two are too near each other to be centred.
        shift, anchor = {0: (9, "end"), 1: (-6, "start")}.get(budgets.index(budget), (0, "middle"))
        at_x = x(budget) + (shift if len(budgets) == len(BUDGETS) else 0)
        parts.append(f'<text class="small" x="{at_x:.1f}" y="{height + 16}" text-anchor="{anchor}">{amount(budget)}</text>')
    parts.append(f'<text class="small" x="{width / 2}" y="{height + 33}" text-anchor="middle">budget</text>')
    if diagonal:
        ends = [min(max(budget * MIB, ticks[0]), ticks[-1]) for budget in (budgets[0], budgets[-1])]
        parts.append(f'<path class="asked" d="M{x(ends[0] / MIB):.1f} {y(ends[0]):.1f}L{x(ends[1] / MIB):.1f} {y(ends[1]):.1f}"/>')
    for name, values in lines.items():
        kind = f"s{list(SERIES).index(name)}"
        points = " ".join(f"{x(budget):.1f},{y(value):.1f}" for budget, value in values.items())
        parts.append(f'<polyline class="line {kind}" points="{points}"/>')
        for budget, value in values.items():
            parts.append(f'<path class="mark {kind}" transform="translate({x(budget):.1f} {y(value):.1f})" d="{MARKS[SERIES[name][2]]}"/>')
    return [*parts, "</g>"]


def plot(questions: list[Question], budgets: list[int]) -> str:
    """Draws seconds above peaks, for each question, by budget. A missing mark is a tool that failed."""
    width = LEFT + len(questions) * PANEL[0] + (len(questions) - 1) * GAP + 20
    height = LEGEND + 2 * (TOP + PANEL[1] + BOTTOM)
    light = "".join(f".s{n}{{stroke:{one}}}.mark.s{n}{{fill:{one}}}" for n, (one, _, _) in enumerate(SERIES.values()))
    dark = "".join(f".s{n}{{stroke:{one}}}.mark.s{n}{{fill:{one}}}" for n, (_, one, _) in enumerate(SERIES.values()))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        "<style>.back{fill:#fff}text{fill:#222}.title{font-weight:bold}.small{font-size:12px}.grid{stroke:#e2e2e2;fill:none}"
        ".asked{stroke:#777;stroke-dasharray:5 4;fill:none}.line{fill:none;stroke-width:2}" + light +
        "@media(prefers-color-scheme:dark){.back{fill:#16191d}text{fill:#e6e6e6}.grid{stroke:#33383f}.asked{stroke:#aaa}"
        + dark + "}</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
    ]
    place = LEFT
    for number, (name, (_, _, mark)) in enumerate(SERIES.items()):
        if any(name in question.cells for question in questions):
            parts.append(f'<path class="line s{number}" d="M{place:.0f} 18h22"/>')
            parts.append(f'<path class="mark s{number}" transform="translate({place + 11:.0f} 18)" d="{MARKS[mark]}"/>')
            parts.append(f'<text x="{place + 28:.0f}" y="22">{name}</text>')
            place += 54 + 6.6 * len(name)
    parts.append(f'<path class="asked" d="M{place:.0f} 18h22"/><text x="{place + 28:.0f}" y="22">the budget</text>')

    def lines(question: Question, value) -> dict[str, dict[int, float]]:
        known = {name: {b: value(cell) for b, cell in cells.items() if cell.good()} for name, cells in question.cells.items()}
        return {name: values for name, values in known.items() if values}

    def seconds(tick: float) -> str:
        return f"{tick:g} s" if tick >= 1 else f"{tick * 1000:.0f} ms"

    def bytes_(tick: float) -> str:
        return f"{tick / MIB:.0f} MiB" if tick < 1 << 30 else f"{tick / (1 << 30):.0f} GiB"

    rows = [("seconds", Cell.seconds, seconds, False), ("peak memory", Cell.peak, bytes_, True)]
    for row, (what, value, named, diagonal) in enumerate(rows):
        every = [lines(question, value) for question in questions]
        ticks = axis([v for each in every for values in each.values() for v in values.values()])
        for column, (question, each) in enumerate(zip(questions, every)):
            at = (LEFT + column * (PANEL[0] + GAP), LEGEND + TOP + row * (TOP + PANEL[1] + BOTTOM))
            parts += panel(at, f"{what}, {question.title}", each, ticks, budgets, named, diagonal)
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="benches/memory.sh", description="Time mapfold and other tools within budgets of memory.")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool and budget, in turn (default 3)")
    parser.add_argument("--write", action="store_true", help=f"also write its section of {RESULTS.name} and {PLOT.name}")
    parser.add_argument("--quick", action="store_true", help="unoptimised, on little data, once, three budgets: shows that it runs")
    parser.add_argument("--plot", type=Path, help="write the plot to this file too")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    rounds, budgets = (1, [24, 512, 4096]) if arguments.quick else (arguments.rounds, BUDGETS)

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    questions = [Question("unordered", ("--unordered",), ""), Question("ordered by line", (), " order by line")]
    base = os.environ.get("TMPDIR", "/var/tmp")
    with (
        tempfile.TemporaryDirectory(prefix="mapfold-memory-", dir=base) as tmp,
        tempfile.TemporaryDirectory(prefix="mapfold-memory-", dir=base) as kept,
    ):
        for round_ in range(rounds):
            for budget in budgets:
                for question in questions:
                    for tool in question.tools(budget):
                        if (tool.package and not importlib.util.find_spec(tool.package)) or (tool.slow and round_ > 0):
                            continue
                        if tool.name == SORT and question is not questions[0]:
                            # It does the same for both.
                            question.cells.setdefault(SORT, {})[budget] = questions[0].cells[SORT][budget]
                            continue
                        run = question.run(tool, budget, Path(tmp), Path(kept))
                        said = run.error or f"{run.seconds:.2f} s, {run.peak / MIB:.0f} MiB"
                        print(f"{question.title}, {amount(budget)}, {tool.name}: {said}", file=sys.stderr, flush=True)

    say("# Within budgets of memory", "")
    say(f"Made by `benches/memory.sh` on {datetime.date.today()}, rounds in turn: {rounds}; DuckDB in order ran once.")
    say("U1, 40 M lines of which 25 M differ, counted within a budget: the median of the whole process's seconds, and the")
    say("largest resident set of any run, with mapped input; **bold** where that is more than the budget. Each tool is told")
    say("the budget in its own way: `--memory`, DuckDB's `memory_limit`, `sort -S`, and ClickHouse to spill at half of it, which")
    say("limits only what a query's tables take.")
    errors = [why for question in questions for why in sorted(question.wrong)]
    say(*([f"**{why}.**" for why in errors] or ["Each result had the rows, and if ordered the bytes, of all the others."]))
    say("", *versions([LINES]))
    for question in questions:
        say("", f"## Distinct lines, {question.title}", "", *question.table(budgets))
    say("", f"![Seconds and peak memory by budget]({PLOT.name})")
    commands = [shown(tool) for question in questions for tool in question.tools(512)]
    say("", "## Commands within 512M", "", "From the root of the repository; OUT is a file in a temporary directory.", "")
    say("```sh", *dict.fromkeys(commands), "```")
    if arguments.write:
        write_section("benches/memory.sh", page)
    for file in [PLOT] * arguments.write + [arguments.plot] * bool(arguments.plot):
        file.write_text(plot(questions, budgets))
        print(f"wrote {file}", file=sys.stderr)

    for question in questions:
        for budget, cell in question.cells["mapfold"].items():
            errors += [f"{question.title}, {amount(budget)}: mapfold: {run.error}" for run in cell.runs if run.error]
            allowance = UNOPTIMISED if arguments.quick else 0
            if (cell.peak() or 0) > budget * MIB + allowance:
                errors.append(f"{question.title}: mapfold took {cell.peak() / MIB:.0f} MiB of {amount(budget)}")
    for why in errors:
        print(f"error: {why}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
