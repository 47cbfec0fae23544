#!/usr/bin/env python3
"""The expected outputs, worked out without mapfold: testdata/expected.py [--check]

Writes DIRECTORY/expected.txt beside each DIRECTORY/input.txt here; with --check compares instead. It follows what
the jobs' descriptions say, a code point and a line at a time, with Python's own Unicode tables.
"""

import re
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXACT = Context(prec=200)  # more digits than any decimal here


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


def sort(text: bytes) -> list[tuple]:
    return [(line,) for line in sorted(lines(text))]


def records(text: bytes, delimiter: bytes) -> list[list[bytes | None]]:
    """The records of a CSV text, as RFC 4180 has them; a cell with nothing in it, not even quotes, is None."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    quoted = rb'"((?:[^"]|"")*)"'
    bare = rb"([^%b\r\n]*)" % re.escape(delimiter)
    cell = re.compile(rb"(?:%b|%b)(%b|\r?\n|\Z)" % (quoted, bare, re.escape(delimiter)))
    found, record, at = [], [], 0
    while at < len(text) or record:
        match = cell.match(text, at)
        assert match, text[at : at + 40]
        inside, outside, end = match.groups()
        record.append(inside.replace(b'""', b'"') if inside is not None else outside or None)
        at = match.end()
        if end != delimiter:
            found.append(record)
            record = []
    return found


def number(decimal: Decimal | None) -> bytes | None:
    """All digits, without zeros at the end of the fraction; zero has no sign."""
    if not decimal:
        return None if decimal is None else b"0"
    text = f"{decimal:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).encode()


def mean(values: list[Decimal]) -> bytes | None:
    """The exact sum over how many they are, rounded once to a double, in as few digits as give it back."""
    return repr(float(sum(map(Fraction, values)) / len(values))).encode() if values else None


def by_key(rows) -> list[tuple[bytes | None, int, list[Decimal]]]:
    """Keys with how many records they have and their values, null first, then by bytes."""
    counts, values = Counter(), defaultdict(list)
    for key, value in rows:
        counts[key] += 1
        values[key] += [Decimal(value.decode())] if value is not None else []
    return [(key, counts[key], values[key]) for key in sorted(counts, key=lambda key: (key is not None, key))]


def least_and_greatest(values: list[Decimal]) -> tuple[bytes | None, bytes | None]:
    return number(min(values, default=None)), number(max(values, default=None))


def exact_sum(values: list[Decimal]) -> bytes | None:
    scale = max((-value.as_tuple().exponent for value in values), default=0)
    total = sum(int(value.scaleb(scale, EXACT)) for value in values)
    return number(Decimal(total).scaleb(-scale, EXACT)) if values else None


def measurements(text: bytes) -> list[tuple]:
    """Minimum, mean and maximum by key."""
    rows = []
    for key, _, values in by_key(records(text, b";")):
        least, greatest = least_and_greatest(values)
        rows.append((key, least, mean(values), greatest))
    return rows


def group_by(text: bytes) -> list[tuple]:
    """Of the columns that command.txt names."""
    header, *rest = records(text, b",")
    by, value = header.index(b"region"), header.index(b"amount")
    rows = []
    for key, count, values in by_key((record[by], record[value]) for record in rest):
        rows.append((key, count, exact_sum(values), mean(values), *least_and_greatest(values)))
    return rows


def requests(text: bytes) -> list[tuple[bytes, bytes | None, int, int | None]]:
    """Host, path, status and bytes of the lines of an access log, taken apart sign by sign."""
    found = []
    for line in lines(text):
        host, _, _, rest = line.split(b" ", 3)
        rest = rest[rest.index(b'] "') + 3 :]
        end = 0
        while rest[end : end + 1] != b'"':
            end += 2 if rest[end : end + 1] == b"\\" else 1
        parts = rest[:end].split(b" ")
        status, size = rest[end + 2 :].split(b" ")[:2]
        found.append((host, parts[1] if len(parts) > 1 else None, int(status), None if size == b"-" else int(size)))
    return found


def access_log(text: bytes) -> list[tuple]:
    """Requests, bytes and share of errors by path, most requests first."""
    groups = defaultdict(list)
    for _, path, status, size in requests(text):
        groups[path].append((status, size))
    rows = []
    for path, of in groups.items():
        sizes = [size for _, size in of if size is not None]
        errors = Fraction(sum(status >= 400 for status, _ in of), len(of))
        rows.append((path, len(of), sum(sizes) if sizes else None, repr(float(errors)).encode()))
    return sorted(rows, key=lambda row: (-row[1], row[0] is not None, row[0] or b""))


def top_talkers(text: bytes) -> list[tuple]:
    """Bytes and requests by host, most bytes first and null last."""
    groups = defaultdict(list)
    for host, _, _, size in requests(text):
        groups[host].append(size)
    rows = []
    for host, of in groups.items():
        sizes = [size for size in of if size is not None]
        rows.append((host, sum(sizes) if sizes else None, len(of)))
    return sorted(rows, key=lambda row: (row[1] is None, -(row[1] or 0), row[0]))


def top_per_group(text: bytes) -> list[tuple]:
    """The two rows of each region with the greatest amounts, null last, as command.txt asks; of equal ones the first."""
    header, *rest = records(text, b",")
    group, by = header.index(b"region"), header.index(b"amount")
    groups = defaultdict(list)
    for record in rest:
        groups[record[group]].append(record)
    rank = lambda record: (record[by] is None, -Fraction(record[by].decode()) if record[by] is not None else 0)
    keys = sorted(groups, key=lambda key: (key is not None, key))
    return [tuple(record) for key in keys for record in sorted(groups[key], key=rank)[:2]]


def log_levels(text: bytes) -> list[tuple]:
    """Lines by the first of their words that is a level; a word is a run of ASCII letters, digits and underscores."""
    names = "trace debug info notice warn warning err error crit critical alert emerg fatal panic".split()
    levels = Counter()
    for line in lines(text):
        found = (word for word in re.findall(rb"[A-Za-z0-9_]+", line) if word.decode().lower() in names)
        levels[next(found, b"").upper()] += 1
    return sorted(levels.items(), key=lambda row: (-row[1], row[0]))


def time_series(text: bytes) -> list[tuple]:
    """Lines by the hour, of UTC, of the first timestamp in each: of a web server's log, or year, month and day first."""
    log = rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ([+-]\d\d)(\d\d))?"
    iso = rb"(?<!\w)(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?:Z| ?([+-]\d\d):?(\d\d))?)?(?!\w)"
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    hours = Counter()
    for line in lines(text):
        dates = [match for match in re.finditer(iso, line) if 1 <= int(match[2]) <= 12 and 1 <= int(match[3]) <= 31]
        found = min(filter(None, (re.search(log, line), *dates[:1])), key=lambda match: match.start(), default=None)
        if found is None:
            hours[b""] += 1
            continue
        one, two, three, *rest = found.groups(b"0")
        is_log = two.isalpha()
        day = (int(three), months.index(two.decode()) + 1, int(one)) if is_log else (int(one), int(two), int(three))
        hour, minute, second, ahead, more = map(int, rest)
        behind = rest[3].startswith(b"-")
        at = datetime(*day, hour, minute, min(second, 59))  # a leap second is the second before it
        at -= timedelta(hours=ahead, minutes=-more if behind else more)
        hours[at.strftime("%Y-%m-%dT%H:00:00Z").encode()] += 1
    return sorted(hours.items())


