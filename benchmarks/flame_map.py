"""How well FLAME and ARKit are brought together, on made FLAME files: python -m benchmarks.flame_map [ICT]

A made file has FLAME's layout and another person's face; its expressions are random mixes of a head's shapes. The one
made of the built-in head has its topology, the one made of ICT-FaceKit (a folder, or its packed file) has another.
"""

import sys
import time
from collections.abc import Mapping

import numpy as np
from tests.flames import flame_like

from artalk.fitting import flame as fitting
from artalk.rigs import ict
from artalk.rigs.head import head


def main() -> None:
    heads = {"the built-in head": head()} | ({"ICT-FaceKit": ict.load(sys.argv[1])} if len(sys.argv) > 1 else {})
    for name, rig in heads.items():
        model = flame_like(rig)
        began = time.process_time()
        fitted = fitting.fit(model, head())
        solved = fitting.solve(fitted)
        took = time.process_time() - began
        print(f"made of {name}: {len(model.template)} vertices, {fitted.pairs.share:.0%} of the skin has a partner, ")
        print(f"  {1000 * fitted.pairs.gap:.2f} mm apart when bent; fitted and solved in {took:.1f} CPU s")
        print(f"  map       {figures(solved.errors)}")
        print(f"  per frame {figures(fitting.errors(fitted, solved, per_frame=True))}")
        expression, turns = np.full((100, 100), 0.1, np.float32), np.full((100, 3), 0.1, np.float32)
        began = time.process_time()
        model.pose(expression, head=turns, jaw=turns)
        print(f"  posing: {10 * (time.process_time() - began):.2f} CPU ms a frame")


def figures(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in errors.items())


if __name__ == "__main__":
    main()
