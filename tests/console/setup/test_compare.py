"""Which events come, go and stay."""

from support import event

from raycctv.console.setup.compare import Difference, difference


def test_difference_of_the_same_is_that_all_stay() -> None:
    events = [event("e1", start_s=0, end_s=10), event("e2", start_s=20, end_s=30)]
    assert difference(events, events) == Difference(stay=list(zip(events, events, strict=True)))


def test_difference_tells_what_comes_and_goes_by_time_and_kind() -> None:
    person, early = event("a", start_s=100, end_s=110), event("b", start_s=0, end_s=5)
    car, same = event("c", kind="car", start_s=100, end_s=110), event("d", start_s=109, end_s=130)
    assert difference([person, early], [same, car]) == Difference(come=[car], go=[early], stay=[(person, same)])


def test_difference_takes_what_is_a_little_later_for_the_same() -> None:
    old, near, far = event("a", start_s=0, end_s=5), event("b", start_s=6.9, end_s=9), event("c", start_s=7.1, end_s=9)
    assert difference([old], [near]).stay == [(old, near)]
    assert difference([old], [far]) == Difference(come=[far], go=[old])


def test_difference_pairs_each_event_once_with_what_it_shares_most_time_with() -> None:
    long = event("a", start_s=0, end_s=60)
    short, longer = event("b", start_s=0, end_s=10), event("c", start_s=12, end_s=60)
    assert difference([long], [short, longer]) == Difference(come=[short], stay=[(long, longer)])


def test_difference_of_events_without_an_end() -> None:
    open_event = event("a", start_s=5)
    assert difference([open_event], [event("b", start_s=0, end_s=10)]).stay
    assert difference([], []) == Difference()
