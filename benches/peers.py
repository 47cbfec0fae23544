"""Time mapfold beside other tools that answer the same questions. Run it through benches/peers.sh.

The tools take turns (A B A B …): on a shared machine one time says little, but the ratio within a round holds. The time
is that of the whole process with its start and exit. The result is written to a file that didn't exist before, because
replacing a file costs ext4 up to a second. Every result is checked: tools with one question must write equally many
rows and, if the question fixes the order of rows, equal bytes. If the question asks for means, the rows are compared in
the order of their keys, and floats to within a relative 1e-9, because most tools add floats in the order in which they
come.
"""

import argparse
import datetime
import hashlib
import importlib.util
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import DATA, MAPFOLD, RESULTS, ROOT, Run, execute, first_line, machine, warm, write_section
from works import DISTINCT, GROUPS, LINES, LINUX, MEASUREMENTS, OUT, Tool, Work, path, python, works

TOLERANCE = 0.001  # share of the rows, for a tool that can't read every line of the input
PACKAGES = ("chdb", "duckdb", "polars")
FLOORS = (LINUX, LINES, DISTINCT, MEASUREMENTS, GROUPS)


@dataclass
class Result:
    rows: int
    digest: str  # of no bytes, if the order of rows is free
    sorted: Path | None  # rows in byte order, if they are to be compared; on disk, not in memory: see versions()
    total: int | None = None  # of the last column, if it counts lines of the input


def empty(directory: Path) -> None:
    for left in directory.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def examine(out: Path, tool: Tool, work: Work, kept: Path) -> Result:
    rows, sha = 0, hashlib.sha256()
    with out.open("rb") as file:
        if tool.row != b"\n":
            rows = sum(line.count(tool.row) for line in file)
        else:
            while block := file.read(1 << 22):
                rows += block.count(b"\n")
                if work.ordered:
                    sha.update(block)
    in_order = None
    if work.numbers and tool.comparable:
        fd, name = tempfile.mkstemp(dir=kept)
        os.close(fd)
        in_order = Path(name)
        subprocess.run(["sort", "-o", name, out], check=True, env={**os.environ, "LC_ALL": "C"})
    total = added_up(out) if work.counts and tool.comparable else None
    return Result(rows, sha.hexdigest(), in_order, total)


def added_up(out: Path) -> int:
    script = "{ n += $NF } END { printf \"%.0f\", n }"
    return int(subprocess.run(["awk", "-F", "\t", script, out], check=True, stdout=subprocess.PIPE).stdout)


def difference(one: Path, other: Path, work: Work) -> str:
    """Returns the first two lines that differ in more than the last digits of a float. Each line has a unique key."""

    def agree(a: str, b: str, column: int) -> bool:
        if a == b:
            return True
        try:
            return column in work.numbers and math.isclose(float(a), float(b), rel_tol=work.close)
        except ValueError:
            return False

    with one.open(encoding="utf-8") as ours, other.open(encoding="utf-8") as theirs:
        for mine, its in zip(ours, theirs, strict=True):
            a, b = mine.rstrip("\n").split("\t"), its.rstrip("\n").split("\t")
            if len(a) != len(b) or not all(map(agree, a, b, range(len(a)))):
                return f"`{' '.join(a)}` and `{' '.join(b)}`"
    return ""


def steady(tool: Tool, first: Result, again: Result, work: Work) -> bool:
    """Whether two runs of a tool gave one answer. For mapfold, the answers must be equal to the last digit."""
    if (first.rows, first.digest) != (again.rows, again.digest):
        return False
    if not first.sorted or first.sorted.read_bytes() == again.sorted.read_bytes():
        return True
    return not tool.name.startswith("mapfold") and not difference(first.sorted, again.sorted, work)


def measure(tool: Tool, work: Work, tmp: Path, kept: Path) -> tuple[Run, Result | None]:
    empty(tmp)
    out, stdout = tmp / "out.txt", tmp / "stdout.txt"
    command = [part.replace(OUT, str(out)) for part in tool.command]
    run = execute(command, stdout, tool.env, tmp if tool.writes else ROOT)
    result = None
    if not run.error and not tool.floor:
        written = tmp / tool.writes if tool.writes else out if any(OUT in part for part in tool.command) else stdout
        if written.exists():
            result = examine(written, tool, work, kept)
        else:
            run.error = "no result written"
    empty(tmp)  # the next run must not share the disk with this result
    return run, result


