"""Settings of one camera written into a file that somebody has written by hand."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from raycctv.config import CameraMotion, ObjectRule, parse
from raycctv.console.setup.edit import edited
from raycctv.console.setup.settings import Settings
from raycctv.errors import ConfigError
from raycctv.types import CameraName

REPOSITORY = Path(__file__).parents[3]
GATE, YARD = CameraName("gate"), CameraName("yard")
ENVIRONMENT = {"GATE_PASSWORD": "secret%231", "YARD_PASSWORD": "x"}
TRIANGLE = ((0.1, 0.2), (0.3, 0.4), (0.5, 0.25))

TEXT = """\
# what this is
cameras:
    gate:   # the gate
        source: "rtsp://admin:${GATE_PASSWORD}@cam/1"  # main stream
        masks:
            # about the tree
            tree: [[0.0, 0.0], [0.2,  0.0], [0.2, 0.40]]   # sways

            # about the pole
            pole:
              - [0.5, 0.5]
              - [0.6, 0.5]
              - [0.6, 0.6]
        zones: { drive: [[0, 0], [1, 0], [1, 1]], "no": [[0, 0], [1, 0], [1, 1]] }
        # what counts
        objects:
            person: {min_score: 0.50}
            car:
                zones: [drive]   # only there
                min_score: 0.6
        # end of the gate

    # about the yard
    yard: {source: 'rtmp://h/live/yard', record: off}
motion:
    sensitivity: 1.50 # all
"""


def settings_of(text: str, camera: CameraName = GATE) -> Settings:
    return Settings.of(parse(text, environment=ENVIRONMENT).cameras[camera])


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that are gone, lines that are new."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def change(text: str, camera: CameraName = GATE, **update: object) -> str:
    wanted = settings_of(text, camera).model_copy(update=update)
    after = edited(text, camera, wanted, ENVIRONMENT)
    assert settings_of(after, camera) == wanted
    return after


def test_edit_of_nothing_changes_nothing() -> None:
    assert change(TEXT) == TEXT
    example = (REPOSITORY / "cameras.example.yaml").read_text()
    assert change(example) == example


def test_edit_moves_one_corner_in_its_line() -> None:
    masks = settings_of(TEXT).masks
    after = change(TEXT, masks={**masks, "tree": TRIANGLE})
    assert lines_changed(TEXT, after) == (
        ["            tree: [[0.0, 0.0], [0.2,  0.0], [0.2, 0.40]]   # sways"],
        ["            tree: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]   # sways"],
    )


def test_edit_adds_and_deletes_masks_and_keeps_every_comment_line() -> None:
    pole = settings_of(TEXT).masks["pole"]
    after = change(TEXT, masks={"pole": pole, "no": TRIANGLE, "123": TRIANGLE})
    gone, new = lines_changed(TEXT, after)
    assert gone == ["            tree: [[0.0, 0.0], [0.2,  0.0], [0.2, 0.40]]   # sways"]
    assert new == [f"            '{name}': [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]" for name in ("no", "123")]
    assert after.index("'123'") < after.index("zones:")


def test_edit_deletes_the_last_mask_with_its_key() -> None:
    after = change(TEXT, masks={})
    assert "masks" not in after
    assert after.count("#") == TEXT.count("#") - 3  # what is written about masks within masks
    assert change(after, masks={"new": TRIANGLE}).count("        masks:\n          new: [[0.1") == 1


def test_edit_of_zones_in_braces() -> None:
    zones = settings_of(TEXT).zones
    more = change(TEXT, zones={**zones, "lawn": TRIANGLE})
    assert '"no": [[0, 0], [1, 0], [1, 1]], lawn: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]] }' in more
    renamed = change(TEXT, zones={"drive": zones["drive"], "lawn": TRIANGLE})
    assert "        zones: {drive: [[0, 0], [1, 0], [1, 1]], lawn: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]}\n" in renamed


def test_edit_of_a_camera_in_braces() -> None:
    after = change(TEXT, YARD, masks={"tree": TRIANGLE})
    line = "    yard: {source: 'rtmp://h/live/yard', record: off, masks: {tree: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]}}"
    assert lines_changed(TEXT, after)[1] == [line]
    assert change(after, YARD, masks={}) == TEXT


def test_edit_of_rules_writes_what_changed() -> None:
    objects = settings_of(TEXT).objects
    louder = objects["car"].model_copy(update={"min_score": 0.75})
    after = change(TEXT, objects={"person": objects["person"], "car": louder, "dog": ObjectRule(min_score=0.4, min_views=5)})
    assert lines_changed(TEXT, after) == (
        ["                min_score: 0.6"],
        ["                min_score: 0.75", "            dog: {min_score: 0.4, min_views: 5}"],
    )
    everywhere = change(TEXT, objects={**objects, "car": ObjectRule(min_score=0.6)})
    assert lines_changed(TEXT, everywhere)[1] == ["                zones: []   # only there"]


def test_edit_of_motion_is_the_cameras_own() -> None:
    after = change(TEXT, motion=CameraMotion(sensitivity=0.8, min_area=0.002))
    assert lines_changed(TEXT, after) == ([], ["        motion: {min_area: 0.002, sensitivity: 0.8}"])
    assert change(after, motion=CameraMotion()) == TEXT


def test_edit_of_default_objects_writes_them_all() -> None:
    objects = settings_of(TEXT, YARD).objects
    after = change(TEXT, YARD, objects={**objects, "person": ObjectRule(min_score=0.7)})
    assert yaml.safe_load(after)["cameras"]["yard"]["objects"]["person"] == {"min_score": 0.7}
    assert change(TEXT, YARD, objects={}).count("objects: {}}") == 1


def test_edit_keeps_line_ends_and_a_file_without_a_last_newline() -> None:
    text = "cameras:\r\n  gate:\r\n    source: rtsp://h/a"
    after = change(text, masks={"tree": TRIANGLE})
    assert after == text + "\r\n    masks:\r\n      tree: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]\r\n"


def test_edit_rounds_what_was_drawn_and_nothing_else() -> None:
    text = TEXT.replace("0.40]", "0.4000049]")
    drawn = ((0.123456789, 0.2), (0.3, 0.4), (0.5, 0.25))
    wanted = settings_of(text).model_copy(update={"masks": {**settings_of(text).masks, "pole": drawn}})
    after = edited(text, GATE, wanted, ENVIRONMENT)
    assert "0.4000049]" in after
    assert "pole: [[0.1235, 0.2], " in after


SHARED = """\
cameras:
  gate:
    source: rtsp://h/a
    masks: &masks {tree: [[0, 0], [1, 0], [1, 1]]}
  yard:
    source: rtsp://h/b
    masks: *masks  # the same
