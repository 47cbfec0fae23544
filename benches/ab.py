"""Compare two builds of mapfold on works of benches/peers.sh. Run it through benches/ab.sh.

The builds run in turn (A B A B …), and every output is removed before the next run. Times are compared within a pair,
so a machine that is slower for a while does no harm.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from measure import DATA, MAPFOLD, Run, execute, warm
from peers import empty, needed
from works import OUT, Work, works


def rows(out: Path) -> int:
    with out.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 22), b""))


def once(binary: Path, work: Work, tmp: Path) -> tuple[Run, int]:
    """Returns a run, and the number of rows of its result."""
    for name in work.inputs:
        warm(DATA / name)
    empty(tmp)
    out = tmp / "out.txt"
    tool = work.tools[0]
    command = [str(binary) if part == MAPFOLD else part.replace(OUT, str(out)) for part in tool.command]
    run = execute(command, tmp / "stdout.txt", tool.env)
    if run.error:
        sys.exit(f"error: {binary}: {run.error}")
    return run, rows(out)


def compare(name: str, work: Work, old: Path, new: Path, pairs: int, tmp: Path) -> bool:
    """Prints the row of a work. Returns whether both results have equally many rows."""
    taken: list[tuple[Run, Run]] = []
    counts: set[int] = set()
    for pair in range(pairs):
        (before, of_old), (after, of_new) = once(old, work, tmp), once(new, work, tmp)
        taken.append((before, after))
        counts |= {of_old, of_new}
        print(f"{name} {pair + 1}: {before.seconds:.3f} s, {after.seconds:.3f} s", file=sys.stderr, flush=True)
    wall = [after.seconds / before.seconds for before, after in taken]
    cpu = statistics.median(after.cpu / before.cpu for before, after in taken)
    peak = statistics.median(after.peak / before.peak for before, after in taken)
    seconds = (f"{statistics.median(run.seconds for run in runs):.3f}" for runs in zip(*taken))
    spread = f"{statistics.median(wall):.3f} | {min(wall):.3f} | {max(wall):.3f}"
    note = "" if len(counts) == 1 else " **rows differ**"
    print(f"| {name} | {' | '.join(seconds)} | {spread} | {cpu:.3f} | {peak:.3f} |{note}", flush=True)
    return len(counts) == 1


def main() -> int:
    table = works()
    parser = argparse.ArgumentParser(prog="benches/ab.sh", description="Compare two builds of mapfold.")
    parser.add_argument("old", type=Path, help="a binary")
    parser.add_argument("new", type=Path, help="another; ratios are of this to the first: above 1, it is slower")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"default: W1 W2 U1; there are {' '.join(table)}")
    parser.add_argument("--pairs", type=int, default=7, help="runs of each, in turn (default 7)")
    parser.add_argument("--inputs", action="store_true", help="only print which inputs it needs")
    arguments = parser.parse_args()
    chosen = arguments.works or ["W1", "W2", "U1"]
    if unknown := [name for name in chosen if name not in table]:
        parser.error(f"no work named {unknown[0]}; there are {' '.join(table)}")
    if arguments.pairs < 1:
        parser.error("--pairs must be at least 1")
    if arguments.inputs:
        print(*needed(chosen, table), sep="\n")
        return 0
    old, new = arguments.old.resolve(), arguments.new.resolve()
    for binary in (old, new):
        if not os.access(binary, os.X_OK):
            parser.error(f"{binary} can't be run")
    print("| work | old, s | new, s | new / old | least | most | CPU time | peak |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    base = os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="mapfold-ab-", dir=base) as tmp:
        same = [compare(name, table[name], old, new, arguments.pairs, Path(tmp)) for name in chosen]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
