from load.generator.deliveries import DeliveryBook
from load.slo import policy_read

RUNGS = policy_read().rungs


def late(slower: list[int], milliseconds: float) -> int:
    return slower[RUNGS.delivery_ms.index(milliseconds)]


def test_an_event_is_received_lost_doubled_or_misdelivered() -> None:
    book = DeliveryBook(run_id="r")
    received, lost, doubled, strange = (book.cause(account="cadet", at=10.0, slice_index=1) for _ in range(4))
    for number, one in enumerate((received, lost, doubled, strange)):
        book.confirm(correlation_id=one, identifier=number)
    book.hear(correlation_id=received, account="cadet", at=10.4999)
    for _ in range(2):
        book.hear(correlation_id=doubled, account="cadet", at=10.5)
    book.hear(correlation_id=strange, account="admin", at=10.1)
    warm_up, slices = book.count(rungs=RUNGS, slices=3)
    counts = slices[1]
    assert (counts.sent, counts.received, counts.lost) == (4, 2, 2)
    assert (counts.doubled, counts.misdelivered) == (1, 1)
    assert late(counts.slower, 500) == 1
    assert warm_up.sent == slices[0].sent == slices[2].sent == 0


def test_an_event_heard_before_http_answers_counts() -> None:
    book = DeliveryBook(run_id="r")
    one = book.cause(account="cadet", at=1.0, slice_index=None)
    book.hear(correlation_id=one, account="cadet", at=1.01)
    book.confirm(correlation_id=one, identifier=5)
    warm_up, _ = book.count(rungs=RUNGS, slices=1)
    assert (warm_up.sent, warm_up.received, warm_up.lost) == (1, 1, 0)
    assert book.identifiers == [5]


def test_an_event_that_http_did_not_confirm_is_owed_to_nobody() -> None:
    book = DeliveryBook(run_id="r")
    book.cause(account="cadet", at=1.0, slice_index=0)
    _, (counts,) = book.count(rungs=RUNGS, slices=1)
    assert (counts.sent, counts.lost) == (0, 0)


def test_events_of_other_runs_and_nonsense_are_ignored() -> None:
    book = DeliveryBook(run_id="r")
    for correlation_id in ("load-other-1", None, 7, ["x"]):
        book.hear(correlation_id=correlation_id, account="cadet", at=1.0)
    _, (counts,) = book.count(rungs=RUNGS, slices=1)
    assert counts.received == counts.doubled == counts.misdelivered == 0


def test_a_correlation_id_fits_and_names_the_run() -> None:
    book = DeliveryBook(run_id="20260801T010203-89abcdef")
    first, second = (book.cause(account="cadet", at=0.0, slice_index=0) for _ in range(2))
    assert first != second
    assert first.startswith(book.prefix)
    assert len(first) <= 64
