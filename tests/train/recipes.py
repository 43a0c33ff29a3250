"""Recipes that train in seconds."""

from artalk import config
from artalk.train.recipe import Recipe

SMALLEST = """
[stages.codec]
task = "codec"
steps = 12
rows = 4
rate = 3e-3
warmup = 2
ema = 0.7
check = 6
save = 4

[stages.generator]
task = "generator"
steps = 8
rows = 4
rate = 3e-3
warmup = 2
ema = 0.7
check = 4
save = 4

[data]
validation_clips = 2
style_seconds = [1.0, 1.5]

[model.weights]
lips = 0.4
gap = 0.2

[model.codec]
window = 10
scales = [1, 5, 10]

[model.codec.streams.lips]
parts = ["jaw", "mouth", "cheeks", "nose", "tongue"]
bits = 8
width = 16
heads = 2
encoder = 1
decoder = 1

[model.codec.streams.rest]
parts = ["eyes", "brows", "head"]
bits = 8
width = 16
heads = 2
encoder = 1
decoder = 1

[model.speech]
bands = 20
width = 16
depth = 1
heads = 2
back = 6
ahead = 2

[model.style]
size = 8
width = 16
heads = 2
depth = 1

[model.trunks.lips]
width = 16
heads = 2
depth = 1
condition = 16
memory = 5

[model.trunks.rest]
width = 16
heads = 2
depth = 1
condition = 16
memory = 5
expected = 0
chain = 8
"""


def smallest():
    return config.from_toml(Recipe, SMALLEST)
