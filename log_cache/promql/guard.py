"""Look a query over before it is parsed: refuse what the parser would take too much time or stack for.

The parser is native code. It recurses over its tree, so that a deep one ends the process; and it compiles every
regular expression it meets, at up to a tenth of a second each. So depth, operators and length are bounded here, and
every matcher is rewritten to an equality whose value begins with a mark of its operator: `a=~"x"` becomes
`a="<mark>x"`. The patterns are then compiled where their size is bounded (`matchers`), by the engine that uses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from log_cache.promql.matchers import Operator
from log_cache.promql.values import QueryError

MAX_LENGTH = 16 * 1024
"""Bytes of a query."""
MAX_DEPTH = 100
"""Brackets open at one place."""
MAX_OPERATORS = 250
"""Unary and binary operators of a query. The parser's stack is known to end beyond 4,000."""

MARKS: dict[Operator, str] = {"=": "\x01", "!=": "\x02", "=~": "\x03", "!~": "\x04"}
"""What the rewritten value of a matcher begins with, by operator."""

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_TOKEN = re.compile(
    r"""
      (?P<matcher>  (?: =~ | !~ | != | =(?!=) ) (?= (?: \s | \#[^\n]*\n )*+ ["'`] ) )
    | (?P<string>   (?P<quote>["']) (?: \\. | (?!(?P=quote)) [^\\] )*+ (?: (?P<closed>(?P=quote)) | \\?\Z ) )
    | (?P<raw>      ` [^`]*+ (?P<raw_closed>`)? )
    | (?P<comment>  \#[^\n]* )
    | (?P<pattern>  =~ | !~ )
    | (?P<operator> [=!<>]= | [-+*/%^<>] | \b (?: and | or | unless | atan2 ) \b )
    | (?P<at>       @ )
    | (?P<open>     [(\[{] )
    | (?P<close>    [)\]}] )
    | (?P<word>     [\w.:]+ )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:ms|[smhdwy]))+|[0-9]{1,12}")
_SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]*)?")


def guarded(text: str) -> str:
    """Return the query with its matchers rewritten, fit to be parsed, or raise `QueryError`."""
    if not text.strip():
        raise QueryError("bad_data", "the query is empty")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise QueryError("bad_data", "the query is not valid Unicode") from None
    if length > MAX_LENGTH:
        raise QueryError("bad_data", f"the query is too long: {length} bytes, at most {MAX_LENGTH} are allowed")
    return _Scan(text).rewritten()


@dataclass(slots=True)
class _Scan:
    """One pass over a query: what stands in strings and comments does not count."""

    text: str
    depth: int = 0
    operators: int = 0
    mark: str = ""
    """Of the matcher whose string comes next."""
    in_range: bool = False
    """Between `[` and `]`, where durations stand."""
    behind: str = ""
    """`offset` or `@`, if that is what a number here belongs to."""

    def rewritten(self) -> str:
        return _TOKEN.sub(self._heed, self.text)

    def _heed(self, token: re.Match[str]) -> str:
        """Count what counts, refuse what is too much, and return what shall stand in the token's place."""
        match token.lastgroup:
            case "matcher":
                self.mark = MARKS[cast(Operator, token[0])]
                return "="
            case "string" | "raw":
                return self._string(token)
            case "pattern":
                raise self._refusal(f"expected a string after {token[0]}", token)
            case "at":
                self.behind = "@"
            case "operator":
                if token[0] == "-" and self.behind == "@":
                    raise self._refusal("a time before 1970 is not supported", token)
                self.operators += 1
                if self.operators > MAX_OPERATORS:
                    raise self._refusal(f"too many operators, at most {MAX_OPERATORS} are allowed", token)
            case "word":
                self._word(token)
            case "open":
                self.in_range = token[0] == "["
                self.depth += 1
                if self.depth > MAX_DEPTH:
                    raise self._refusal(f"brackets nested too deep, at most {MAX_DEPTH} are allowed", token)
            case "close":
                self.in_range = False
                self.depth = max(0, self.depth - 1)
        return token[0]

    def _word(self, token: re.Match[str]) -> None:
        """Let only plain durations and times stand where they must: the parser panics at numbers out of range."""
        word = token[0]
        durations = word.split(":") if self.in_range else [word] if self.behind == "offset" else []
        for duration in durations:
            if duration and not _DURATION.fullmatch(duration):
                raise self._refusal(f"not a valid duration: {duration[:100]}", token)
        if self.behind == "@" and not (word[0].isalpha() or _SECONDS.fullmatch(word)):
            raise self._refusal(f"not a valid time: {word[:100]}", token)
        self.behind = "offset" if word.lower() == "offset" else ""

    def _string(self, token: re.Match[str]) -> str:
        if not (token["closed"] or token["raw_closed"]):
            raise self._refusal("unterminated string", token)
        mark, self.mark = self.mark, ""
        if token["raw"]:  # the parser takes backslashes in raw strings for escapes
            plain = token[0][1:-1].translate(_ESCAPES)
            return f'"{mark}{plain}"'
        return f"{token[0][0]}{mark}{token[0][1:]}"

    @staticmethod
    def _refusal(what: str, token: re.Match[str]) -> QueryError:
        return QueryError("bad_data", f"{what} (at character {token.start() + 1} of the query)")
