"""Rotations: vector ⇄ quaternion ⇄ matrix ⇄ Euler angles, and slerp, over any leading axes.

A rotation vector is a unit axis times an angle in radians. Quaternions are (x, y, z, w), as in glTF and VMC. Matrices
act on column vectors. Everything is float64 inside and keeps the leading shape of its input.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def rotvec_to_quat(rotvec: ArrayLike) -> Float:
    """Rotation vectors (..., 3) to unit quaternions (..., 4), w ≥ 0 for angles up to π."""
    v = np.asarray(rotvec, np.float64)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    # sinc keeps the quotient sin(θ/2)/θ exact down to zero.
    return np.concatenate([v * 0.5 * np.sinc(angle / (2 * np.pi)), np.cos(angle / 2)], axis=-1)


def quat_to_rotvec(quat: ArrayLike) -> Float:
    """Unit quaternions (..., 4) to the shortest rotation vectors (..., 3), angle in [0, π]."""
    q = np.asarray(quat, np.float64)
    q = q * np.where(q[..., 3:] < 0, -1.0, 1.0)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    scale = np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 1e-12)
    return q[..., :3] * scale


def quat_multiply(a: ArrayLike, b: ArrayLike) -> Float:
    """The rotation that does `b` first, then `a`."""
    ax, ay, az, aw = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    bx, by, bz, bw = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def quat_conjugate(quat: ArrayLike) -> Float:
    """The inverse of unit quaternions."""
    return np.asarray(quat, np.float64) * np.array([-1.0, -1.0, -1.0, 1.0])


def quat_to_matrix(quat: ArrayLike) -> Float:
    """Unit quaternions (..., 4) to matrices (..., 3, 3)."""
    x, y, z, w = np.moveaxis(np.asarray(quat, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def matrix_to_quat(matrix: ArrayLike) -> Float:
    """Rotation matrices (..., 3, 3) to unit quaternions (..., 4), w ≥ 0 (Shepperd's method: never a small divisor)."""
    m = np.asarray(matrix, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    one = np.ones_like(xx)
    rows = [
        [one + xx - yy - zz, xy, xz, wx],
        [xy, one - xx + yy - zz, yz, wy],
        [xz, yz, one - xx - yy + zz, wz],
        [wx, wy, wz, one + xx + yy + zz],
    ]
    # Row k is 4·q[k]·q: the row with the largest diagonal is the best conditioned.
    candidates = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.argmax(np.diagonal(candidates, axis1=-2, axis2=-1), axis=-1)
    quat = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return quat * np.where(quat[..., 3:] < 0, -1.0, 1.0)


def rotvec_to_matrix(rotvec: ArrayLike) -> Float:
    """Rotation vectors (..., 3) to matrices (..., 3, 3)."""
    return quat_to_matrix(rotvec_to_quat(rotvec))


def matrix_to_rotvec(matrix: ArrayLike) -> Float:
    """Rotation matrices (..., 3, 3) to rotation vectors (..., 3)."""
    return quat_to_rotvec(matrix_to_quat(matrix))


def euler_to_quat(pitch: ArrayLike, yaw: ArrayLike, roll: ArrayLike) -> Float:
    """Radians about X, Y and Z to quaternions: roll is applied first, then pitch, then yaw (a head's order)."""
    zero = np.zeros(np.broadcast(pitch, yaw, roll).shape)
    x = rotvec_to_quat(np.stack(np.broadcast_arrays(pitch, zero, zero), axis=-1))
    y = rotvec_to_quat(np.stack(np.broadcast_arrays(zero, yaw, zero), axis=-1))
    z = rotvec_to_quat(np.stack(np.broadcast_arrays(zero, zero, roll), axis=-1))
    return quat_multiply(y, quat_multiply(x, z))


def quat_to_euler(quat: ArrayLike) -> Float:
    """Quaternions to (..., 3) pitch, yaw, roll in radians, the inverse of `euler_to_quat`; pitch in [-π/2, π/2]."""
    m = quat_to_matrix(quat)
    pitch = np.arcsin(np.clip(-m[..., 1, 2], -1.0, 1.0))
    locked = np.abs(m[..., 1, 2]) > 1 - 1e-9
    yaw = np.where(locked, np.arctan2(-m[..., 2, 0], m[..., 0, 0]), np.arctan2(m[..., 0, 2], m[..., 2, 2]))
    roll = np.where(locked, 0.0, np.arctan2(m[..., 1, 0], m[..., 1, 1]))
    return np.stack([pitch, yaw, roll], axis=-1)


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Float:
    """The rotation a share `t` (...,) of the shortest way from quaternions `a` to `b` (..., 4)."""
    a = np.asarray(a, np.float64)
    step = quat_to_rotvec(quat_multiply(quat_conjugate(a), b))
    return quat_multiply(a, rotvec_to_quat(step * np.asarray(t, np.float64)[..., None]))
