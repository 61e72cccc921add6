"""What scripts/benchmark-tasks says about what it measured. The measuring itself is run by hand."""

from benchmarks.tasks import Drained, Measured, page_of

DRAINED = Drained(title="bare", tasks=2000, sending_seconds=2.0, seconds=4.0, cpu_seconds=3.0)
IDLE = {"evalsha": 10, "get": 52, "llen": 10, "hlen": 10, "lindex": 10, "pttl": 40, "brpop": 6}


def test_the_page_tells_rates_the_round_trip_and_what_is_sent_while_idle() -> None:
    measured = Measured(drained=[DRAINED], echoes=[0.01] * 19 + [0.5], idle=IDLE, idle_seconds=30.0)
    page, sound = page_of(measured)
    assert sound
    assert "| bare | 2,000 | 1,000 | 500 | 1.50 |" in page
    assert "p50 10.0, p95 10.0, p99 500.0 ms" in page
    # Ten scripts, two gets and six blocking reads in half a minute; the rest happens inside the scripts.
    assert "36 commands a minute are sent to Redis" in page
    assert "it counts 276: get 104" in page


def test_without_anything_measured_it_is_not_sound() -> None:
    assert not page_of(Measured(drained=[], echoes=[], idle={}, idle_seconds=0.0))[1]
