import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.data import facegood
from artalk.errors import BadFile, MissingFile
from tests.shared import shared


def test_columns_by_name(tmp_path):
    names = sorted({column for columns in facegood.NAMES.values() for column in columns} | {"tooth_l"})
    weights = np.zeros((9, len(names)), np.float32)
    weights[:, names.index("mouth_stretch_c")] = 0.5
    weights[:, names.index("mouth_funnel_ul")] = 0.2
    weights[:, names.index("mouth_funnel_dr")] = 0.3
    weights[:, names.index("mouth_lipStretch_r")] = 2.0
    np.save(tmp_path / "a.npy", weights)
    motion = facegood.read(tmp_path / "a.npy", names)
    assert motion.fps == 30
    assert motion.channel("jawOpen")[0] == np.float32(0.5)
    assert motion.channel("mouthFunnel")[0] == np.float32(0.3)
    assert motion.channel("mouthStretchRight")[0] == 1.0
    assert motion.channel("mouthStretchLeft")[0] == 0.0
    with pytest.raises(BadFile):
        facegood.read(tmp_path / "a.npy", names[:-1])
    with pytest.raises(MissingFile):
        facegood.read_names(tmp_path / "names.txt")


def test_only_the_mouth_is_observed():
    assert not facegood.OBSERVED[ARKIT.slice("eyes")].any()
    assert not facegood.OBSERVED[ARKIT.slice("head")].any()
    assert facegood.OBSERVED[ARKIT.index("jawOpen")]


def test_real_files():
    folder = shared("corpus/facegood_zh")
    names = facegood.read_names(folder / "names.txt")
    motion = facegood.read(folder / "2_01.npy", names)
    assert motion.channel("jawOpen").max() > 0.3
