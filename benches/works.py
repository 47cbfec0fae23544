"""The works that benches/peers.py times, and the command with which each tool does them."""

import os
import sys
from dataclasses import dataclass, field

from measure import DATA, MAPFOLD, ROOT, THREADS

LINUX, LINES, LINES_10G, DISTINCT = "linux.txt", "lines.txt", "lines-10g.txt", "distinct.txt"
MEASUREMENTS = "measurements.txt"
GROUPS, QUOTED, GZIPPED, ZSTD = "groups.csv", "groups-quoted.csv", "groups.csv.gz", "groups.csv.zst"
JSON, LOG = "groups.jsonl", "access.log"

CLICKHOUSE_LINES = "select line, count() as n from {lines} group by line"
DUCKDB_LINES = "select line, count(*) as n from {lines} group by line"

OUT = "<out>"  # stands for the file that a tool writes; without it, the tool's stdout is the result


@dataclass
class Tool:
    name: str
    command: list[str]
    slow: bool = False  # runs once, and not in turn
    floor: bool = False  # gives no answer: does only a part of the work that no tool can leave out
    skips: str = ""  # the part of the input that it can't read
    note: str = ""
    package: str = ""  # the Python package that the tool is
    writes: str = ""  # name of the result in its working directory, which is then a temporary directory
    row: bytes = b"\n"  # bytes that each row of its result has once
    comparable: bool = True  # its rows equal those of the others, except for the last digits of floats
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class Work:
    title: str
    inputs: list[str]
    tools: list[Tool]  # mapfold is the first
    ordered: bool = False  # if so, every complete result has the same bytes
    numbers: tuple[int, ...] = ()  # columns that are compared as floats; if any, rows are compared in any order
    close: float = 1e-9  # greatest relative difference of these floats
    counts: bool = False  # the last column of every complete result adds up to the lines of the first input
    large: bool = False  # takes so long, or so much disk, that it runs only if it is named


def path(name: str) -> str:
    """Returns an input's path as the tools get it. It is relative if the input lies in the repository."""
    full = DATA / name
    return str(full.relative_to(ROOT)) if full.is_relative_to(ROOT) else str(full)


def mapfold(job: str, name: str, *flags: str, label: str = "") -> Tool:
    return Tool(f"mapfold {label}".strip(), [MAPFOLD, "run", job, path(name), *flags, "-o", OUT, "--force"])


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def chdb(query: str) -> Tool:
    command = python("import chdb, sys; chdb.query(sys.argv[1])", query)
    return Tool("ClickHouse local (chDB)", command, package="chdb")


def clickhouse(select: str, name: str, settings: str = "") -> Tool:
    """ClickHouse's local engine over lines. Blocks of 16,384 rows are faster here than its 65,409 for every query."""
    source = f"file('{path(name)}', 'LineAsString', 'line String')"
    return chdb(
        f"{select.format(lines=source)} into outfile '{OUT}' format TSVRaw "
        f"settings max_threads = {THREADS}, max_block_size = 16384{settings}"
    )


def clickhouse_csv(select: str, name: str, form: str, columns: dict[str, str], settings: str = "") -> Tool:
    """ClickHouse's local engine over a table. Its default block is fastest here. LowCardinality takes twice as long."""
    structure = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    source = f"file('{path(name)}', '{form}', '{structure}')"
    query = f"{select.format(table=source)} into outfile '{OUT}' format TSVRaw settings max_threads = {THREADS}"
    return chdb(query + settings)


def duckdb_query(select: str, set_first: str = "") -> list[str]:
    query = (
        f"set threads = {THREADS}; set preserve_insertion_order = false; {set_first}"
        f"copy ({select}) to '{OUT}' (format csv, delimiter e'\\t', header false, quote '', nullstr '\\N')"
    )
    return python("import duckdb, sys; duckdb.connect().execute(sys.argv[1])", query)


