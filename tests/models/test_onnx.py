"""What is written into an .onnx: tables once, whole numbers no wider than they are, and the same results."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from artalk.models.nn.onnx import compress, graph


class Tabled(nn.Module):
    """A layer, one table of numbers by two names, and a table of places."""

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.layer = nn.Linear(40, 40)
        rng = torch.Generator().manual_seed(0)
        table = torch.rand(40, 40, generator=rng)
        self.register_buffer("one", table)
        self.register_buffer("two", table.clone())
        self.register_buffer("places", torch.randint(0, 40, (40, 40), generator=rng) * (largest // 39))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x @ self.get_buffer("one")) @ self.get_buffer("two")
        later = self.get_buffer("places") + (x > 0)  # not to be worked out when it is exported
        return torch.gather(x, 1, later.remainder(40))


def run(made, x):
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize(("largest", "narrow"), [(39, np.uint8), (39 * 100, np.uint16), (-39 * 100, np.int16)])
def test_tables_are_kept_once_in_the_least_that_holds_them(largest, narrow):
    from onnx import numpy_helper

    module = Tabled(largest).eval()
    x = torch.rand(40, 40, generator=torch.Generator().manual_seed(1))
    made = graph(module, (x,), None, ["x"], ["y"])
    before = run(made, x.numpy())
    assert np.allclose(before, module(x).detach(), atol=1e-4)
    assert sum(numpy_helper.to_array(t).size == 1600 for t in made.graph.initializer) == 3
    whole = made.ByteSize()
    compress(made, nn.Module(), "int8")  # of no parameters: nothing may be lost
    assert np.array_equal(run(made, x.numpy()), before)
    kept = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    assert [t.dtype for name, t in kept.items() if name.endswith(".narrow")] == [narrow]
    assert whole - made.ByteSize() > 1600 * (8 - np.dtype(narrow).itemsize) - 200
