from hypothesis import given
from hypothesis import strategies as st

from actors import names
from actors.reconcile import Actions, reconcile
from raycctv.types import CameraName

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


def test_names_lead_to_their_cameras_and_back() -> None:
    assert names.camera_of(names.reader(CameraName("gate"))) == "gate"
    assert names.camera_of(names.detector(0)) is None
    assert names.camera_of(names.STORAGE) is None
