import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.reconcile import Actions, detectors_wanted, gpu_share, readers_wanted, reconcile, shared_out
from raycctv.types import CameraName

GATE, YARD = CameraName("gate"), CameraName("yard")
NAMES = st.sampled_from(["sink", "storage", "detector:0", "reader:a", "reader:b"])
WANTED = st.dictionaries(NAMES, st.sampled_from(["1", "2"]))
OBSERVED = st.dictionaries(NAMES, st.sampled_from(["1", "2", None]))


def test_reconcile_starts_stops_and_replaces() -> None:
    wanted = {"sink": "1", "storage": "2", "reader:a": "1", "reader:new": "1"}
    observed = {"sink": "1", "storage": "1", "reader:a": None, "reader:old": "1"}
    assert reconcile(wanted, observed) == Actions(stop=["reader:old", "storage"], start=["storage", "reader:new"])


@given(WANTED, OBSERVED)
def test_reconcile_leads_to_what_is_wanted_and_touches_nothing_else(
    wanted: dict[str, str], observed: dict[str, str | None]
) -> None:
    actions = reconcile(wanted, observed)
    after = {name: digest for name, digest in observed.items() if name not in actions.stop}
    assert not set(actions.start) & set(after)  # nothing runs twice
    after |= {name: wanted[name] for name in actions.start}
    assert {name: digest for name, digest in after.items() if digest is not None} == {
        name: digest for name, digest in wanted.items() if after.get(name) is not None
    }
    assert set(after) == set(wanted)
    assert all(observed.get(name) not in (wanted[name], None) for name in actions.stop if name in wanted)
    assert reconcile(wanted, after) == Actions(stop=[], start=[])


@pytest.mark.parametrize(
    ("cameras", "per_reader", "cores", "wanted"),
    [
        (4, None, 2, 4),
        (8, None, 2, 8),
        (9, None, 2, 4),
        (32, None, 2, 4),
        (32, None, 8, 32),
        (5, 2, 2, 3),
        (3, 9, 2, 1),
        (9, None, 0, 1),
    ],
)
def test_readers_are_shared_where_cameras_crowd_the_cores(
    cameras: int, per_reader: int | None, cores: float, wanted: int
) -> None:
    assert readers_wanted(cameras, per_reader, cores) == wanted


@pytest.mark.parametrize(
    ("configured", "cores", "gpus", "wanted"),
    [(None, 2, 0, 1), (None, 8, 0, 1), (None, 32, 0, 5), (None, 32, 2, 2), (3, 2, 1, 3), (None, 0, 0, 1)],
)
def test_detectors_are_as_many_as_the_hardware_feeds(configured: int | None, cores: float, gpus: float, wanted: int) -> None:
    assert detectors_wanted(configured, cores, gpus) == wanted


def test_detectors_share_gpus_so_that_each_finds_room_on_one() -> None:
    assert [gpu_share(detectors, 2) for detectors in (1, 2, 3, 4, 5)] == [1, 1, 1 / 2, 1 / 2, 1 / 3]
    assert gpu_share(3, 0) == 0


def test_reader_of_one_camera_is_called_after_it() -> None:
    assert shared_out([GATE, YARD], 2, {}) == {"reader:gate": [GATE], "reader:yard": [YARD]}


CAMERAS = st.lists(st.integers(0, 40).map(lambda n: CameraName(f"c{n}")), unique=True)


@given(CAMERAS, CAMERAS, st.integers(1, 9))
def test_cameras_are_shared_out_evenly_and_stay_where_they_are(
    before: list[CameraName], after: list[CameraName], readers: int
) -> None:
    shares = shared_out(before, readers, {})
    current = {camera: reader for reader, cameras in shares.items() for camera in cameras}
    again = shared_out(after, readers, current)
    assert sorted(camera for cameras in again.values() for camera in cameras) == sorted(after)
    assert max(map(len, again.values()), default=0) <= max(1, -(-len(after) // readers))
    if len(before) > readers and set(before) <= set(after):
        assert all(camera in again[reader] for camera, reader in current.items())
