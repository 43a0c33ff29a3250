from fractions import Fraction

import numpy as np
import pytest

from artalk.channels import ARKIT, FLAME
from artalk.edit import PARTS, scaled
from artalk.errors import BadInput, Unsupported
from artalk.motion import Motion


def full(value=0.5, channels=ARKIT):
    return Motion(np.full((3, len(channels)), value), channels, Fraction(25))


def test_parts_cover_every_column_once():
    columns = sorted(column for part in PARTS.values() for column in part)
    assert columns == list(range(len(ARKIT)))


def test_a_gain_reaches_its_part_alone():
    still = scaled(full(), {"head": 0})
    assert not still.group("head").any()
    np.testing.assert_array_equal(still.values[:, :52], full().values[:, :52])


def test_weights_stay_weights():
    assert scaled(full(), {"lips": 5}).channel("jawOpen").max() == 1
    assert scaled(full(), {"head": 5}).channel("headX").max() == 2.5  # radians are not weights


@pytest.mark.parametrize("gains", [{"nose hair": 1}, {"lips": -1}, {"lips": float("nan")}, {"lips": 11}])
def test_absurd_gains_are_refused(gains):
    with pytest.raises(BadInput, match="gain"):
        scaled(full(), gains)


def test_other_channels_are_refused():
    with pytest.raises(Unsupported, match="retarget"):
        scaled(full(channels=FLAME), {"head": 0})
