"""Time mapfold beside other tools that answer the same questions. Run it through benches/peers.sh.

The tools take turns (A B A B …): on a shared machine one time says little, but the ratio within a round holds.
Timed is the whole process, start and exit included, with its result written to a file. Every result is checked:
tools given one question must write equally many rows and, where the question fixes their sequence, equal bytes.
"""

import argparse
import datetime
import hashlib
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from measure import DATA, MAPFOLD, RESULTS, ROOT, THREADS, Run, execute, first_line, machine, warm, write_section

LINUX, LINES, DISTINCT = "linux.txt", "lines.txt", "distinct.txt"

OUT = "<out>"  # stands for the file that a tool writes by itself; without it, its stdout is the result
TOLERANCE = 0.001  # of the rows, for a tool that can't read every line of the input


@dataclass
class Tool:
    name: str
    command: list[str]
    slow: bool = False  # runs once, not in turn
    skips: str = ""  # what of the input it can't read
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Work:
    title: str
    input: str
    tools: list[Tool]  # mapfold first
    ordered: bool = False  # then every complete result has the same bytes


def path(name: str) -> str:
    """An input as the tools are given it: relative to the repository when it lies there."""
    full = DATA / name
    return str(full.relative_to(ROOT)) if full.is_relative_to(ROOT) else str(full)


def mapfold(job: str, name: str, *flags: str, label: str = "") -> Tool:
    return Tool(f"mapfold {label}".strip(), [MAPFOLD, "run", job, path(name), *flags, "-o", OUT, "--force"])


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def clickhouse(select: str, name: str) -> Tool:
    """ClickHouse's local engine. Its default of 65,409 rows a block is slower here than 16,384 for every query."""
    source = f"file('{path(name)}', 'LineAsString', 'line String')"
    query = (
        f"{select.format(lines=source)} into outfile '{OUT}' format TSVRaw "
        f"settings max_threads = {THREADS}, max_block_size = 16384"
    )
    return Tool("ClickHouse local (chDB)", python("import chdb, sys; chdb.query(sys.argv[1])", query))


def duckdb(select: str, name: str, *, memory: str = "", slow: bool = False) -> Tool:
    """DuckDB. A CSV with a delimiter that never occurs is its fastest way to lines; text must be UTF-8."""
    source = (
        f"read_csv('{path(name)}', columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, "
        r"delim = e'\x01\x02\x03\x04', quote = '', escape = '', strict_mode = false, ignore_errors = true)"
    )
    limit = f"set memory_limit = '{memory}'; set temp_directory = '{OUT}.spill'; " if memory else ""
    query = (
        f"set threads = {THREADS}; set preserve_insertion_order = false; {limit}"
        f"copy ({select.format(lines=source)}) to '{OUT}' (format csv, delimiter e'\\t', header false, quote '')"
    )
    return Tool(
        f"DuckDB, memory_limit {memory}" if memory else "DuckDB",
        python("import duckdb, sys; duckdb.connect().execute(sys.argv[1])", query),
        slow=slow,
        skips="lines that are not UTF-8" if name == LINUX else "",
    )


def shell(label: str, script: str, skips: str = "") -> Tool:
    return Tool(label, ["bash", "-o", "pipefail", "-c", script], slow=True, skips=skips, env={"LC_ALL": "C"})


def phoenix(name: str) -> list[Tool]:
    """Phoenix++'s word_count, if PHOENIX_WORDCOUNT names one.

    As published it also keeps apostrophes that follow a letter; take that condition out of its map() to have it
    answer the same question. It prints as many words as its second argument asks for.
    """
    binary = os.environ.get("PHOENIX_WORDCOUNT")
    if not binary:
        return []
    return [Tool("Phoenix++", [binary, path(name), "1000000000"], env={"MR_NUMTHREADS": str(THREADS)})]


