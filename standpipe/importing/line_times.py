"""Find the time that a log line says it is of, as nanoseconds since 1970. No I/O, no clock.

A line says it near its start, in one of the forms below, or, if it is a JSON object, in a member. ISO and syslog times
are read as the agent reads them (`metron.sources.syslog.times`); the others are first written as those. What is found
is tried in the form of the line before it first: most files have one only.
"""

from __future__ import annotations

import re
from calendar import isleap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol, TypeAlias

import orjson

from envelope.numbers_as_text import INT64
from metron.sources.syslog.times import bsd_ns, iso_ns

HEAD_BYTES = 160
"""A time begins, and ends, within so many bytes of a line's start."""
MEMBERS = ("@timestamp", "timestamp", "time", "ts", "datetime", "date", "eventTime", "asctime")
"""Of a JSON line; the first one that is there and is a time counts."""
_MOST_JSON = 1 << 20

_CLOCK = rb"[0-2]\d:[0-5]\d:[0-6]\d"
_FRACTION = rb"(?:[.,](\d{1,9})\d*)?"
_OFFSET = rb"[+-](?:0\d|1[0-4])"
_ZONE = rb"(?: ?([Zz](?![A-Za-z])|(?:UTC|GMT)(?![\w+-])|%b:?[0-5]\d(?!\d)|(?<! )%b(?![\d:])))" % (_OFFSET, _OFFSET)
_NAMES = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTH = b"|".join(_NAMES)
# Each has three groups: the time to the second, its fraction, and what follows that and is of it.
_ISO = re.compile(rb"(\d{4}[-/][01]\d[-/][0-3]\d[Tt ]%b)%b%b?" % (_CLOCK, _FRACTION, _ZONE))
_CLF = re.compile(rb"\[([0-3]\d/(?:%b)/\d{4}:%b)%b(?: ([+-]\d{4}))?" % (_MONTH, _CLOCK, _FRACTION))
_BSD = re.compile(
    rb"(?<![A-Za-z])((?:%b) {1,2}\d{1,2} (?:\d{4} )?%b)%b(?: ((?:19|20)\d\d)(?!\d))?" % (_MONTH, _CLOCK, _FRACTION)
)
_ANDROID = re.compile(rb"\A([01]\d-[0-3]\d %b)\.(\d{1,9})()" % _CLOCK)
_GLOG = re.compile(rb"\A[IWEFD]([01]\d[0-3]\d %b)\.(\d{1,9})()" % _CLOCK)
_HADOOP = re.compile(rb"\A(\d\d/?[01]\d/?[0-3]\d [0-2]\d:?[0-5]\d:?[0-6]\d)()()(?![\d:])")
_EPOCH = re.compile(rb"\A\[?([1-9]\d{9})\.(\d{1,9})()(?!\d)")
_NAMED = re.compile(rb"(?<![\w.-])(?:ts|time|timestamp)=\"?([1-9]\d{9,18}(?:\.\d{1,9})?)()()(?![\w.:-])")
_LEAP_DAY = (b"Feb", b"29")
_NOT_DIGITS = re.compile(rb"\D+")
_SCALES = [10 ** (9 - digits) for digits in range(10)]
_KNOWN = 4096
MOST_YEARS = 9
"""As many are tried: there may be eight between two that have a 29 February, as before and after 2100."""
_LAST_NS = INT64[-1]
_HALF_A_YEAR_NS = 181 * 86_400 * 10**9
_FIRST_S, _LAST_S = 10**8, 10**10
"""Numbers between them are seconds since 1970, from 1973 to 2286; the next ones are milliseconds, and so on."""

Reader: TypeAlias = Callable[[bytes, bytes], int | None]
"""Reads a time to the second, and what follows the fraction."""


class Times(Protocol):
    """What finds the times of lines."""

    def of(self, line: bytes) -> int | None:
        """Return the time of a line, None if it says none that an envelope can carry."""