def duckdb(select: str, name: str, *, memory: str = "", slow: bool = False) -> Tool:
    """DuckDB over lines. Its fastest way is a CSV with a delimiter that never occurs. Text must be UTF-8."""
    source = (
        f"read_csv('{path(name)}', columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, "
        r"delim = e'\x01\x02\x03\x04', quote = '', escape = '', strict_mode = false, ignore_errors = true)"
    )
    limit = f"set memory_limit = '{memory}'; set temp_directory = '{OUT}.spill'; " if memory else ""
    return Tool(
        f"DuckDB, memory_limit {memory}" if memory else "DuckDB",
        duckdb_query(select.format(lines=source), limit),
        slow=slow,
        skips="lines that are not UTF-8" if name == LINUX else "",
        package="duckdb",
    )


def duckdb_json(select: str, name: str, columns: dict[str, str]) -> Tool:
    """DuckDB over JSON lines. Their types are given."""
    source = f"read_json('{path(name)}', format = 'newline_delimited', columns = {columns})"
    return Tool("DuckDB", duckdb_query(select.format(table=source)), package="duckdb")


def duckdb_csv(select: str, name: str, columns: dict[str, str], options: str) -> Tool:
    """DuckDB over a table. Its types are given."""
    source = f"read_csv('{path(name)}', columns = {columns}, auto_detect = false, {options})"
    return Tool("DuckDB", duckdb_query(select.format(table=source)), package="duckdb")


def polars(name: str, scan: str, group: str, aggregates: str, reader: str = "scan_csv") -> Tool:
    """polars, lazily. Its streaming engine is as fast here as the in-memory one, or faster, with half the memory."""
    code = (
        f"import polars as pl, sys; pl.{reader}(sys.argv[1], {scan}).group_by('{group}').agg({aggregates})"
        ".collect(engine='streaming')"
        r".write_csv(sys.argv[2], separator='\t', include_header=False, quote_style='never')"
    )
    threads = {"POLARS_MAX_THREADS": str(THREADS)}
    return Tool("polars", python(code, path(name), OUT), package="polars", env=threads)


def shell(label: str, script: str, skips: str = "") -> Tool:
    return Tool(label, ["bash", "-o", "pipefail", "-c", script], slow=True, skips=skips, env={"LC_ALL": "C"})


def unpacking(command: str, name: str) -> Tool:
    script = f"exec {command} {path(name)} > /dev/null"
    return Tool(f"`{command}` to /dev/null", ["bash", "-c", script], floor=True, note="only unpacks")


def phoenix(name: str) -> list[Tool]:
    """Phoenix++'s word_count, if PHOENIX_WORDCOUNT names one.

    As published it also keeps apostrophes that follow a letter. Without that condition in its map() it answers the
    same question. It prints as many words as its second argument asks for, between a few other lines.
    """
    binary = os.environ.get("PHOENIX_WORDCOUNT")
    if not binary:
        return []
    threads = {"MR_NUMTHREADS": str(THREADS)}
    return [Tool("Phoenix++", [binary, path(name), "1000000000"], row=b" - ", comparable=False, env=threads)]


def hand_written(name: str) -> list[Tool]:
    """lehuyduc's program for the One Billion Row Challenge, if ONEBRC names one, built for as many threads as here.

    The program knows the format: temperatures have one digit after the point, and names have at most 100 bytes. Its
    answer is one line in a file result.txt, rounded to a tenth. The process that is waited for starts another one, and
    ends before the other one has freed its memory. The measured peak is that of the first process.
    """
    binary = os.environ.get("ONEBRC")
    if not binary:
        return []
    return [
        Tool(
            "lehuyduc/1brc-simd (C++)",
            [os.path.abspath(binary), str(DATA / name)],
            note="knows the format; its peak can't be seen",
            writes="result.txt",
            row=b"=",
            comparable=False,
        )
    ]


