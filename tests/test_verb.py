import subprocess
import sys

CODE = """
import artalk
import artalk.retarget.maps, artalk.render.camera
import numpy as np
motion = artalk.Motion(np.zeros((2, 55)), artalk.ARKIT, 25)
assert artalk.retarget(motion, "oculus").channels is artalk.retarget.maps.OCULUS
assert artalk.retarget(motion, to="a2f").channels.name == "a2f"
assert callable(artalk.render)
"""


def test_verbs_stay_verbs_when_their_packages_are_imported():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=60)