def compare(work: Work, rounds: int, slow: bool, tmp: Path, kept: Path, progress) -> tuple[list[str], bool]:
    """Returns the rows of the table, and whether all went well."""
    tools = [tool for tool in work.tools if not tool.package or importlib.util.find_spec(tool.package)]
    runs: dict[str, list[Run]] = {}
    results: dict[str, Result] = {}
    unsteady: set[str] = set()

    def once(tool: Tool) -> None:
        for name in work.inputs:
            warm(DATA / name)  # every time, since a run that takes much memory may have evicted it
        run, result = measure(tool, work, tmp, kept)
        progress(f"{tool.name}: {run.error or f'{run.seconds:.2f} s'}")
        runs.setdefault(tool.name, []).append(run)
        if result and not steady(tool, results.setdefault(tool.name, result), result, work):
            unsteady.add(tool.name)

    for _ in range(rounds):
        for tool in tools:
            if not tool.slow:
                once(tool)
    for tool in tools:
        if tool.slow and slow:
            once(tool)

    ours = tools[0].name
    lines, fine = [], True
    expected = line_count(DATA / work.inputs[0]) if work.counts else None
    for tool in tools:
        if tool.name not in runs:
            continue
        good = [run for run in runs[tool.name] if not run.error]
        failures = [run.error for run in runs[tool.name] if run.error]
        verdict = judge(tool, work, results, ours)
        notes = [note for note in (verdict, tool.note) if note]
        if tool.name in unsteady:
            notes.append("**differs between runs**")
        if failures:
            notes.append(f"failed {len(failures)} of {len(runs[tool.name])}: {failures[0][:100]}")
        adds_up = tool.name not in results or results[tool.name].total == expected
        if work.counts and tool.name in results:
            notes.append("counts add up" if adds_up else f"**counts add up to {results[tool.name].total:,}**")
        wrong = verdict.startswith("**") or tool.name in unsteady or not adds_up
        fine &= not (wrong or (failures and tool.name.startswith("mapfold")))
        if tool.slow:
            notes.append("one run")
        cells = ["–", "–", "–"]
        if good:
            cells[0] = f"{statistics.median(run.seconds for run in good):.2f}"
            cells[2] = f"{max(run.peak for run in good) / 1e9:.2f} GB"
            if tool.name != ours:
                cells[1] = ratio(runs[tool.name], runs[ours], tool.slow)
        rows = f"{results[tool.name].rows:,}" if tool.name in results else "–"
        lines.append(f"| {tool.name} | {' | '.join(cells)} | {rows} | {'; '.join(notes)} |")
    return lines, fine


def line_count(path: Path) -> int:
    return int(subprocess.run(["wc", "-l"], stdin=path.open("rb"), check=True, stdout=subprocess.PIPE).stdout)


def ratio(theirs: list[Run], ours: list[Run], slow: bool) -> str:
    if slow:
        good = [run.seconds for run in ours if not run.error]
        return f"{theirs[0].seconds / statistics.median(good):.2f}" if good else "–"
    pairs = [a.seconds / b.seconds for a, b in zip(theirs, ours) if not (a.error or b.error)]
    return f"{statistics.median(pairs):.2f}" if pairs else "–"


def judge(tool: Tool, work: Work, results: dict[str, Result], ours: str) -> str:
    """Returns what the check against mapfold's result found. Bold means wrong."""
    mine, reference = results.get(tool.name), results.get(ours)
    if not mine or not reference or tool.name == ours:
        return ""
    if tool.skips:
        near = abs(mine.rows - reference.rows) <= TOLERANCE * reference.rows
        return f"skips {tool.skips}" if near else "**rows differ**"
    if mine.rows != reference.rows:
        return "**rows differ**"
    if work.ordered:
        return "same bytes" if mine.digest == reference.digest else "**bytes differ**"
    if mine.sorted and reference.sorted:
        differ = difference(reference.sorted, mine.sorted, work)
        return f"**answers differ**: {differ}" if differ else "same answers"
    return "same rows"


