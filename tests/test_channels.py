import pytest

from artalk.channels import ARKIT, ARKIT_SHAPES, FLAME, Channels, Group
from artalk.errors import BadInput


def test_arkit_is_unreals_order():
    assert len(ARKIT_SHAPES) == 52
    # The classic mistakes: Left before Right in this order, and jawOpen last of the jaw.
    assert ARKIT_SHAPES[14:18] == ("jawForward", "jawLeft", "jawRight", "jawOpen")
    assert ARKIT_SHAPES.index("mouthLeft") == 21
    assert ARKIT_SHAPES[51] == "tongueOut"
    assert len(ARKIT) == 55
    assert ARKIT.slice("head") == slice(52, 55)
    assert len(FLAME) == 106


def test_groups_hold_their_own_names():
    for group, prefix in [("eyes", "eye"), ("jaw", "jaw"), ("mouth", "mouth"), ("brows", "brow"), ("cheeks", "cheek")]:
        assert all(name.startswith(prefix) for name in ARKIT.names[ARKIT.slice(group)])


def test_unknown_names_say_what_there_is():
    with pytest.raises(BadInput, match=r"no channel 'jawopen'.*jawOpen"):
        ARKIT.index("jawopen")
    with pytest.raises(BadInput, match=r"no group 'lips'.*mouth"):
        ARKIT.slice("lips")


@pytest.mark.parametrize(
    ("groups", "names", "message"),
    [
        ((Group("a", 2),), ("x",), "cover 2"),
        ((Group("a", 2),), ("x", "x"), "twice: x"),
        ((Group("a", 2, "rotvec"),), ("x", "y"), "rotation vector"),
    ],
)
def test_inconsistent_channels_are_refused(groups, names, message):
    with pytest.raises(BadInput, match=message):
        Channels("c", groups, names)


def test_columns_by_kind():
    assert ARKIT.of_kind("weight") == list(range(52))
    assert ARKIT.of_kind("rotvec") == [52, 53, 54]
    assert FLAME.of_kind("coefficient") == list(range(100))