def works() -> dict[str, Work]:
    whitespace, letters = "benches/specs/whitespace.json", "benches/specs/letters.json"
    by_key = 'sort=["word"]'
    sort = f"sort --parallel={THREADS}"

    ch_words = "select arrayJoin(splitByWhitespace(line)) as w, count() as n from {lines} group by w"
    ch_letters = "select arrayJoin(alphaTokens(lower(line))) as w, count() as n from {lines} group by w"
    ch_lines = "select line, count() as n from {lines} group by line"
    # Its regexes (`regexp_extract_all(line, '\S+')`) take 1.5 times as long as this.
    one_space = "line"
    for code in (9, 11, 12, 13):
        one_space = f"replace({one_space}, chr({code}), ' ')"
    duck_words = (
        f"select w, count(*) as n from (select unnest(string_split({one_space}, ' ')) as w from {{lines}}) "
        "where w <> '' group by w"
    )
    duck_letters = (
        "select lower(w) as l, count(*) as n from (select unnest(regexp_extract_all(line, '[A-Za-z]+')) as w "
        "from {lines}) group by l"
    )
    duck_lines = "select line, count(*) as n from {lines} group by line"

    return {
        "W1": Work(
            "count white-space words of Linux 6.1, unordered",
            LINUX,
            [
                mapfold(whitespace, LINUX, "--unordered"),
                mapfold(whitespace, LINUX, "--unordered", "--memory", "1G", label="--memory 1G"),
                clickhouse(ch_words, LINUX),
                duckdb(duck_words, LINUX),
                shell(
                    "mawk",
                    "mawk '{for (i = 1; i <= NF; i++) n[$i]++} END {for (w in n) print w \"\\t\" n[w]}' " + path(LINUX),
                    skips="what follows a NUL in a line",
                ),
                shell("tr, sort, uniq -c", f"tr -s '[:space:]' '\\n' < {path(LINUX)} | {sort} -S 8G | uniq -c"),
            ],
        ),
        "W1-key": Work(
            "W1, ordered by word",
            LINUX,
            [
                mapfold(whitespace, LINUX, "--set", by_key),
                clickhouse(ch_words + " order by w", LINUX),
                duckdb(duck_words + " order by w", LINUX, slow=True),
            ],
            ordered=True,
        ),
        "W1-count": Work(
            "W1, ordered by count, then word",
            LINUX,
            [
                mapfold(whitespace, LINUX),
                clickhouse(ch_words + " order by n desc, w", LINUX),
                duckdb(duck_words + " order by n desc, w", LINUX, slow=True),
            ],
            ordered=True,
        ),
        "W2": Work(
            "count runs of ASCII letters of Linux 6.1, case folded, unordered",
            LINUX,
            [
                mapfold(letters, LINUX, "--unordered"),
                *phoenix(LINUX),
                clickhouse(ch_letters, LINUX),
                duckdb(duck_letters, LINUX, slow=True),
            ],
        ),
        "wordcount": Work(
            "the built-in wordcount (Unicode words) of Linux 6.1, most frequent first",
            LINUX,
            [mapfold("wordcount", LINUX)],
        ),
        "U1": Work(
            "count distinct lines, 40 M of which 25 M differ, unordered",
            LINES,
            [
                mapfold("uniq", LINES, "--unordered"),
                clickhouse(ch_lines, LINES),
                duckdb(duck_lines, LINES),
                shell("sort, uniq -c", f"{sort} -S 8G {path(LINES)} | uniq -c"),
            ],
        ),
        "U1-distinct": Work(
            "count distinct lines, 20 M that all differ, unordered",
            DISTINCT,
            [
                mapfold("uniq", DISTINCT, "--unordered"),
                clickhouse(ch_lines, DISTINCT),
                duckdb(duck_lines, DISTINCT),
            ],
        ),
        "U2": Work(
            "U1 within 512 MB",
            LINES,
            [
                mapfold("uniq", LINES, "--unordered", "--memory", "512M", label="--memory 512M"),
                duckdb(duck_lines, LINES, memory="512MB"),
                shell("sort -S 512M, uniq -c", f"{sort} -S 512M {path(LINES)} | uniq -c"),
            ],
        ),
    }


@dataclass
class Result:
    rows: int
    digest: str  # of nothing where the sequence of rows is free


def examine(out: Path, tool: Tool, digest: bool) -> Result:
    rows, sha = 0, hashlib.sha256()
    with out.open("rb") as file:
        if tool.name == "Phoenix++":  # a few lines of talk around the `WORD - COUNT` lines
            rows = sum(b" - " in line for line in file)
        else:
            while block := file.read(1 << 22):
                rows += block.count(b"\n")
                if digest:
                    sha.update(block)
    return Result(rows, sha.hexdigest())


