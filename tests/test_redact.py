import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.redact import redact

PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/@"), min_size=4)


@given(PASSWORDS)
def test_redact_hides_any_url_password(password: str) -> None:
    text = redact(f"Error opening input rtsp://admin:{password}@cam1:554/stream: refused")
    assert text == "Error opening input rtsp://admin:***@cam1:554/stream: refused"


@pytest.mark.parametrize("password", ["p@ss", "pa/ss", "x7/y+z==", "a:b/c"])
def test_redact_hides_a_password_that_holds_a_mark_of_urls(password: str) -> None:
    assert redact(f"rtsp://admin:{password}@cam1/stream") == "rtsp://admin:***@cam1/stream"


@pytest.mark.parametrize("name", ["token", "password", "pwd", "key", "auth"])
def test_redact_hides_secret_parameters(name: str) -> None:
    assert redact(f"http://host/a?x=1&{name}=hunter2&y=2") == f"http://host/a?x=1&{name}=***&y=2"


def test_redact_leaves_everything_else() -> None:
    text = "rtmp://127.0.0.1:1935/live/channel1 at 12:30, a@b.c"
    assert redact(text) == text
