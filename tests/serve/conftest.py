import numpy as np
import pytest

import artalk
from tests.serve.servers import running


@pytest.fixture(scope="package")
def server():
    """One server for all that does it no harm."""
    with running() as found:
        yield found


@pytest.fixture(scope="session")
def hello():
    """Two seconds of speech, 16 kHz."""
    sound = artalk.listen("examples/hello.flac").resampled(16000)
    return np.ascontiguousarray(sound.samples[:32000])
