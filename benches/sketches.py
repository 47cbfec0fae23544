"""Measure the errors of approximate aggregates, beside Apache DataSketches. Run it through benches/sketches.sh.

Every answer is compared with what Python finds in all the values. Values are drawn from fixed seeds, so the figures are
the same on every machine, except for those of sketches that draw random numbers themselves.
"""

import argparse
import datetime
import math
import random
import struct
import subprocess
import sys
import tempfile
from bisect import bisect_left, bisect_right
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import MAPFOLD, RESULTS, write_section

try:
    import datasketches
except ImportError:  # not installed with --quick
    datasketches = None

SIGMA = 1.04 / math.sqrt(2**14)  # standard error that approx_distinct promises
ERROR = 1 / 256  # greatest error that approx_quantile promises
SHARES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)

FAMILIES = {
    "uniform": lambda draw: 1000 * draw.random(),
    "normal": lambda draw: draw.gauss(0, 1),
    "exponential": lambda draw: draw.expovariate(1 / 30),
    "lognormal, σ 3": lambda draw: draw.lognormvariate(0, 3),
    "Pareto, α 1": lambda draw: draw.paretovariate(1),
    "whole numbers to 1000": lambda draw: float(draw.randrange(1001)),
}


def mapfold(aggregates: str, flags: list[str], path: Path) -> list[list[str]]:
    done = subprocess.run([MAPFOLD, "agg", aggregates, *flags, path], check=True, text=True, stdout=subprocess.PIPE)
    return [line.split("\t") for line in done.stdout.splitlines()]


def hll(lg_k: int, kind: str, values: list[str]) -> tuple[float, int]:
    sketch = datasketches.hll_sketch(lg_k, getattr(datasketches.tgt_hll_type, kind))
    for value in values:
        sketch.update(value)
    return sketch.get_estimate(), len(sketch.serialize_compact())


HLLS = {"DataSketches HLL_8, lg k 14": (14, "HLL_8"), "DataSketches HLL_4, lg k 12 (default)": (12, "HLL_4")}