def measure(tool: Tool, work: Work, tmp: Path) -> tuple[Run, Result | None]:
    out, stdout = tmp / "out.txt", tmp / "stdout.txt"
    run = execute([part.replace(OUT, str(out)) for part in tool.command], stdout, tool.env)
    result = None
    if not run.error:
        written = out if any(OUT in part for part in tool.command) else stdout
        if written.exists():
            result = examine(written, tool, work.ordered)
        else:
            run.error = "no result written"
    for left in tmp.iterdir():  # the next run shall not share the disk with this one's result
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return run, result


def compare(work: Work, rounds: int, slow: bool, tmp: Path, progress) -> tuple[list[str], bool]:
    """The rows of the table, and whether all went well."""
    runs: dict[str, list[Run]] = {}
    results: dict[str, Result] = {}
    unsteady: set[str] = set()

    def once(tool: Tool) -> None:
        warm(DATA / work.input)  # every time: a run that wants much memory may have pushed it out
        run, result = measure(tool, work, tmp)
        progress(f"{tool.name}: {run.error or f'{run.seconds:.2f} s'}")
        runs.setdefault(tool.name, []).append(run)
        if result and results.setdefault(tool.name, result) != result:
            unsteady.add(tool.name)

    for _ in range(rounds):
        for tool in work.tools:
            if not tool.slow:
                once(tool)
    for tool in work.tools:
        if tool.slow and slow:
            once(tool)

    ours = work.tools[0].name
    lines, fine = [], True
    for tool in work.tools:
        if tool.name not in runs:
            continue
        good = [run for run in runs[tool.name] if not run.error]
        failures = [run.error for run in runs[tool.name] if run.error]
        verdict = judge(tool, work, results, ours)
        notes = [verdict] if verdict else []
        if tool.name in unsteady:
            notes.append("**differs between runs**")
        if failures:
            notes.append(f"failed {len(failures)} of {len(runs[tool.name])}: {failures[0][:100]}")
        wrong = verdict.startswith("**") or tool.name in unsteady
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


def ratio(theirs: list[Run], ours: list[Run], slow: bool) -> str:
    if slow:
        good = [run.seconds for run in ours if not run.error]
        return f"{theirs[0].seconds / statistics.median(good):.2f}" if good else "–"
    pairs = [a.seconds / b.seconds for a, b in zip(theirs, ours) if not (a.error or b.error)]
    return f"{statistics.median(pairs):.2f}" if pairs else "–"


def judge(tool: Tool, work: Work, results: dict[str, Result], ours: str) -> str:
    """What the check against mapfold's result found; bold is wrong."""
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
    return "same rows"


def floors(rounds: int, tmp: Path) -> list[str]:
    """What no tool can beat, and what the peers that are Python packages pay before they begin."""
    commands = []
    for name in (LINUX, LINES, DISTINCT):
        warm(DATA / name)
        commands += [(f"`cat` {name}", f"cat {path(name)} > /dev/null"), (f"`wc -l` {name}", f"wc -l {path(name)}")]
    commands = [(label, ["bash", "-c", f"exec {script}"]) for label, script in commands]
    commands += [(f"Python with `import {module}`", python(f"import {module}")) for module in ("chdb", "duckdb")]
    lines = []
    for label, command in commands:
        times = [execute(command, tmp / "stdout.txt", {"LC_ALL": "C"}).seconds for _ in range(rounds)]
        lines.append(f"| {label} | {statistics.median(times):.3f} |")
    return lines


def map_floor() -> list[str]:
    """The map phase beside a loop that only tokenises, hashes and probes, and U1's runs, as `benches/floor.rs` prints them."""
    command = ["cargo", "bench", "--quiet", "--bench", "floor"]
    env = {**os.environ, "MAPFOLD_BENCH_DATA": str(DATA)}
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE)
    lines = done.stdout.strip().splitlines()
    return lines if done.returncode == 0 and lines else [f"`{shlex.join(command)}` failed: exit {done.returncode}"]


