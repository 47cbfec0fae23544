#!/usr/bin/env python3
"""The expected outputs, worked out without mapfold: testdata/expected.py [--check]

Writes DIRECTORY/expected.txt beside each DIRECTORY/input.txt here; with --check compares instead. It follows what
the jobs' descriptions say, a code point and a line at a time, with Python's own Unicode tables.
"""

import sys
import unicodedata
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent


def lines(text: bytes) -> list[bytes]:
    """A last line need not end with a newline. One \\r before the newline is part of the line's end."""
    parts = text.split(b"\n")
    last = parts.pop()
    return [part.removesuffix(b"\r") for part in parts] + ([last] if last else [])


def words(line: bytes) -> list[bytes]:
    """Runs of letters, marks and numbers; an apostrophe stays between a letter or mark and a letter."""
    chars = line.decode("utf-8", "surrogateescape")  # a byte that is not UTF-8 becomes a surrogate: no word
    kinds = [unicodedata.category(char)[0] for char in chars]
    found, word = [], ""
    for i, char in enumerate(chars):
        inside = 0 < i < len(chars) - 1
        if kinds[i] in "LMN" or (char in "'’" and inside and kinds[i - 1] in "LM" and kinds[i + 1] == "L"):
            word += char.lower()  # of one code point: no context
        elif word:
            found.append(word)
            word = ""
    return [word.encode() for word in found + [word] if word]


def wordcount(text: bytes) -> list[tuple[bytes, int]]:
    counts = Counter(word for line in lines(text) for word in words(line))
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))


def uniq(text: bytes) -> list[tuple[bytes, int]]:
    return sorted(Counter(lines(text)).items())


def main() -> int:
    differs = False
    for job in (wordcount, uniq):
        directory = HERE / job.__name__
        rows = job((directory / "input.txt").read_bytes())
        expected = b"".join(b"%b\t%d\n" % row for row in rows)
        path = directory / "expected.txt"
        if "--check" not in sys.argv[1:]:
            path.write_bytes(expected)
        elif path.read_bytes() != expected:
            print(f"{path.relative_to(HERE.parent)} is not what Python finds", file=sys.stderr)
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
