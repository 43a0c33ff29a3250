import pytest
import torch

from artalk.train.log import Log


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def undrawn():
    """Runs without curves.png, which takes longer than their few steps (test_loop looks at it)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "draw", lambda _: None)
        yield
