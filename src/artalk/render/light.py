"""The look that both renderers share: lights, surfaces in light, tone, and what stands behind the head.

Diffuse light wraps round the form, further in red than in blue where a material is `subsurface` (light that enters
skin comes out red, a little further on). Highlights are GGX (Walter et al. 2007) with Schlick's Fresnel term. Lights
stand still in the camera's frame, so that a portrait is well lit from any side.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from artalk.render.picture import Picture
from artalk.rigs.rig import FloatArray

Color = tuple[float, float, float]
"""Linear RGB; lights may pass 1."""


@dataclass(frozen=True)
class Light:
    """A far softbox. `direction` points to it in the camera's frame (right, up, towards the viewer)."""

    direction: tuple[float, float, float]
    color: Color


@dataclass(frozen=True)
class Background:
    """A calm wall: linear `centre` behind the head falls off to `edge`; equal colours make it flat."""

    centre: Color = (0.105, 0.115, 0.13)
    edge: Color = (0.022, 0.025, 0.031)

    def picture(self, width: int, height: int) -> Picture:
        """The (height, width, 3) sRGB picture, dithered so that the slow gradient shows no bands."""
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        across = (x + 0.5 - width / 2) / max(width, height)
        down = (y + 0.5 - height * 0.45) / max(width, height)
        far = np.clip(np.sqrt(across**2 + down**2) / 0.72, 0, 1)[..., None]
        share = far * far * (3 - 2 * far)
        linear = np.array(self.centre, np.float32) * (1 - share) + np.array(self.edge, np.float32) * share
        noise = np.random.default_rng(0).random((height, width, 1), np.float32) if self.centre != self.edge else 0.5
        return np.clip(encode(linear) * 255 + noise, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Look:
    """How a head is lit and shown. `background` None leaves it transparent: frames then have four parts, RGBA."""

    key: Light = Light((-0.72, 0.66, 0.62), (1.28, 1.13, 0.97))
    fill: Light = Light((0.85, 0.12, 0.55), (0.15, 0.185, 0.235))
    rim: Light = Light((0.62, 0.5, -0.72), (0.62, 0.70, 0.82))
    sky: Color = (0.195, 0.215, 0.255)
    ground: Color = (0.105, 0.08, 0.068)
    background: Background | None = field(default_factory=Background)

    @property
    def lights(self) -> tuple[Light, ...]:
        """All lights, the brightest first."""
        return self.key, self.fill, self.rim

    def directions(self, axes: NDArray[np.float64]) -> FloatArray:
        """The unit directions (3, 3) to the lights in the world, for a camera with these `axes` (rows)."""
        directions = np.array([light.direction for light in self.lights]) @ axes
        return (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)

    def colors(self) -> FloatArray:
        """The colours (3, 3) of the lights."""
        return np.array([light.color for light in self.lights], np.float32)


WRAP = (0.34, 0.24, 0.19)
"""How far diffuse light reaches past the terminator in red, green and blue, at subsurface 1."""

SOFTBOX = 0.08
"""What the size of the lights adds to a surface's GGX alpha: a wet eye shows a spot, not a spark."""

SHOULDER = 0.55
"""Linear brightness above which highlights are compressed; below it colours stay what they are."""

SHADE = 0.35
"""What of the lights reaches a place that sees no sky: there are no cast shadows, openness stands for them."""

GLSL = f"""
const vec3 WRAP = vec3{WRAP};
const float SHADE = {SHADE};
const float SOFTBOX = {SOFTBOX};
const float SHOULDER = {SHOULDER};
uniform vec3 eye;
uniform vec3 light_directions[3];
uniform vec3 light_colors[3];
uniform vec3 sky;
uniform vec3 ground;
uniform vec3 up;

float fifth(float x) {{ return (x * x) * (x * x) * x; }}

vec3 hemisphere(vec3 n) {{ return mix(ground, sky, dot(n, up) * 0.5 + 0.5); }}

vec3 shade(vec3 position, vec3 n, vec3 albedo, vec3 finish, float open) {{
    vec3 v = normalize(eye - position);
    float alpha = finish.x * finish.x + SOFTBOX;
    float f0 = 0.04 * finish.y;
    vec3 wrap = WRAP * finish.z;
    float nv = max(dot(n, v), 0.02);
    float fresnel = f0 + (max(1.0 - finish.x, f0) - f0) * finish.y * fifth(1.0 - nv);
    vec3 bounced = hemisphere(reflect(-v, n)) * (fresnel * open * open);
    vec3 reached = open / (1.0 - albedo * (1.0 - open));
    vec3 color = albedo * hemisphere(n) * reached + bounced;
    vec3 lit = mix(vec3(SHADE), vec3(1.0), reached);
    for (int i = 0; i < 3; i++) {{
        vec3 l = light_directions[i];
        float nl = dot(n, l);
        vec3 diffuse = max((nl + wrap) / (1.0 + wrap), 0.0);
        vec3 h = normalize(l + v);
        float nh = max(dot(n, h), 0.0);
        float lh = max(dot(l, h), 0.25);
        float spread = nh * nh * (alpha * alpha - 1.0) + 1.0;
        float schlick = f0 + (1.0 - f0) * finish.y * fifth(1.0 - lh);
        float gloss = alpha * alpha / (spread * spread) * schlick / (4.0 * lh * lh);
        color += light_colors[i] * (lit * albedo * diffuse + gloss * max(nl, 0.0) * open);
    }}
    return color;
}}

vec3 tone(vec3 c) {{
    vec3 over = SHOULDER + (1.0 - SHOULDER) * (1.0 - exp((SHOULDER - c) / (1.0 - SHOULDER)));
    c = mix(c, over, step(SHOULDER, c));
    return mix(c * 12.92, 1.055 * pow(max(c, 1e-6), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, c));
}}
"""
"""`shade` and `tone` for a graphics card, line by line the same as `shade` and `encode(tone())` here."""


def encode(linear: FloatArray) -> FloatArray:
    """Linear light in 0..1 as sRGB in 0..1 (IEC 61966-2-1)."""
    power = 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, power).astype(np.float32)