def status_latency(text: bytes) -> list[tuple]:
    """Requests, and mean and greatest of the last words, by status; a dash is null."""
    groups = defaultdict(list)
    for line in lines(text):
        *_, latency = line.split(b" ")
        [(_, _, status, _)] = requests(line)
        groups[b"%d" % status].append(None if latency == b"-" else latency)
    rows = []
    for key, count, values in by_key((status, value) for status in groups for value in groups[status]):
        rows.append((key, count, mean(values), least_and_greatest(values)[1]))
    return rows


def tsv(row: tuple) -> bytes:
    """Where a job doesn't read text its rows are TSV: some bytes are escaped, null is \\N."""
    escapes = {b"\\": rb"\\", b"\t": rb"\t", b"\n": rb"\n", b"\r": rb"\r"}
    escape = lambda cell: re.sub(rb"[\\\t\n\r]", lambda match: escapes[match[0]], cell)
    return b"\t".join(rb"\N" if cell is None else escape(cell) for cell in row)


def main() -> int:
    differs = False
    for job in (wordcount, uniq, charcount, ngrams, match_count, grep, measurements, group_by, access_log, top_talkers, log_levels, time_series, status_latency, sort, top_per_group):
        directory = HERE / job.__name__.replace("_", "-")
        rows = job((directory / "input.txt").read_bytes())
        cells = ([str(cell).encode() if isinstance(cell, int) else cell for cell in row] for row in rows)
        line = tsv if job in (measurements, group_by, access_log, top_talkers, status_latency, top_per_group) else b"\t".join
        expected = b"".join(line(tuple(row)) + b"\n" for row in cells)
        path = directory / "expected.txt"
        if "--check" not in sys.argv[1:]:
            path.write_bytes(expected)
        elif path.read_bytes() != expected:
            print(f"{path.relative_to(HERE.parent)} is not what Python finds", file=sys.stderr)
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