def distinct(most: int, tmp: Path, say) -> bool:
    """Measures several sets of each size. Each set is a group."""
    peers = HLLS if datasketches else {}
    names = ["approx_distinct", *peers]
    say("| values | sets |" + "".join(f" {name} | worst | bytes |" for name in names))
    say("| --- | --- |" + " --- | --- | --- |" * len(names))
    fine = True
    count = 10
    while count <= most:
        sets = max(1, min(200, 10 * most // count // 4))
        path = tmp / "sets.csv"
        errors: dict[str, list[float]] = {name: [] for name in names}
        sizes = dict.fromkeys(names, 0)
        with path.open("w") as file:
            file.write("set,value\n")
            for number in range(sets):
                values = [f"value {number}/{i}" for i in range(count)]
                file.writelines(f"{number},{value}\n" for value in values)
                for name, (lg_k, kind) in peers.items():
                    estimate, size = hll(lg_k, kind, values)
                    errors[name].append(estimate / count - 1)
                    sizes[name] = max(sizes[name], size)
        found = mapfold("approx_distinct(value)", ["-g", "set"], path)
        errors["approx_distinct"] = [int(estimate) / count - 1 for _, estimate in found]
        # As many entries as values, less the few that share an entry, and at most twice as many.
        sizes["approx_distinct"] = 4 * 2 ** math.ceil(math.log2(count)) if count <= 1024 else 2**14
        cells = f"| {count:,} | {sets} |"
        for name in names:
            root = math.sqrt(sum(error * error for error in errors[name]) / len(errors[name]))
            worst = max(map(abs, errors[name]))
            cells += f" {root:.2%} | {worst:.2%} | {sizes[name]:,} |"
            if name == "approx_distinct":
                fine &= len(found) == sets and root < SIGMA * (1 + 4 / math.sqrt(2 * sets)) and worst < 5 * SIGMA
        say(cells)
        count *= 10
    return fine


def buckets(values: list[float]) -> int:
    """Returns the bytes of the table in which approx_quantile holds the values."""
    numbers = len({struct.unpack(">Q", struct.pack(">d", value))[0] >> 45 for value in values})
    entries = 2
    while 4 * numbers > 3 * entries:
        entries *= 2
    return 8 * entries


def kll(values: list[float]):
    sketch = datasketches.kll_doubles_sketch(200)
    for value in values:
        sketch.update(value)
    return [sketch.get_quantile(share) for share in SHARES], len(sketch.serialize())


def tdigest(values: list[float]):
    sketch = datasketches.tdigest_double(200)
    for value in values:
        sketch.update(value)
    return [sketch.get_quantile(share) for share in SHARES], len(sketch.serialize())


def quantiles(count: int, tmp: Path, say) -> bool:
    peers = {"DataSketches KLL, k 200": kll, "DataSketches t-digest, k 200": tdigest} if datasketches else {}
    names = ["approx_quantile", *peers]
    say("| values |" + "".join(f" {name}: of the value | of the rank | bytes |" for name in names))
    say("| --- |" + " --- | --- | --- |" * len(names))
    fine = True
    for family, draw_one in FAMILIES.items():
        draw = random.Random(family)
        values = [draw_one(draw) for _ in range(count)]
        path = tmp / "values.csv"
        path.write_text("x\n" + "".join(f"{value!r}\n" for value in values))
        aggregates = ", ".join(f"approx_quantile(x, {share})" for share in SHARES)
        [found] = mapfold(aggregates, ["--type", "x=float"], path)
        results = {"approx_quantile": ([float(value) for value in found], buckets(values))}
        results |= {name: sketch(values) for name, sketch in peers.items()}
        values.sort()
        cells = f"| {family} |"
        for name, (answers, size) in results.items():
            of_value = of_rank = 0.0
            for share, answer in zip(SHARES, answers, strict=True):
                exact = values[math.floor(share * (count - 1))]
                of_value = max(of_value, abs(answer / exact - 1) if exact else math.inf if answer else 0.0)
                of_rank = max(of_rank, rank_error(values, answer, share))
            cells += f" {of_value:.2%} | {of_rank:.3%} | {size:,} |"
            if name == "approx_quantile":
                fine &= of_value <= ERROR
        say(cells)
    return fine


def rank_error(values: list[float], answer: float, share: float) -> float:
    """Returns how far `share` is from the shares of the values below the answer and of those not above it."""
    below, up_to = bisect_left(values, answer) / len(values), bisect_right(values, answer) / len(values)
    return max(0.0, below - share, share - up_to)


def peer() -> str:
    try:
        return f"DataSketches {version('datasketches')}"
    except PackageNotFoundError:
        return "DataSketches is not there"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benches/sketches.sh", description="See how far off the approximate aggregates are, beside DataSketches."
    )
    parser.add_argument("--quick", action="store_true", help="unoptimised, on few values: shows that it runs")
    parser.add_argument("--write", action="store_true", help="also write its section of benches/RESULTS.md")
    arguments = parser.parse_args()
    if arguments.quick and arguments.write:
        parser.error("--quick measures nothing worth writing")
    most = 10_000 if arguments.quick else 1_000_000

    page: list[str] = []

    def say(*lines: str) -> None:
        page.extend(lines)
        print(*lines, sep="\n", flush=True)

    done = subprocess.run([MAPFOLD, "--version"], check=True, text=True, stdout=subprocess.PIPE)
    say("# How far off approximate aggregates are", "")
    say(f"Made by `benches/sketches.sh` on {datetime.date.today()}: {done.stdout.strip()}, {peer()}.")
    say("Every tool is given the same values, one after the other, in one sketch a group. Bytes are those of a state as it is", "stored.")
    say("", "## Different values", "")
    say("The root of the mean square of the relative errors over all sets, and the worst. approx_distinct promises a standard")
    say(f"error of {SIGMA:.2%}.", "")
    with tempfile.TemporaryDirectory(prefix="mapfold-sketches-") as name:
        fine = distinct(most, Path(name), say)
        say("", f"## Quantiles of {most:,} values", "")
        say(f"The worst of q = {', '.join(map(str, SHARES))}: how far an answer is from the exact one, by the size of that; and")
        say("how far q is from the share of the values that are not above the answer. approx_quantile promises the first, at most")
        say(f"{ERROR:.2%}; the other two promise the second.", "")
        fine &= quantiles(most, Path(name), say)
    if arguments.write:
        write_section("benches/sketches.sh", page)
        print(f"wrote {RESULTS.name}", file=sys.stderr)
    if not fine:
        print("error: an answer is off by more than was promised: see the tables", file=sys.stderr)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