def startup(tmp: Path, runs: int = 100) -> list[str]:
    """Process start and end on 10 KB, beside a program that does nothing."""
    small = tmp / "small.txt"
    with (DATA / LINUX).open("rb") as file:
        small.write_bytes(file.read(10_240))
    tools = {"`/bin/true`": ["/bin/true"], "`mapfold run wordcount`": [MAPFOLD, "run", "wordcount", str(small)]}
    times: dict[str, list[float]] = {label: [] for label in tools}
    for _ in range(runs):
        for label, command in tools.items():
            run = execute(command, tmp / "stdout.txt", {})
            if run.error:
                return [f"| {label} | failed: {run.error[:100]} |"]
            times[label].append(run.seconds * 1000)
    return [f"| {label} | {statistics.median(values):.2f} |" for label, values in times.items()]


def versions() -> list[str]:
    """The machine, the peers and the inputs."""
    # Not imported here: a child's peak begins at that of the process it was forked from.
    engine = first_line(*python("import chdb; print(chdb.query('select version()', 'TSVRaw'))"))
    return [
        *machine(),
        f"- chDB {version('chdb')} (ClickHouse {engine}), DuckDB {version('duckdb')}, "
        f"Python {platform.python_version()}, {first_line('mawk', '-W', 'version')}, {first_line('sort', '--version')}",
        "- inputs: " + ", ".join(f"{name} {(DATA / name).stat().st_size:,} bytes" for name in (LINUX, LINES, DISTINCT)),
    ]


def quoted(word: str) -> str:
    """For the shell, and for the eye: SQL is full of single quotes."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`!') else shlex.quote(word)


def shown(tool: Tool) -> str:
    """The command as one would type it, without this machine's paths."""
    names = {
        sys.executable: "python",
        os.environ.get("PHOENIX_WORDCOUNT"): "word_count",
        MAPFOLD: "mapfold",
        OUT: "OUT",
        f"{DATA}/": "benches/data/",
    }
    words = tool.command
    for text, name in names.items():
        words = [word.replace(text, name) if text else word for word in words]
    command = " ".join(map(quoted, words))
    return " ".join([*(f"{key}={value}" for key, value in tool.env.items()), command])


def main() -> int:
    table = works()
    names = [*table, "floors", "startup"]
    parser = argparse.ArgumentParser(prog="benches/peers.sh", description="Time mapfold beside other tools.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"default: all of {' '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool, in turn (default 5)")
    parser.add_argument(
        "--slow",
        action=argparse.BooleanOptionalAction,
        help="run the slow tools too, once (default: when no WORK is named)",
    )
    parser.add_argument("--write", action="store_true", help="also write its section of benches/RESULTS.md")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.works if name not in names]:
        parser.error(f"no work named {unknown[0]}; there are {' '.join(names)}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    chosen = arguments.works or names
    slow = not arguments.works if arguments.slow is None else arguments.slow

    def progress(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    say("# Measured beside other tools", "")
    say(f"Made by `benches/peers.sh` on {datetime.date.today()}, {arguments.rounds} rounds in turn.")
    say("Seconds are medians of the whole process, the result written to a file; a ratio is the median of the ratios")
    say("within each round: above 1, mapfold was faster. The peak is the largest resident set of any run.")
    say("", *versions())
    fine = True
    base = os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="mapfold-peers-", dir=base) as name:
        tmp = Path(name)
        for key in chosen:
            progress(f"== {key}")
            if key == "floors":
                say("", "## Floors", "", "| what | seconds |", "| --- | --- |", *floors(arguments.rounds, tmp))
                say("", "By `cargo bench --bench floor`:", "", *map_floor())
            elif key == "startup":
                say("", "## 10 KB, start to exit", "", "| what | median ms of 100 |", "| --- | --- |", *startup(tmp))
            else:
                work = table[key]
                lines, ok = compare(work, arguments.rounds, slow, tmp, progress)
                fine &= ok
                say("", f"## {key}: {work.title}", "", "| tool | seconds | ratio | peak | rows | |")
                say("| --- | --- | --- | --- | --- | --- |", *lines)
    commands = [shown(tool) for key in chosen if key in table for tool in table[key].tools if slow or not tool.slow]
    if commands:
        say("", "## Commands", "", "From the root of the repository; OUT is a file in a temporary directory.", "")
        say("```sh", *commands, "```")
    if arguments.write:
        write_section("benches/peers.sh", page)
        progress(f"wrote {RESULTS.relative_to(ROOT)}")
    if not fine:
        progress("error: a result differs, or mapfold failed: see the table")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
