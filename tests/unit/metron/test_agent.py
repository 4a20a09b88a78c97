"""An agent tags what comes in, holds it, and keeps books that balance."""

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from metron.agent import Agent
from plumbing.diode import SharedDiode


def make_agent(capacity: int = 1000) -> Agent:
    return Agent({"deployment": "cf", "job": "cell"}, SharedDiode(capacity, 1 << 20))


def batch(*envelopes: Envelope) -> bytes:
    return EnvelopeBatch(batch=envelopes).SerializeToString()


def held(agent: Agent) -> list[Envelope]:
    return list(EnvelopeBatch.FromString(b"".join(parcel.batch for parcel in agent.diode.take(1 << 20))).batch)


def test_an_envelope_gets_the_tags_it_has_not() -> None:
    agent = make_agent()

    agent.accept(batch(Envelope(source_id="app", tags={"job": "own"}, log={"payload": b"x"})), 1, 1)

    (envelope,) = held(agent)
    assert dict(envelope.tags) == {"deployment": "cf", "job": "own"}


def test_a_counter_gets_a_running_total() -> None:
    agent = make_agent()

    for delta in (2, 3):
        agent.accept(batch(Envelope(source_id="app", counter={"name": "c", "delta": delta})), 1, 2)

    assert [envelope.counter.total for envelope in held(agent)] == [2, 5]


def test_an_envelope_without_a_source_is_named_after_its_origin() -> None:
    agent = make_agent()

    agent.accept(batch(Envelope(tags={"origin": "router"}, log={})), 1, 1)

    assert held(agent)[0].source_id == "router"
    assert agent.origin_mappings == 1


def test_the_books_balance_when_the_dopplers_are_too_slow() -> None:
    agent = make_agent(capacity=2)
    settled: list[int] = []

    for number in range(5):
        agent.doors.received += 1
        agent.accept(batch(Envelope(source_id="app", log={})), 1, 1)
        agent.accept_from_source(batch(Envelope(source_id="file", log={})), 1, lambda n=number: settled.append(n))

    with agent.link_to("127.0.0.1:1") as link:
        link.window.sent(agent.diode.take(1))
        account = agent.account()
    assert (account.received, account.dropped["overflow"], account.in_flight, account.held) == (10, 8, 1, 1)
    assert account.balance == 0
    assert settled == [0, 1, 2, 3]


def test_what_came_in_datagrams_and_what_was_lost_of_it_is_in_the_books() -> None:
    agent = make_agent()

    agent.accept_from_datagrams(batch(Envelope(source_id="app", log={}), Envelope(source_id="app", log={})), 2, 3, 4)
    agent.accept_from_datagrams(b"", 0, 1, 0)

    account = agent.account()
    assert (account.received, account.held, account.balance) == (10, 2, 0)
    assert account.dropped == {"malformed": 4, "overflow": 0, "too_large": 0, "udp_overflow": 4}
    assert [envelope.tags["job"] for envelope in held(agent)] == ["cell", "cell"]


def test_a_total_that_a_door_has_counted_is_not_counted_again() -> None:
    agent = make_agent()

    for total in (2, 5, 5):
        counter = Envelope(source_id="app", counter={"name": "c", "delta": 3, "total": total})
        agent.accept_from_datagrams(batch(counter), 1, 0, 0)

    assert [envelope.counter.total for envelope in held(agent)] == [2, 5, 5]


def test_links_that_come_and_go_stay_in_the_books_as_one() -> None:
    agent = make_agent()
    agent.doors.received = 6

    for number in (1, 2, 3):
        with agent.link_to(f"127.0.0.1:{number}") as link:
            link.delivered, link.outside, link.returned = number, number - 1, 1

    assert agent.account().balance == 0
    (ended,) = agent.link_accounts()
    assert (ended.account, ended.delivered, ended.outside) == ("links that ended", 6, 3)
    assert agent.links == []
    assert agent.returned == 3


def test_logs_by_grpc_can_be_left_out() -> None:
    agent = Agent({}, SharedDiode(1000, 1 << 20), logs_disabled=True)
    counter, log = Envelope(source_id="a", counter={"name": "c", "delta": 1}), Envelope(source_id="a", log={})

    agent.doors.received += 3
    agent.accept(batch(log, counter), 2, 3)
    agent.accept(batch(log), 1, 1)
    agent.accept_from_source(batch(log), 1, lambda: None)

    assert [envelope.WhichOneof("message") for envelope in held(agent)] == ["counter", "log"]
    assert agent.account().skipped == 2
