"""A round-necked shirt and the top of the shoulders."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
AROUND = 32
# x radius, z radius, z centre, y at the front, y at the back, y at the sides
ROWS = [(53, 50, -27, -183, -160, -166), (56, 53, -27, -179, -155, -161), (60.5, 57, -27, -179.5, -155, -161),
        (64, 60, -27, -187, -163, -168), (66, 62, -27, -189, -165, -170), (78, 68, -28, -197, -172, -178), (96, 74, -29, -208, -182, -187),
        (118, 80, -30, -220, -195, -199), (138, 85, -30, -235, -215, -214), (150, 90, -30, -255, -245, -240), (154, 94, -30, -285, -285, -285)]


def shirt() -> tuple[Floats, NDArray[np.int64], Floats]:
    """(N, 3) mm, triangles, shade colours."""
    phi = 2 * np.pi * np.arange(AROUND) / AROUND
    points, shade = [], []
    for row, (rx, rz, cz, front, back, side) in enumerate(ROWS):
        c = np.cos(phi)
        side, front, back = side + 12, front + 12, back + 8
        y = side + (np.where(c > 0, front, back) - side) * c**2
        points.append(np.stack([rx * np.sin(phi), y, cz + rz * c], 1))
        shade.append(np.full((AROUND, 3), 0.45 if row == 0 else 0.8 if 1 <= row <= 3 else 0.62 if row == 4 else 1.0))
    faces = []
    for r in range(len(ROWS) - 1):
        for k in range(AROUND):
            n = (k + 1) % AROUND
            a, b, c2, d = r * AROUND + k, r * AROUND + n, (r + 1) * AROUND + n, (r + 1) * AROUND + k
            faces += [[a, d, c2], [a, c2, b]]
    return np.concatenate(points), np.array(faces), np.concatenate(shade)