class LineTimes:
    """Knows every form. A time without a zone is in `zone`, None for the machine's.

    One without a year is of the `year` that is given, or of the last one that puts it before `newest_ns`, or a day
    later: the end of the file. Hot path: 1 to 2 µs a line.
    """

    def __init__(self, newest_ns: int, zone: tzinfo | None = None, year: int | None = None) -> None:
        self._zone = zone
        self._year = b"" if year is None else b"%d" % year
        self._about_ns = newest_ns - _HALF_A_YEAR_NS
        self._leap_year = self._year or b"%d" % _last_leap_year(newest_ns)
        self._forms = [
            _Form(_ISO, self._iso), _Form(_CLF, self._clf), _Form(_BSD, self._bsd), _Form(_ANDROID, self._android),
            _Form(_GLOG, self._glog), _Form(_HADOOP, self._hadoop), _Form(_EPOCH, _number),
            _Form(_NAMED, _number),
        ]  # fmt: skip

    def of(self, line: bytes) -> int | None:
        """Return the time of a line, None if it says none that an envelope can carry."""
        if line[:1] == b"{" and len(line) <= _MOST_JSON and (found := self._of_json(line)) is not None:
            return found
        return self._of_text(line)

    def _of_text(self, line: bytes) -> int | None:
        for form in self._forms:
            if (found := form.of(line)) is not None:
                if form is not self._forms[0]:
                    self._forms.remove(form)
                    self._forms.insert(0, form)
                return found
        return None

    def _of_json(self, line: bytes) -> int | None:
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        for name in MEMBERS:
            if name in said and (found := self._of_value(said[name])) is not None:
                return found
        return None

    def _of_value(self, value: Any) -> int | None:
        if type(value) is int or type(value) is float:
            return _of_number(value)
        if type(value) is str and (text := value.encode()[:HEAD_BYTES]):
            try:
                return _number(text)
            except ValueError:
                return self._of_text(text)
        return None

    def _iso(self, text: bytes, offset: bytes) -> int | None:
        if offset in (b"UTC", b"GMT"):
            offset = b"Z"
        elif len(offset) == len(b"+01"):
            offset += b"00"
        return iso_ns(text.replace(b"/", b"-") + offset, self._zone)

    def _clf(self, text: bytes, offset: bytes) -> int | None:
        month = _NAMES.index(text[3:6]) + 1
        return iso_ns(b"%b-%02d-%b %b%b" % (text[7:11], month, text[:2], text[12:], offset), self._zone)

    def _bsd(self, text: bytes, year_behind: bytes) -> int | None:
        month, day, *year, clock = text.split()
        return self._of_day((month, day), clock, year[0] if year else year_behind)

    def _android(self, text: bytes, _: bytes) -> int | None:
        return self._of_digits(text[:2], text[3:5], text[6:])

    def _glog(self, text: bytes, _: bytes) -> int | None:
        return self._of_digits(text[:2], text[2:4], text[5:])

    def _hadoop(self, text: bytes, _: bytes) -> int | None:
        digits = _NOT_DIGITS.sub(b"", text)
        return iso_ns(b"20%b-%b-%b %b:%b:%b" % tuple(digits[at : at + 2] for at in range(0, 12, 2)), self._zone)

    def _of_digits(self, month: bytes, day: bytes, clock: bytes) -> int | None:
        if not 1 <= int(month) <= 12:
            return None
        return self._of_day((_NAMES[int(month) - 1], day), clock)

    def _of_day(self, day: tuple[bytes, bytes], clock: bytes, year: bytes = b"") -> int | None:
        year = year or (self._leap_year if day == _LEAP_DAY else self._year)
        return bsd_ns(day, clock, year=year, fraction=b"", zone=self._zone, now_ns=self._about_ns)


class _Form:
    """One form of a time; it knows the seconds that it read last, which most lines share with others."""

    def __init__(self, pattern: re.Pattern[bytes], read: Reader) -> None:
        self._search = pattern.search
        self._read = read
        self._known: dict[tuple[bytes, bytes], int | None] = {}

    def of(self, line: bytes) -> int | None:
        match = self._search(line, 0, HEAD_BYTES)
        if match is None:
            return None
        text, fraction, behind = match.groups(b"")
        try:
            second = self._known[text, behind]
        except KeyError:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            second = self._known[text, behind] = self._read(text, behind)
        if second is None or not fraction:
            return second
        time_ns = second + int(fraction) * _SCALES[len(fraction)]
        return time_ns if time_ns <= _LAST_NS else None


def _number(text: bytes, _: bytes = b"") -> int | None:
    """Read a number, ValueError if it is none."""
    return _of_number(float(text) if b"." in text else int(text))


def _of_number(value: float) -> int | None:
    """Read seconds since 1970, or milli-, micro- or nanoseconds, by how many they are."""
    for unit_ns in (10**9, 10**6, 10**3, 1):
        most = _LAST_S * 10**9 // unit_ns
        if value < most:
            if value < _FIRST_S * 10**9 // unit_ns:
                return None
            time_ns = round(value * unit_ns) if isinstance(value, int) else _exact(value, unit_ns)
            return time_ns if time_ns in INT64 else None
    return None


def _exact(value: float, unit_ns: int) -> int:
    """A double has not the digits of nanoseconds since 1970: what is said, to the microsecond."""
    return round(value * unit_ns / 1000) * 1000 if unit_ns > 1000 else round(value * unit_ns)


def day_after(newest_ns: int) -> datetime:
    """Return what no line is behind that is of a file whose end is of a time."""
    return datetime.fromtimestamp(newest_ns // 10**9, UTC) + timedelta(days=1)


def _last_leap_year(newest_ns: int) -> int:
    """Return the last year whose 29 February is not behind a time, but for a day."""
    newest = day_after(newest_ns)
    years = range(newest.year, newest.year - MOST_YEARS, -1)
    return next(year for year in years if isleap(year) and (year < newest.year or (newest.month, newest.day) > (2, 28)))