def floors(rounds: int, tmp: Path) -> list[str]:
    """Measures what no tool can beat, and what peers that are Python packages need before they begin."""
    commands = []
    for name in FLOORS:
        warm(DATA / name)
        commands += [(f"`cat` {name}", f"cat {path(name)} > /dev/null"), (f"`wc -l` {name}", f"wc -l {path(name)}")]
    commands = [(label, ["bash", "-c", f"exec {script}"]) for label, script in commands]
    commands += [(f"Python with `import {package}`", python(f"import {package}")) for package in PACKAGES]
    lines = []
    for label, command in commands:
        times = [execute(command, tmp / "stdout.txt", {"LC_ALL": "C"}).seconds for _ in range(rounds)]
        lines.append(f"| {label} | {statistics.median(times):.3f} |")
    return lines


def map_floor() -> list[str]:
    """Returns what `benches/floor.rs` prints: the map phase beside its floors, and the floor of U1's runs."""
    command = ["cargo", "bench", "--quiet", "--bench", "floor"]
    env = {**os.environ, "MAPFOLD_BENCH_DATA": str(DATA)}
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE)
    lines = done.stdout.strip().splitlines()
    return lines if done.returncode == 0 and lines else [f"`{shlex.join(command)}` failed: exit {done.returncode}"]


def startup(tmp: Path, runs: int) -> list[str]:
    """Measures process start and end on 10 KB, beside a program that does nothing."""
    text, table = tmp / "small.txt", tmp / "small.csv"
    with (DATA / LINUX).open("rb") as file:
        text.write_bytes(file.read(10_240))
    with (DATA / GROUPS).open("rb") as file:
        table.write_bytes(file.read(10_240).rpartition(b"\n")[0] + b"\n")
    nothing = "`/bin/true`"
    tools = {
        nothing: ["/bin/true"],
        "`wc -w small.txt`": ["wc", "-w", str(text)],
        "`mapfold run wordcount small.txt`": [MAPFOLD, "run", "wordcount", str(text)],
        "`mapfold agg -g id1 'sum(v1)' small.csv`": [MAPFOLD, "agg", "-g", "id1", "sum(v1)", str(table)],
    }
    times: dict[str, list[float]] = {label: [] for label in tools}
    errors: dict[str, str] = {}
    for _ in range(runs):
        for label, command in tools.items():
            run = execute(command, tmp / "stdout.txt", {})
            times[label].append(run.seconds * 1000)
            if run.error:
                errors[label] = run.error[:100]
    least = statistics.median(times[nothing])
    middle = {label: statistics.median(values) for label, values in times.items()}
    return [
        f"| {label} | failed: {errors[label]} | – |" if label in errors else f"| {label} | {ms:.2f} | {ms - least:.2f} |"
        for label, ms in middle.items()
    ]


def versions(inputs: list[str]) -> list[str]:
    """Returns the machine, the peers and the inputs."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not found"

    # Not imported here, because a child's peak begins at that of the process that it was forked from.
    engine = first_line(*python("import chdb; print(chdb.query('select version()', 'TSVRaw'))"))
    return [
        *machine(),
        f"- chDB {of('chdb')} (ClickHouse {engine}), DuckDB {of('duckdb')}, polars {of('polars')}, "
        f"Python {platform.python_version()}, {first_line('mawk', '-W', 'version')}, {first_line('sort', '--version')}, "
        f"{first_line('gzip', '--version')}, {first_line('zstd', '--version')}",
        "- inputs: " + ", ".join(f"{name} {(DATA / name).stat().st_size:,} bytes" for name in inputs),
    ]


def quoted(word: str) -> str:
    """Quotes a word for the shell, readably: SQL is full of single quotes."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`!') else shlex.quote(word)


def shown(tool: Tool) -> str:
    """Returns the command as a user would type it, without this machine's paths."""
    names = {
        sys.executable: "python",
        os.environ.get("PHOENIX_WORDCOUNT"): "word_count",
        os.environ.get("ONEBRC") and os.path.abspath(os.environ["ONEBRC"]): "1brc",
        MAPFOLD: "mapfold",
        OUT: "OUT",
        f"{DATA}/": "benches/data/",
    }
    words = tool.command
    for text, name in names.items():
        words = [word.replace(text, name) if text else word for word in words]
    command = " ".join(map(quoted, words))
    return " ".join([*(f"{key}={value}" for key, value in tool.env.items()), command])


