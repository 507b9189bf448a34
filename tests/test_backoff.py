from raycctv.backoff import Backoff


def test_backoff_doubles_up_to_the_longest_wait() -> None:
    backoff = Backoff(first_s=0.25, longest_s=2.0)
    assert [backoff.after(lasted_s=0) for _ in range(5)] == [0.25, 0.5, 1.0, 2.0, 2.0]


def test_backoff_begins_anew_after_a_success_that_lasted() -> None:
    backoff = Backoff(first_s=0.25, longest_s=2.0, settled_s=5)
    for _ in range(5):
        backoff.after(lasted_s=1)
    assert backoff.after(lasted_s=5) == 0.25


def test_backoff_default_lets_a_camera_be_back_within_five_seconds() -> None:
    backoff = Backoff()
    assert max(backoff.after(lasted_s=0) for _ in range(1000)) <= 2.0
