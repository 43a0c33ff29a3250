import subprocess
import sys

CODE = """
import artalk
import artalk.retarget.maps, artalk.render.camera, artalk.stream.session
import numpy as np
motion = artalk.Motion(np.zeros((2, 55)), artalk.ARKIT, 25)
assert artalk.retarget(motion, "oculus").channels is artalk.retarget.maps.OCULUS
assert artalk.retarget(motion, to="a2f").channels.name == "a2f"
assert callable(artalk.render)
assert artalk.stream(model="visemes").latency == 0.08
"""


def test_verbs_stay_verbs_when_their_packages_are_imported():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)
