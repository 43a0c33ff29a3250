import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artalk.channels import ARKIT, FLAME, Channels, Group
from artalk.errors import ArtalkError, BadFile, MissingFile
from artalk.formats import npz
from artalk.motion import Motion, exact_fps
from tests.formats.motions import arkit


@given(st.integers(0, 30), st.sampled_from([24, 25, "29.97", 60, "100/3"]), st.integers(-5, 1000), st.integers(0, 9))
def test_all_comes_back_exactly(tmp_path_factory, frames, fps, start, seed):
    path = tmp_path_factory.mktemp("npz") / "m.npz"
    motion = arkit(frames, fps, seed, start)
    npz.write(motion, path)
    back = npz.read(path)
    np.testing.assert_array_equal(back.values, motion.values)
    assert back.channels is ARKIT
    assert (back.fps, back.start) == (motion.fps, start)


@pytest.mark.parametrize("channels", [FLAME, Channels("own", (Group("a", 1, "angle"),), ("größe",))])
def test_any_channels_are_kept(tmp_path, channels):
    motion = Motion(np.full((3, len(channels)), 0.5), channels, exact_fps(25))
    npz.write(motion, tmp_path / "m.npz")
    assert npz.read(tmp_path / "m.npz").channels == channels


def test_numpy_alone_can_read_it_without_pickle(tmp_path):
    motion = arkit()
    npz.write(motion, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as arrays:
        assert str(arrays["format"]) == "artalk-motion"
        assert arrays["names"][17] == "jawOpen"
        assert arrays["fps"].tolist() == [30, 1]
        np.testing.assert_array_equal(arrays["values"], motion.values)


def test_the_same_motion_gives_the_same_bytes(tmp_path):
    npz.write(arkit(), tmp_path / "a.npz")
    npz.write(arkit(), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def broken(path, **changes):
    npz.write(arkit(4), path)
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    kept |= changes
    np.savez(path, **{name: array for name, array in kept.items() if array is not None}, allow_pickle=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": np.array("else")}, "no motion file"),
        ({"version": np.array(2)}, "upgrade"),
        ({"values": np.zeros((4, 3), np.float32)}, r"\(frames, 55\)"),
        ({"values": np.full((4, 55), np.nan, np.float32)}, "finite"),
        ({"values": np.zeros((4, 55), np.int64)}, "floats"),
        ({"names": None}, "lacks"),
        ({"names": np.array(["a"] * 55)}, "differ"),
        ({"names": np.array([object()] * 55)}, "numbers or text"),
        ({"sizes": np.array([55])}, "sizes and kinds"),
        ({"kinds": np.array(["secret"] * 8)}, "sizes and kinds"),
        ({"fps": np.array([25, 0])}, "denominator"),
        ({"fps": np.array([0, 1])}, "frame rate"),
        ({"fps": np.array([25])}, "damaged"),
        ({"start": np.array([1, 2])}, "damaged"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, says):
    broken(tmp_path / "m.npz", **changes)
    with pytest.raises(BadFile, match=says):
        npz.read(tmp_path / "m.npz")


def test_claims_of_size_are_not_believed(tmp_path):
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    header += b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 55), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("values.npy", header)
    with pytest.raises(BadFile, match="claims"):
        npz.read(tmp_path / "m.npz")


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingFile):
        npz.read(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(BadFile):
        npz.read(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(BadFile, match="it holds x"):
        npz.read(tmp_path / "other.npz")


@given(st.data())
def test_damaged_bytes_end_in_a_typed_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("npz") / "m.npz"
    npz.write(arkit(3), path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with suppress(ArtalkError):
        npz.read(path)
