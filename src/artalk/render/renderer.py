"""What draws a mesh frame by frame, and the choice of the one that works here."""

import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput, NeedsExtra, Unsupported
from artalk.render.camera import Camera
from artalk.render.light import Look
from artalk.render.picture import Picture
from artalk.rigs.rig import Box, Mesh

Backend = Literal["auto", "gl", "raster"]

LARGEST = 8192
"""Pixels of the longest side that is drawn."""

log = logging.getLogger(__name__)


class Renderer(ABC):
    """Draws one mesh in many poses, always at one size and from one camera. Use it in a `with` block, or `close` it."""

    name: str
    """What draws: "gl" or "raster", with the device."""

    @abstractmethod
    def frame(self, vertices: NDArray[np.floating[Any]]) -> Picture:
        """The (height, width, 3) sRGB picture of posed `vertices` (V, 3); RGBA, straight, without a background."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back; harmless when called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_renderer(
    mesh: Mesh,
    width: int = 512,
    height: int = 512,
    backend: Backend = "auto",
    *,
    camera: Camera | None = None,
    focus: Box | None = None,
    look: Look | None = None,
) -> Renderer:
    """A renderer of `mesh`: "gl" (graphics card, or Mesa's software), "raster" (numpy alone), "auto" whichever works.

    `camera` defaults to a portrait of the mesh, or of its part `focus`. Raises `BadInput` for a size, backend or mesh
    that makes no sense, `Unsupported` when "gl" is asked for and there is no OpenGL 3.3.
    """
    if backend not in ("auto", "gl", "raster"):
        raise BadInput(f"a backend is auto, gl or raster, got {backend!r}")
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise BadInput(f"a picture is 1 to {LARGEST} pixels wide and high, got {width} x {height}")
    camera = camera or Camera.portrait(mesh, focus, width / height)
    look = look or Look()
    if backend != "raster":
        try:
            from artalk.render.gl import GlRenderer

            return GlRenderer(mesh, width, height, camera, look)
        except (Unsupported, NeedsExtra) as error:
            if backend == "gl":
                raise
            log.info("drawing with numpy, which is slower: %s", error)
    from artalk.render.raster import RasterRenderer

    return RasterRenderer(mesh, width, height, camera, look)
