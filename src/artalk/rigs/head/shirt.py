"""A round-necked shirt and the top of the shoulders."""

import numpy as np

from artalk.rigs.head.part import Floats, Ints, sheet

AROUND = 32

# Rows from inside the collar down to the chest: half width and half depth, middle in z, heights at the front, the
# back and the sides (mm), openness to the light.
ROWS = np.array(
    [
        [52, 46.5, -24, -167, -147, -148, 0.42],
        [55, 49, -24, -160, -139, -140.5, 0.92],
        [58, 52, -24, -161, -140, -141.5, 1.0],
        [61, 55, -24, -166, -145, -146, 0.9],
        [63, 57, -24, -170.5, -149, -150, 0.62],
        [67, 59, -24.5, -173, -151, -152, 0.92],
        [78, 66, -26, -180, -157, -158.5, 1.0],
        [96, 74, -29, -192, -167, -167, 1.0],
        [116, 79, -30, -204, -178, -175.5, 1.0],
        [133, 84, -30, -216, -191, -184.5, 1.0],
        [146, 88, -30, -230, -208, -196, 1.0],
        [155, 92, -30, -248, -232, -213, 1.0],
        [161, 95, -30, -285, -280, -270, 1.0],
    ]
)


def shirt() -> tuple[Floats, Ints, Floats]:
    """Points (N, 3) mm, triangles, colours that multiply the cloth's."""
    phi = 2 * np.pi * np.arange(AROUND)[None] / AROUND
    wide, deep, middle, front, back, side, light = (ROWS[:, i : i + 1] for i in range(7))
    cos = np.cos(phi)
    y = side + (np.where(cos > 0, front, back) - side) * cos**2
    points = np.stack([wide * np.sin(phi), y, middle + deep * cos], -1)
    colors = np.repeat(light[..., None] + 0 * points[..., :1], 3, axis=2)
    return points.reshape(-1, 3), sheet(len(ROWS), AROUND, closed=True)[:, ::-1], colors.reshape(-1, 3)
