import numpy as np
import pytest

from artalk.channels import ARKIT
from artalk.data.styles import OWN, STYLES, named, styled
from artalk.errors import BadInput
from artalk.motion import Motion


def a_motion() -> Motion:
    values = np.random.default_rng(0).uniform(0, 0.4, (50, len(ARKIT))).astype(np.float32)
    jaw, closed = ARKIT.index("jawOpen"), ARKIT.index("mouthClose")
    values[:, closed] *= values[:, jaw]
    values[10:14, closed] = values[10:14, jaw]
    return Motion(values, ARKIT, 25)


def test_no_style_changes_nothing():
    assert np.allclose(styled(a_motion(), OWN).values, a_motion().values, atol=1e-6)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_styles_stay_in_bounds_keep_seals_and_differ(style):
    before, after = a_motion(), styled(a_motion(), style)
    weights = after.values[:, ARKIT.of_kind("weight")]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert np.allclose(after.channel("jawOpen")[10:14], after.channel("mouthClose")[10:14], atol=1e-6)
    assert np.abs(after.values - before.values).mean() > 0.003


def test_sides():
    motion = Motion(np.full((4, len(ARKIT)), 0.3, np.float32), ARKIT, 25)
    left, right = styled(motion, named("left")), styled(motion, named("right"))
    assert (left.channel("mouthSmileLeft") > left.channel("mouthSmileRight")).all()
    assert np.allclose(left.channel("mouthSmileLeft"), right.channel("mouthSmileRight"))


def test_names():
    assert named("") is OWN
    with pytest.raises(BadInput):
        named("none such")
