"""Many pictures on one, each with its name."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from artalk.errors import BadInput, needs
from artalk.render.picture import Picture

LABEL = 22
"""Pixels below each picture for its name."""

PAPER = (24, 26, 30)
INK = (214, 218, 224)


def contact_sheet(images: Sequence[Picture], columns: int, labels: Sequence[str] | None = None) -> Picture:
    """Lay `images`, (height, width, 3) sRGB and all of one size, in rows of `columns`, with `labels` below them.

    Returns one (rows · height, columns · width, 3) picture, higher by a line a row where there are labels.
    """
    if not images or columns < 1:
        raise BadInput(f"a sheet has at least one picture and one column, got {len(images)} and {columns}")
    if labels is not None and len(labels) != len(images):
        raise BadInput(f"a sheet has a label for each of its {len(images)} pictures, got {len(labels)}")
    height, width = images[0].shape[:2]
    if any(image.shape != (height, width, 3) for image in images):
        raise BadInput(f"the pictures of a sheet are all ({height}, {width}, 3), got {[i.shape for i in images]}")
    step = height + (0 if labels is None else LABEL)
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * step, columns * width, 3), PAPER, np.uint8)
    for k, image in enumerate(images):
        top, left = k // columns * step, k % columns * width
        sheet[top : top + height, left : left + width] = image
    return sheet if labels is None else _lettered(sheet, labels, columns, width, step)


def _lettered(sheet: Picture, labels: Sequence[str], columns: int, width: int, step: int) -> Picture:
    Image: Any = needs("PIL.Image", "", "writing names on pictures")
    ImageDraw: Any = needs("PIL.ImageDraw", "", "writing names on pictures")
    ImageFont: Any = needs("PIL.ImageFont", "", "writing names on pictures")
    paper = Image.fromarray(sheet)
    pen = ImageDraw.Draw(paper)
    for k, label in enumerate(labels):
        place = (k % columns + 0.5) * width, (k // columns + 1) * step - LABEL / 2
        # Letters shrink until a long name fits its picture.
        fonts = (ImageFont.load_default(size) for size in (14, 12, 10, 8, 6))
        font = next((f for f in fonts if pen.textlength(label, font=f) <= width - 4), ImageFont.load_default(6))
        pen.text(place, label, fill=INK, font=font, anchor="mm")
    return np.array(paper)
