from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles.sdk import Batch


def _batch(count: int) -> Batch:
    logs = [Envelope(source_id="app", log=Log(payload=f"line {n}".encode())) for n in range(count)]
    return Batch(EnvelopeBatch(batch=logs).SerializeToString(), count, "spool-7")


def _lines(batch: Batch) -> list[str]:
    return [envelope.log.payload.decode() for envelope in batch]


def test_a_batch_is_read_as_often_as_one_likes() -> None:
    batch = _batch(3)

    assert len(batch) == 3
    assert _lines(batch) == _lines(batch) == ["line 0", "line 1", "line 2"]


def test_some_of_a_batch_keep_their_order_and_its_id() -> None:
    some = _batch(5).only([4, 0, 2, 2])

    assert _lines(some) == ["line 0", "line 2", "line 4"]
    assert (len(some), some.id, some.refused) == (3, "spool-7", {})
    assert len(_batch(5).only([])) == 0


def test_what_is_refused_is_added_up_by_reason() -> None:
    batch = _batch(5)
    batch.refuse(1, "too_large")
    batch.refuse(2, "too_large")
    batch.refuse(1, "malformed")

    assert batch.refused == {"too_large": 3, "malformed": 1}


def test_what_is_skipped_is_added_up_and_no_refusal() -> None:
    batch = _batch(5)
    batch.skip(1)
    batch.skip(2)

    assert (batch.skipped, batch.refused) == (3, {})
