"""Pictures by OpenGL 3.3: EGL on servers (Mesa draws in software where there is no card), native on a desktop."""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artalk.errors import BadInput, Unsupported, needs
from artalk.render.camera import Camera
from artalk.render.light import GLSL, Look
from artalk.render.picture import Picture, over, shrunk
from artalk.render.renderer import Renderer
from artalk.render.surface import Surface
from artalk.rigs.rig import Mesh

SAMPLES = 4

SMALL = 400 * 400
"""Pictures of fewer pixels are drawn at twice the size: 16 samples a pixel cost little there."""

VERTEX = """
#version 330
uniform mat4 matrix;
in vec3 position; in vec3 normal; in vec3 albedo; in vec3 finish; in float open;
centroid out vec3 at; centroid out vec3 across; centroid out vec3 color; centroid out vec4 surface;
void main() {
    gl_Position = matrix * vec4(position, 1.0);
    at = position; across = normal; color = albedo; surface = vec4(finish, open);
}
"""

# The picture is drawn upside down, so that its rows are read from the top: front and back change places.
FRAGMENT = f"""
#version 330
{GLSL}
centroid in vec3 at; centroid in vec3 across; centroid in vec3 color; centroid in vec4 surface;
out vec4 pixel;
void main() {{
    vec3 n = across / max(length(across), 1e-6);
    n = gl_FrontFacing ? -n : n;
    pixel = vec4(tone(shade(at, n, color, surface.xyz, surface.w)), 1.0);
}}
"""


class GlRenderer(Renderer):
    """Draws with moderngl in a context of its own, `SAMPLES` times antialiased, and reads the picture back."""

    def __init__(self, mesh: Mesh, width: int, height: int, camera: Camera, look: Look) -> None:
        self._surface = Surface(mesh)
        self._size = width, height
        self._scale = 2 if width * height < SMALL else 1
        self._background = None if look.background is None else look.background.picture(width, height)
        self._gl: Any = _context()
        self._held: list[Any] = []
        self.name = f"gl ({self._gl.info['GL_RENDERER']})"
        try:
            with self._gl:
                self._build(camera, look)
        except BaseException as error:
            self.close()
            if _is_gl(error):
                raise Unsupported(f"OpenGL cannot draw {width} x {height} pixels ({error}): use raster") from error
            raise

    def frame(self, vertices: NDArray[np.floating[Any]]) -> Picture:
        """See `Renderer.frame`."""
        if self._gl is None:
            raise BadInput("a renderer draws until it is closed: open another")
        surface = self._surface
        posed = surface.positions(vertices)
        self._moving[:, :3] = posed[surface.source]
        self._moving[:, 3:] = surface.normals(posed)[surface.source]
        try:
            with self._gl:
                data = self._draw()
        except Exception as error:
            if _is_gl(error):
                raise Unsupported(f"OpenGL failed in the middle ({error}): use raster") from error
            raise
        width, height = self._size
        drawn = np.frombuffer(data, np.uint8).reshape(height * self._scale, width * self._scale, 4)
        return over(shrunk(drawn, self._scale), self._background)

    def close(self) -> None:
        """See `Renderer.close`."""
        if self._gl is None:
            return
        gl, self._gl = self._gl, None
        with gl:
            for thing in reversed(self._held):
                thing.release()
        self._held.clear()
        gl.release()

    def _build(self, camera: Camera, look: Look) -> None:
        gl, surface = self._gl, self._surface
        drawn = tuple(side * self._scale for side in self._size)
        samples = min(SAMPLES, gl.max_samples)
        color, depth = gl.renderbuffer(drawn, 4, samples=samples), gl.depth_renderbuffer(drawn, samples=samples)
        resolved = gl.renderbuffer(drawn, 4)
        self._canvas = gl.framebuffer([color], depth)
        self._result = gl.framebuffer([resolved])
        program = gl.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        self._moving = np.empty((len(surface.source), 6), np.float32)
        self._buffer = gl.buffer(reserve=self._moving.nbytes, dynamic=True)
        fixed = gl.buffer(np.column_stack([surface.albedo, surface.finish, surface.open]).astype(np.float32).tobytes())
        faces = gl.buffer(surface.faces.tobytes())
        moving = (self._buffer, "3f 3f", "position", "normal")
        self._mesh = gl.vertex_array(program, [moving, (fixed, "3f 3f 1f", "albedo", "finish", "open")], faces)
        self._held += [color, depth, resolved, self._canvas, self._result, program, self._buffer, fixed, faces]
        self._held.append(self._mesh)
        flipped = np.diag([1.0, -1.0, 1.0, 1.0]) @ camera.matrix(self._size[0] / self._size[1])
        uniforms = {
            "matrix": flipped.T,
            "eye": camera.position,
            "up": camera.frame()[1],
            "light_directions": look.directions(camera.frame()),
            "light_colors": look.colors(),
            "sky": look.sky,
            "ground": look.ground,
        }
        for name, value in uniforms.items():
            program[name].write(np.ascontiguousarray(value, np.float32).tobytes())

    def _draw(self) -> bytes:
        """The picture's RGBA bytes, top row first."""
        gl = self._gl
        self._buffer.orphan()
        self._buffer.write(self._moving)
        self._canvas.use()
        gl.enable_only(gl.DEPTH_TEST | gl.CULL_FACE)
        self._canvas.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        # Fronts first, so that most backs are hidden before they are shaded. (Pictures are drawn upside down, which
        # turns fronts into what OpenGL calls backs.)
        gl.cull_face = "front"
        self._mesh.render()
        single, corners = 3 * self._surface.single, 3 * len(self._surface.faces)
        if single < corners:
            gl.cull_face = "back"
            self._mesh.render(vertices=corners - single, first=single)
        gl.copy_framebuffer(self._result, self._canvas)
        return self._result.read(components=4, alignment=1)


def _context() -> Any:
    """A new OpenGL context without a window. Raises `Unsupported`."""
    moderngl = needs("moderngl", "", "drawing with OpenGL")
    # Without a display only EGL works, and with one the native way is the card's own; each is tried after the other.
    headless = sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    ways: list[dict[str, str]] = [{}]
    if sys.platform.startswith("linux"):
        ways.insert(0 if headless else 1, {"backend": "egl"})
    reasons: list[str] = []
    for way in ways:
        try:
            with _quiet():
                return moderngl.create_context(standalone=True, require=330, **way)
        except Exception as error:  # each platform's loader raises its own
            reasons.append(str(error) or type(error).__name__)
    raise Unsupported(f"OpenGL 3.3 is not to be had here ({'; '.join(reasons)})")


def _is_gl(error: BaseException) -> bool:
    """Whether moderngl raised this: its errors are of its own type or plain `Exception`."""
    return type(error) is Exception or type(error).__module__.split(".")[0] in ("moderngl", "_moderngl", "mgl")


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep what drivers write to the process's stderr, past Python, off the terminal while one is tried."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