def measurements() -> Work:
    select = "select s, min(t), avg(t), max(t) from {table} group by s"
    semicolon = "delim = ';', header = false, quote = '', escape = ''"
    schema = "separator=';', has_header=False, quote_char=None, schema={'s': pl.String, 't': pl.Float64}"
    aggregates = "pl.col('t').min().alias('min'), pl.col('t').mean().alias('mean'), pl.col('t').max().alias('max')"
    return Work(
        "min, mean and max per station of the One Billion Row format, 100 M rows, unordered",
        [MEASUREMENTS],
        [
            mapfold("measurements", MEASUREMENTS, "--unordered"),
            *hand_written(MEASUREMENTS),
            polars(MEASUREMENTS, schema, "s", aggregates),
            clickhouse_csv(
                select,
                MEASUREMENTS,
                "CSV",
                {"s": "String", "t": "Float64"},
                ", format_csv_delimiter = ';', format_csv_allow_double_quotes = 0",
            ),
            duckdb_csv(select, MEASUREMENTS, {"s": "VARCHAR", "t": "DOUBLE"}, semicolon),
        ],
        numbers=(1, 2, 3),
    )


def groups(title: str, name: str, *, beside: list[Tool] = (), also: tuple[str, ...] = ()) -> Work:
    """The group-by over one of the forms of its table."""
    kinds = {"id1": "s", "id2": "s", "id3": "s", "id4": "i", "id5": "i", "id6": "i", "v1": "i", "v2": "i", "v3": "f"}

    def typed(**names: str) -> dict[str, str]:
        return {column: names[kind] for column, kind in kinds.items()}

    schema = ", ".join(f"'{column}': pl.{kind}" for column, kind in typed(s="String", i="Int64", f="Float64").items())
    aggregates = "pl.col('v1').sum().alias('sum'), pl.col('v3').mean().alias('mean'), pl.len().alias('count')"
    select = "select id3, sum(v1), avg(v3), count(*) from {table} group by id3"
    quote = "delim = ',', header = true, quote = '\"', escape = '\"'"
    in_duckdb, in_clickhouse = typed(s="VARCHAR", i="INTEGER", f="DOUBLE"), typed(s="String", i="Int32", f="Float64")
    if name == JSON:
        peers = [
            polars(name, f"schema={{{schema}}}", "id3", aggregates, "scan_ndjson"),
            duckdb_json(select, name, in_duckdb),
            clickhouse_csv(select, name, "JSONEachRow", in_clickhouse),
        ]
    else:
        peers = [
            polars(name, f"schema={{{schema}}}", "id3", aggregates),
            duckdb_csv(select, name, in_duckdb, quote),
            clickhouse_csv(select, name, "CSVWithNames", in_clickhouse),
        ]
    tool = mapfold("benches/specs/groups.json", name, "--unordered")
    return Work(title, [name, *also], [tool, *beside, *peers], numbers=(2,))


def approx_distinct() -> Work:
    """Each tool's own sketch. The errors are about 1 %, so the answers are within a few percent of each other."""
    return Work(
        "about how many of 40 M lines differ",
        [LINES],
        [
            mapfold("benches/specs/approx-distinct.json", LINES),
            duckdb("select approx_count_distinct(line) from {lines}", LINES),
            clickhouse("select uniqHLL12(line) from {lines}", LINES),
        ],
        numbers=(0,),
        close=0.06,
    )


def variance() -> Work:
    select = "select id3, {variance}(v3) from {{table}} group by id3"
    duck = {"id1": "VARCHAR", "id2": "VARCHAR", "id3": "VARCHAR", "id4": "INTEGER", "id5": "INTEGER", "id6": "INTEGER"}
    duck |= {"v1": "INTEGER", "v2": "INTEGER", "v3": "DOUBLE"}
    house = {"VARCHAR": "String", "INTEGER": "Int32", "DOUBLE": "Float64"}
    in_clickhouse = {name: house[kind] for name, kind in duck.items()}
    mean = mapfold("benches/specs/mean.json", GROUPS, "--unordered", label="mean")
    mean.comparable, mean.note = False, "of the same column"
    return Work(
        "variance of a decimal per id3 of 20 M rows of CSV, and the mean, unordered",
        [GROUPS],
        [
            mapfold("benches/specs/variance.json", GROUPS, "--unordered"),
            mean,
            duckdb_csv(select.format(variance="var_samp"), GROUPS, duck, "delim = ',', header = true"),
            clickhouse_csv(select.format(variance="varSamp"), GROUPS, "CSVWithNames", in_clickhouse),
        ],
        numbers=(1,),
        close=1e-6,
    )


