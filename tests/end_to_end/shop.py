"""A small shop whose programs log as programs do, and a real event store that has what they said lately."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.end_to_end.log_caches import send
from tests.end_to_end.systems import RunningUp, eventually, run_command, up

SECOND_NS = 10**9
SPAN_NS = 14 * 60 * SECOND_NS
_PATHS = ("/", "/api/orders", "/api/orders/{}", "/api/basket", "/login", "/products/{}", "/static/app.js", "/health")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.5.0", "okhttp/4.12.0")
_STACK = (
    "ERROR could not charge card: timeout after {} ms\n"
    "java.net.SocketTimeoutException: Read timed out\n"
    "\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:278)\n"
    "\tat shop.payments.BankClient.charge(BankClient.java:141)\n"
    "\tat shop.payments.Charge.run(Charge.java:57)"
)


def said_by_the_shop(now_ns: int, count: int = 3000, seed: int = 7) -> list[Envelope]:
    """Return what it said in the last 14 minutes, oldest first: in the ninth and tenth its bank does not answer."""
    choose = random.Random(seed)
    programs = (_web, _web, _web, _orders, _orders, _payments, _worker, _memory)
    return [
        choose.choice(programs)(choose, now_ns - SPAN_NS + int(place * SPAN_NS), 0.6 < place < 0.72)
        for place in sorted(choose.betavariate(1.6, 1.2) for _ in range(count))
    ]


@dataclass(frozen=True)
class Shop:
    """The store of a shop."""

    system: RunningUp
    said: list[Envelope]

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"https://{self.system.endpoints['event_store']}/"

    @property
    def token(self) -> str:
        """One that reads everything."""
        return (self.system.data_dir / "tokens" / "admin").read_text().strip()

    def count(self, query: str) -> int:
        """How many events the command line counts."""
        found = run_command(self.system.data_dir, "query", "--json", f"{query} | count")
        assert found.returncode == 0, found.stderr
        return int(json.loads(found.stdout)["rows"][0][0])

    def emit(self, line: str, source: str = "shop") -> None:
        """Let somebody say something now."""
        sent = run_command(self.system.data_dir, "emit", "--source", source, line)
        assert sent.returncode == 0, sent.stderr


@contextmanager
def running_shop(folder: Path, now_ns: int) -> Iterator[Shop]:
    """Run an agent, a Doppler and an event store, which has all that was said."""
    said = said_by_the_shop(now_ns)
    with up(folder / "data", "--only", "doppler,metron,event_store") as system:
        send(system, said)
        running = Shop(system, said)
        assert eventually(lambda: running.count("deployment:shop or name:memory last 1h") == len(said))
        yield running


def _log(at: int, source: str, instance: int, line: str | bytes, *, is_error: bool = False) -> Envelope:
    payload = line.encode() if isinstance(line, str) else line
    log = {"payload": payload, "type": "ERR" if is_error else "OUT"}
    tags = {"deployment": "shop", "zone": f"z{instance % 2 + 1}"}
    return Envelope(timestamp=at, source_id=source, instance_id=str(instance), tags=tags, log=log)


def _web(choose: random.Random, at: int, in_trouble: bool) -> Envelope:
    status = choose.choices((200, 201, 304, 404, 502), (70, 8, 12, 4, 25 if in_trouble else 0.5))[0]
    path = choose.choice(_PATHS).format(choose.randrange(1000))
    method = "POST" if status == 201 else "GET"
    took = round(choose.lognormvariate(4.5 if in_trouble else 3, 0.8), 1)
    level = "error" if status >= 500 else "warn" if status >= 400 else "info"
    line = f'level={level} method={method} path={path} status={status} took_ms={took} agent="{choose.choice(_AGENTS)}"'
    return _log(at, "web", choose.randrange(3), line)


def _orders(choose: random.Random, at: int, in_trouble: bool) -> Envelope:
    is_late = in_trouble and choose.random() < 0.5
    said = {
        "level": "warn" if is_late else "info",
        "msg": "order waits for its payment" if is_late else choose.choice(("order placed", "order shipped")),
        "order": choose.randrange(10**6),
        "customer": f"c{choose.randrange(80)}",
        "total": round(choose.lognormvariate(3.5, 0.6), 2),
        "items": choose.randrange(1, 9),
    }
    return _log(at, "orders", choose.randrange(2), orjson.dumps(said))


def _payments(choose: random.Random, at: int, in_trouble: bool) -> Envelope:
    if choose.random() < (0.9 if in_trouble else 0.04):
        return _log(at, "payments", 0, _STACK.format(choose.randrange(2000, 5000)), is_error=True)
    return _log(at, "payments", 0, f"INFO charged card {choose.randrange(10**8):08x} in {choose.randrange(40, 400)} ms")


def _worker(choose: random.Random, at: int, in_trouble: bool) -> Envelope:
    level = choose.choices(("DEBUG", "INFO", "WARN"), (5, 4, 2 if in_trouble else 0.4))[0]
    said = "mail queue is long" if level == "WARN" else "sent mail"
    return _log(
        at,
        "worker",
        choose.randrange(2),
        f"{level} [mailer-{choose.randrange(4)}] {said} job={choose.randrange(10**5)}",
    )


def _memory(choose: random.Random, at: int, in_trouble: bool) -> Envelope:
    source, copies = choose.choice((("web", 3), ("orders", 2), ("payments", 1), ("worker", 2)))
    used = {"unit": "bytes", "value": choose.randrange(40, 90) * 1e6 * (2 if in_trouble else 1)}
    made = Envelope(timestamp=at, source_id=source, instance_id=str(choose.randrange(copies)))
    made.gauge.metrics["memory"].CopyFrom(type(made.gauge.metrics["memory"])(**used))
    return made