def needed(chosen: list[str], table: dict[str, Work]) -> list[str]:
    """Returns the inputs of the chosen works, each once."""
    others = {"floors": list(FLOORS), "startup": [LINUX, GROUPS]}
    names = [name for key in chosen for name in (table[key].inputs if key in table else others[key])]
    return list(dict.fromkeys(names))


def main() -> int:
    table = works()
    names = [*table, "floors", "startup"]
    large = [name for name in table if table[name].large]
    usual = [name for name in names if name not in large]
    parser = argparse.ArgumentParser(prog="benches/peers.sh", description="Time mapfold beside other tools.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"default: all of {' '.join(usual)}; {' '.join(large)} runs only if it is named")
    parser.add_argument("--rounds", type=int, help="runs of each tool, in turn (default 5)")
    parser.add_argument(
        "--slow",
        action=argparse.BooleanOptionalAction,
        help="run the slow tools too, once (default: when no WORK is named)",
    )
    parser.add_argument("--write", action="store_true", help="also write a section of benches/RESULTS.md")
    parser.add_argument(
        "--quick", action="store_true", help="only try it: little data, one round, the peers that are installed"
    )
    parser.add_argument("--inputs", action="store_true", help="only print which inputs it needs")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.works if name not in names]:
        parser.error(f"no work named {unknown[0]}; there are {' '.join(names)}")
    rounds = (1 if arguments.quick else 5) if arguments.rounds is None else arguments.rounds
    if rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.quick and arguments.write:
        parser.error("--write and --quick exclude each other")
    chosen = arguments.works or (names if arguments.quick else usual)
    if arguments.inputs:
        print(*needed(chosen, table), sep="\n")
        return 0
    slow = not arguments.works if arguments.slow is None else arguments.slow

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    title = "Measured beside other tools"
    say(f"# {': '.join([title, ', '.join(arguments.works)]) if arguments.works else title}", "")
    say(f"Made by `benches/peers.sh` on {datetime.date.today()}, {rounds} round{'s' * (rounds > 1)} in turn.")
    say("Seconds are medians of the whole process, the result written to a new file; a ratio is the median of the ratios")
    say("within each round: above 1, mapfold was faster. The peak is the largest resident set of any run.")
    say("", *versions(needed(chosen, table)))
    fine = True
    base = os.environ.get("TMPDIR", "/var/tmp")
    for key in chosen:
        progress(f"== {key}")
        with (
            tempfile.TemporaryDirectory(prefix="mapfold-peers-", dir=base) as tmp,
            tempfile.TemporaryDirectory(prefix="mapfold-peers-", dir=base) as kept,
        ):
            if key == "floors":
                say("", "## Floors", "", "| what | seconds |", "| --- | --- |", *floors(rounds, Path(tmp)))
                if not arguments.quick:
                    say("", "By `cargo bench --bench floor`:", "", *map_floor())
            elif key == "startup":
                runs = 3 if arguments.quick else 100
                say("", "## 10 KB, start to exit", "", f"| what | median ms of {runs} | above `/bin/true` |")
                say("| --- | --- | --- |", *startup(Path(tmp), runs))
            else:
                work = table[key]
                lines, ok = compare(work, rounds, slow, Path(tmp), Path(kept), progress)
                fine &= ok
                say("", f"## {key}: {work.title}", "", "| tool | seconds | ratio | peak | rows | |")
                say("| --- | --- | --- | --- | --- | --- |", *lines)
    commands = [shown(tool) for key in chosen if key in table for tool in table[key].tools if slow or not tool.slow]
    if commands:
        say("", "## Commands", "", "From the root of the repository; OUT is a file in a temporary directory.", "")
        say("```sh", *dict.fromkeys(commands), "```")
    if arguments.write:
        # Works that were measured alone have a section of their own.
        write_section(" ".join(["benches/peers.sh", *arguments.works]), page)
        progress(f"wrote {RESULTS.relative_to(ROOT)}")
    if not fine:
        progress("error: a result differs, or mapfold failed: see the table")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