def access_log() -> Work:
    """DuckDB's and ClickHouse's own functions over lines. Both give what the pattern's groups match as text."""
    pattern = r'^[^ ]+ [^ ]+ [^ ]+ \[[^\]]*\] "[^ "]* ([^ "]*)[^"]*" ([0-9][0-9][0-9]) ([0-9]+|-)'
    groups = "extractGroups(line, '" + pattern.replace("\\", "\\\\") + "') as g"
    in_clickhouse = (
        f"select g[1] as path, g[2] as status, avg(toUInt64OrNull(g[3])), count() from (select {groups} from {{lines}}) "
        "group by path, status"
    )
    names = "['path', 'status', 'bytes']"
    in_duckdb = (
        f"select g.path, g.status, avg(try_cast(g.bytes as bigint)), count(*) from "
        f"(select regexp_extract(line, '{pattern}', {names}) as g from {{lines}}) group by g.path, g.status"
    )
    return Work(
        "mean bytes and requests by path and status of 5 M lines of a combined log, unordered",
        [LOG],
        [
            mapfold("benches/specs/log.json", LOG, "--unordered"),
            clickhouse(in_clickhouse, LOG),
            duckdb(in_duckdb, LOG),
        ],
        numbers=(2,),
    )


def built_in_access_log() -> Work:
    script = (
        "{ split($2, request, \" \"); split($3, sizes, \" \"); path = request[2]; requests[path]++; "
        'if (sizes[2] != "-") { bytes[path] += sizes[2]; sized[path] = 1 } '
        "if (sizes[1] >= 400) errors[path]++ } "
        'END { for (path in requests) printf "%s\\t%d\\t%s\\t%.17g\\n", path, requests[path], '
        'sized[path] ? sprintf("%.0f", bytes[path]) : "\\\\N", errors[path] / requests[path] }'
    )
    return Work(
        "the built-in access-log of the same log, unordered",
        [LOG],
        [
            mapfold("access-log", LOG, "--unordered"),
            shell("mawk", f"mawk -F '\"' '{script}' {path(LOG)}"),
        ],
        numbers=(3,),
    )


def ten_gigabytes() -> Work:
    """Ten times U1. Other settings must give the same bytes, and ten times the lines should take ten times as long."""
    within = ("--memory", "512M")
    tenth = mapfold("uniq", LINES, *within, label="on U1's lines, a tenth")
    tenth.floor, tenth.note = True, "does a tenth of the work"
    others = (*within, "--combiner", "off", "--split-size", "16M", "--scheduler", "shared")
    return Work(
        "count distinct lines, 400 M of which 253 M differ, 10 GB, within 512 MB, ordered by line",
        [LINES_10G, LINES],
        [
            mapfold("uniq", LINES_10G, *within, label="--memory 512M"),
            mapfold("uniq", LINES_10G, *others, label="with other settings"),
            tenth,
        ],
        ordered=True,
        counts=True,
        large=True,
    )


