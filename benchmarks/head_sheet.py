"""A labelled picture of the built-in head's 52 shapes, each at weight 1, drawn by the product's renderer.

    python benchmarks/head_sheet.py -o FILE.png [--set shapes | speech | eyes] [--view head | face | mouth | eyes]
                                    [--turn DEGREES] [--size PIXELS] [--only NAME,NAME]

Shapes that make no sense alone come with what they need: mouthClose with jawOpen, tongueOut with jawOpen.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image

from artalk.channels import ARKIT_SHAPES
from artalk.render.camera import Camera
from artalk.render.renderer import Renderer, open_renderer
from artalk.render.sheet import contact_sheet
from artalk.rigs.blendshape import BlendshapeRig
from artalk.rigs.head import head

Weights = dict[str, float]

NEEDS: dict[str, Weights] = {
    "mouthClose": {"mouthClose": 0.5, "jawOpen": 0.5},
    "tongueOut": {"tongueOut": 1.0, "jawOpen": 0.25},
}


def both(name: str, weight: float) -> Weights:
    """A pair of shapes at one weight."""
    return {name + "Left": weight, name + "Right": weight}


SPEECH: dict[str, Weights] = {
    "rest": {},
    "jaw .3 funnel .5": {"jawOpen": 0.3, "mouthFunnel": 0.5},
    "pucker .7": {"mouthPucker": 0.7},
    "m: press roll": {**both("mouthPress", 0.6), "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "f: roll .6 up .3": {"mouthRollLower": 0.6, **both("mouthUpperUp", 0.3), "jawOpen": 0.05},
    "smile jaw .3": {**both("mouthSmile", 0.8), "jawOpen": 0.3},
    "ee": {**both("mouthStretch", 0.6), **both("mouthSmile", 0.2), "jawOpen": 0.12},
    "close .3 jaw .3": {"jawOpen": 0.3, "mouthClose": 0.3},
    "shrug": {"mouthShrugLower": 0.7, "mouthShrugUpper": 0.5},
    "ah": {"jawOpen": 0.5, **both("mouthLowerDown", 0.2)},
    "oh": {"jawOpen": 0.35, "mouthFunnel": 0.4, "mouthPucker": 0.3},
    "th": {"jawOpen": 0.18, "tongueOut": 0.25, **both("mouthLowerDown", 0.2)},
    "s": {"jawOpen": 0.06, **both("mouthStretch", 0.3), **both("mouthLowerDown", 0.4), **both("mouthUpperUp", 0.2)},
    "sh": {"jawOpen": 0.1, "mouthFunnel": 0.7},
    "disgust": {**both("noseSneer", 0.8), **both("mouthUpperUp", 0.5), **both("browDown", 0.6)},
    "laugh": {**both("mouthSmile", 1.0), **both("cheekSquint", 0.8), **both("eyeSquint", 0.6), "jawOpen": 0.4},
    "sad": {**both("mouthFrown", 0.8), "browInnerUp": 0.9, "mouthShrugLower": 0.4},
    "surprise": {"jawOpen": 0.4, "browInnerUp": 1.0, **both("browOuterUp", 1.0), **both("eyeWide", 0.8)},
    "tongue jaw .4": {"jawOpen": 0.4, "tongueOut": 1.0},
    "tongue .5 jaw .3": {"jawOpen": 0.3, "tongueOut": 0.5},
}

EYES: dict[str, Weights] = {
    "rest": {},
    **{f"blink {w}": both("eyeBlink", w) for w in (0.25, 0.5, 0.75, 1.0)},
    "down": both("eyeLookDown", 1.0),
    "up": both("eyeLookUp", 1.0),
    "left": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "right": {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0},
    "wide": both("eyeWide", 1.0),
    "squint": both("eyeSquint", 1.0),
    "squint blink .5": {**both("eyeSquint", 1.0), **both("eyeBlink", 0.5)},
    "down blink .5": {**both("eyeLookDown", 1.0), **both("eyeBlink", 0.5)},
    "up blink 1": {**both("eyeLookUp", 1.0), **both("eyeBlink", 1.0)},
    "wink": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.6},
    "cheek squint": both("cheekSquint", 1.0),
}

SETS = {"shapes": {name: NEEDS.get(name, {name: 1.0}) for name in ARKIT_SHAPES}, "speech": SPEECH, "eyes": EYES}

VIEWS = {
    "head": ((0.0, -0.035, 0.0), 1.35, 13.0),
    "face": ((0.0, -0.03, 0.06), 1.2, 9.6),
    "mouth": ((0.0, -0.066, 0.09), 0.6, 10.5),
    "eyes": ((0.032, 0.004, 0.08), 0.5, 7.5),
}
"""Where each view looks, from how far (metres), and its field of view (degrees)."""


def camera(view: str, turn: float) -> Camera:
    """A camera that looks at a part of the head, `turn` degrees towards the subject's left."""
    target, away, angle = VIEWS[view]
    side = math.radians(turn)
    position = (target[0] + away * math.sin(side), target[1], target[2] + away * math.cos(side))
    return Camera(position, target, math.radians(angle))


def picture(rig: BlendshapeRig, renderer: Renderer, weights: Weights) -> np.ndarray:
    """The rig at `weights`."""
    values = np.zeros(len(rig.channels), np.float32)
    for name, weight in weights.items():
        values[rig.channels.index(name)] = weight
    return renderer.frame(rig.pose(values))


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description="a sheet of the built-in head's shapes")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--set", choices=SETS, default="shapes")
    parser.add_argument("--view", choices=VIEWS, default="face")
    parser.add_argument("--only", default="", help="only shapes whose name contains this")
    parser.add_argument("--turn", type=float, default=0.0)
    parser.add_argument("--size", type=int, default=240)
    parser.add_argument("--columns", type=int, default=9)
    args = parser.parse_args()
    rig = head()
    parts = args.only.split(",")
    chosen = {name: weights for name, weights in SETS[args.set].items() if any(part in name for part in parts)}
    with open_renderer(rig.mesh, args.size, args.size, camera=camera(args.view, args.turn)) as renderer:
        images = [picture(rig, renderer, weights) for weights in chosen.values()]
    Image.fromarray(contact_sheet(images, args.columns, list(chosen))).save(args.output)


if __name__ == "__main__":
    main()