def tone(color: FloatArray) -> FloatArray:
    """Linear light, however bright, as linear light below 1: straight to the shoulder, then a soft roll-off."""
    room = 1 - SHOULDER
    over = SHOULDER + room * (1 - np.exp((SHOULDER - np.maximum(color, SHOULDER)) / room))
    return np.where(color < SHOULDER, color, over).astype(np.float32)


@cache
def _display_table() -> Picture:
    levels = (np.arange(4 * 4096) / 4096).astype(np.float32)
    return np.round(encode(tone(levels)) * 255).astype(np.uint8)


def display(color: FloatArray) -> Picture:
    """`encode(tone(color))` in bytes, by a table."""
    table = _display_table()
    return table[np.clip(color * 4096 + 0.5, 0, len(table) - 1).astype(np.int32)]


def shade(
    look: Look,
    axes: NDArray[np.float64],
    eye: FloatArray,
    position: FloatArray,
    normal: FloatArray,
    albedo: FloatArray,
    finish: FloatArray,
    open_: FloatArray,
) -> FloatArray:
    """The linear light (3, n) that n points send to `eye` (3, 1).

    `position`, `normal` (unit, towards the viewer's side), `albedo` and `finish` are (3, n), `open_` is (n,); `axes`
    are the camera's. The same as `shade` in `GLSL`.
    """
    to_eye = eye - position
    to_eye *= 1 / np.sqrt(_dot(to_eye, to_eye))
    rough, specular, soft = finish
    alpha = (rough * rough + SOFTBOX) ** 2
    f0 = 0.04 * specular
    wrap = np.array(WRAP, np.float32)[:, None] * soft
    facing = _dot(normal, to_eye)
    fresnel = f0 + (np.maximum(1 - rough, f0) - f0) * specular * _fifth(1 - np.maximum(facing, 0.02))
    up = axes[1].astype(np.float32)[:, None]
    sky, ground = (np.array(part, np.float32)[:, None] for part in (look.sky, look.ground))
    # Light that goes to and fro in a fold takes on the surface's colour: the sum of all its bounces.
    reached = open_ / (1 - albedo * (1 - open_))
    color = albedo * (ground + (sky - ground) * (_dot(normal, up) * 0.5 + 0.5)) * reached
    mirrored = 2 * facing * _dot(normal, up) - _dot(to_eye, up)
    color += (ground + (sky - ground) * (mirrored * 0.5 + 0.5)) * (fresnel * open_ * open_)
    lit = SHADE + (1 - SHADE) * reached
    lit *= albedo
    for light, direction in zip(look.colors(), look.directions(axes), strict=True):
        toward = direction[:, None]
        cosine = _dot(normal, toward)
        diffuse = np.maximum((cosine + wrap) / (1 + wrap), 0)
        half = toward + to_eye
        half *= 1 / np.sqrt(np.maximum(_dot(half, half), 1e-12))
        bright = np.maximum(_dot(normal, half), 0)
        steep = np.maximum(_dot(toward, half), 0.25)
        spread = bright * bright * (alpha - 1) + 1
        schlick = f0 + (1 - f0) * specular * _fifth(1 - steep)
        gloss = alpha / (spread * spread) * schlick / (4 * steep * steep) * np.maximum(cosine, 0) * open_
        color += light[:, None] * (lit * diffuse + gloss)
    return color


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _fifth(x: FloatArray) -> FloatArray:
    return np.square(np.square(x)) * x