def works() -> dict[str, Work]:
    whitespace, letters = "benches/specs/whitespace.json", "benches/specs/letters.json"
    by_line = "benches/specs/sort-lines.json"
    by_key = 'sort=["word"]'
    sort = f"sort --parallel={THREADS}"

    ch_words = "select arrayJoin(splitByWhitespace(line)) as w, count() as n from {lines} group by w"
    ch_letters = "select arrayJoin(alphaTokens(lower(line))) as w, count() as n from {lines} group by w"
    # DuckDB's regexes (`regexp_extract_all(line, '\S+')`) take 1.5 times as long as this.
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
    grouped = "sum, mean and count per id3 of 20 M rows of CSV, unordered"
    plain = mapfold("benches/specs/groups.json", GROUPS, "--unordered", label="on the plain table")

    return {
        "W1": Work(
            "count white-space words of Linux 6.1, unordered",
            [LINUX],
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
            [LINUX],
            [
                mapfold(whitespace, LINUX, "--set", by_key),
                clickhouse(ch_words + " order by w", LINUX),
                duckdb(duck_words + " order by w", LINUX, slow=True),
            ],
            ordered=True,
        ),
        "W1-256M": Work(
            "W1 within 256 MB, beside ClickHouse without a limit",
            [LINUX],
            [
                mapfold(whitespace, LINUX, "--unordered", "--memory", "256M", label="--memory 256M"),
                clickhouse(ch_words, LINUX),
            ],
        ),
        "W1-count": Work(
            "W1, ordered by count, then word",
            [LINUX],
            [
                mapfold(whitespace, LINUX),
                clickhouse(ch_words + " order by n desc, w", LINUX),
                duckdb(duck_words + " order by n desc, w", LINUX, slow=True),
            ],
            ordered=True,
        ),
        "W2": Work(
            "count runs of ASCII letters of Linux 6.1, case folded, unordered",
            [LINUX],
            [
                mapfold(letters, LINUX, "--unordered"),
                *phoenix(LINUX),
                clickhouse(ch_letters, LINUX),
                duckdb(duck_letters, LINUX, slow=True),
            ],
        ),
        "wordcount": Work(
            "the built-in wordcount (Unicode words) of Linux 6.1, most frequent first",
            [LINUX],
            [mapfold("wordcount", LINUX)],
        ),
        "U1": Work(
            "count distinct lines, 40 M of which 25 M differ, unordered",
            [LINES],
            [
                mapfold("uniq", LINES, "--unordered"),
                clickhouse(CLICKHOUSE_LINES, LINES),
                duckdb(DUCKDB_LINES, LINES),
                shell("sort, uniq -c", f"{sort} -S 8G {path(LINES)} | uniq -c"),
            ],
        ),
        "U1-key": Work(
            "U1, ordered by line",
            [LINES],
            [
                mapfold("uniq", LINES),
                clickhouse(CLICKHOUSE_LINES + " order by line", LINES),
                duckdb(DUCKDB_LINES + " order by line", LINES, slow=True),
            ],
            ordered=True,
        ),
        "U1-distinct": Work(
            "count distinct lines, 20 M that all differ, unordered",
            [DISTINCT],
            [
                mapfold("uniq", DISTINCT, "--unordered"),
                clickhouse(CLICKHOUSE_LINES, DISTINCT),
                duckdb(DUCKDB_LINES, DISTINCT),
            ],
        ),
        "U2": Work(
            "U1 within 512 MB, DuckDB within 768 MB",
            [LINES],
            [
                mapfold("uniq", LINES, "--unordered", "--memory", "512M", label="--memory 512M"),
                duckdb(DUCKDB_LINES, LINES, memory="768MiB"),
                shell("sort -S 512M, uniq -c", f"{sort} -S 512M {path(LINES)} | uniq -c"),
            ],
        ),
        "S1": Work(
            "sort the lines of U1 by their bytes",
            [LINES],
            [
                mapfold(by_line, LINES),
                duckdb("select line from {lines} order by line", LINES, slow=True),
                shell("sort -S 8G", f"{sort} -S 8G {path(LINES)}"),
            ],
            ordered=True,
        ),
        "S1-64M": Work(
            "S1 within 64 MB",
            [LINES],
            [
                mapfold(by_line, LINES, "--memory", "64M", label="--memory 64M"),
                shell("sort -S 64M", f"{sort} -S 64M {path(LINES)}"),
            ],
            ordered=True,
        ),
        "G10": ten_gigabytes(),
        "A1": measurements(),
        "A2": groups(grouped, GROUPS),
        "A2-quoted": groups("A2 with quotes around every field", QUOTED, beside=[plain], also=(GROUPS,)),
        "R1": access_log(),
        "access-log": built_in_access_log(),
        "approx-distinct": approx_distinct(),
        "variance": variance(),
        "J1": groups("A2 of the table as JSON lines", JSON),
        "A2-gz": groups(
            "A2 of the table packed by gzip -6", GZIPPED, beside=[plain, unpacking("gzip -dc", GZIPPED)], also=(GROUPS,)
        ),
        "A2-zst": groups(
            "A2 of the table packed by zstd -3", ZSTD, beside=[plain, unpacking("zstd -dc", ZSTD)], also=(GROUPS,)
        ),
    }