"""


def test_edit_of_an_alias_leaves_what_it_stands_for() -> None:
    after = change(SHARED, YARD, masks={"pole": TRIANGLE})
    assert lines_changed(SHARED, after) == (
        ["    masks: *masks  # the same"],
        ["    masks: {pole: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.25]]}  # the same"],
    )


def test_edit_that_would_change_other_cameras_is_refused() -> None:
    wanted = settings_of(SHARED).model_copy(update={"masks": {"pole": TRIANGLE}})
    with pytest.raises(
        ConfigError, match=r"^gate cannot be changed from here, since the file shares parts of it; edit the file$"
    ):
        edited(SHARED, GATE, wanted, ENVIRONMENT)


def test_edit_refuses_objects_in_zones_that_are_gone() -> None:
    wanted = settings_of(TEXT).model_copy(update={"zones": {}})
    with pytest.raises(
        ConfigError, match=r"objects\.car\.zones names 'drive', which is not among this camera's zones \(none\)"
    ):
        edited(TEXT, GATE, wanted, ENVIRONMENT)


@pytest.mark.parametrize("text", ["cameras: [", "cameras: {}", TEXT.replace("gate:", "other:")])
def test_edit_of_no_such_camera_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        edited(text, GATE, settings_of(TEXT), ENVIRONMENT)


names = st.sampled_from(["tree", "pole", "no", "on", "1", "1e3", "a-b", "null", "0x1", "2001-01-01"])
corners = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 4))
polygons = st.dictionaries(names, st.lists(st.tuples(corners, corners), min_size=3, max_size=5).map(tuple), max_size=4)
rules = st.dictionaries(
    st.sampled_from(["person", "car", "traffic light", "dog"]),
    st.builds(ObjectRule, min_score=corners, min_views=st.integers(1, 9)),
    max_size=4,
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(masks=polygons, zones=polygons, objects=rules, camera=st.sampled_from([GATE, YARD]))
def test_edit_says_what_was_wanted_and_keeps_other_comments(
    masks: object, zones: object, objects: object, camera: CameraName
) -> None:
    after = change(TEXT, camera, masks=masks, zones=zones, objects=objects)
    for comment in ("# what this is", "# the gate", "# main stream", "# what counts", "# end of the gate", "# about the yard"):
        assert comment in after
    assert '"rtsp://admin:${GATE_PASSWORD}@cam/1"' in after
    back = edited(after, camera, settings_of(TEXT, camera), ENVIRONMENT)
    assert parse(back, environment=ENVIRONMENT) == parse(TEXT, environment=ENVIRONMENT)
