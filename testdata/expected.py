#!/usr/bin/env python3
"""The expected outputs, worked out without mapfold: testdata/expected.py [--check]

Writes DIRECTORY/expected.txt beside each DIRECTORY/input.txt here; with --check compares instead. It follows what
the jobs' descriptions say, a code point and a line at a time, with Python's own Unicode tables.
"""

import re
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


def most_frequent_first(pieces) -> list[tuple[bytes, int]]:
    return sorted(Counter(pieces).items(), key=lambda row: (-row[1], row[0]))


def wordcount(text: bytes) -> list[tuple]:
    return most_frequent_first(word for line in lines(text) for word in words(line))


def uniq(text: bytes) -> list[tuple]:
    return sorted(Counter(lines(text)).items())


def charcount(text: bytes) -> list[tuple]:
    """A byte that is not UTF-8 is a character of its own."""
    chars = (char for line in lines(text) for char in line.decode("utf-8", "surrogateescape"))
    return most_frequent_first(char.encode("utf-8", "surrogateescape") for char in chars)


def ngrams(text: bytes) -> list[tuple]:
    """Three words in a row, as command.txt asks."""
    grams = []
    for line in lines(text):
        found = words(line)
        grams += [b" ".join(found[i : i + 3]) for i in range(len(found) - 2)]
    return most_frequent_first(grams)


def match_count(text: bytes) -> list[tuple]:
    """Of the pattern that command.txt gives."""
    pattern = re.compile("[a-z]+(?:'|’)[a-z]+".encode())
    return most_frequent_first(match for line in lines(text) for match in pattern.findall(line))


def grep(text: bytes) -> list[tuple]:
    """Of the pattern that command.txt gives."""
    return [(line,) for line in lines(text) if re.search(rb"[Rr]abbit|NUL|^$", line)]


def main() -> int:
    differs = False
    for job in (wordcount, uniq, charcount, ngrams, match_count, grep):
        directory = HERE / job.__name__.replace("_", "-")
        rows = job((directory / "input.txt").read_bytes())
        cells = ([str(cell).encode() if isinstance(cell, int) else cell for cell in row] for row in rows)
        expected = b"".join(b"\t".join(row) + b"\n" for row in cells)
        path = directory / "expected.txt"
        if "--check" not in sys.argv[1:]:
            path.write_bytes(expected)
        elif path.read_bytes() != expected:
            print(f"{path.relative_to(HERE.parent)} is not what Python finds", file=sys.stderr)
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
