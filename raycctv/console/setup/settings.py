"""The part of a camera's configuration that is set up in the browser."""

from typing import Self

from pydantic import Field, ValidationError

from raycctv.config import Camera, CameraMotion, ObjectRule
from raycctv.config.schema import Name, Polygon, Section
from raycctv.errors import ConfigError


class Settings(Section):
    """What a camera looks at and what counts. As in the file; see ``docs/configuration.md``."""

    masks: dict[Name, Polygon] = Field(default_factory=dict, max_length=64)
    zones: dict[Name, Polygon] = Field(default_factory=dict, max_length=64)
    objects: dict[str, ObjectRule] = Field(default_factory=dict, max_length=100)
    motion: CameraMotion = CameraMotion()

    @classmethod
    def of(cls, camera: Camera) -> Self:
        """Those of a camera."""
        return cls(masks=camera.masks, zones=camera.zones, objects=camera.objects, motion=camera.motion)

    def on(self, camera: Camera) -> Camera:
        """The camera with these.

        Raises:
            ConfigError: they do not agree: an object counts in a zone that is not there.
        """
        try:
            return Camera.model_validate({**dict(camera), **dict(self)})
        except ValidationError as error:
            raise ConfigError("; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())) from None
