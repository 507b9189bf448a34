import inspect
import pickle

import pytest

from raycctv import errors

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


def test_errors_all_is_sorted_and_complete() -> None:
    assert errors.__all__ == sorted(errors.__all__)
    assert set(errors.__all__) == {cls.__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_descend_from_the_root_and_stand_in_the_tree(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.RaycctvError)
    assert errors.__doc__ is not None
    assert cls.__name__ in errors.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_travel_between_processes(cls: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(cls("cam1: gone")))  # noqa: S301 - our own bytes
    assert (type(error), str(error)) == (cls, "cam1: gone")
