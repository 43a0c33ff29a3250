"""Videos become motion, styles and clips for training; the package itself is the verb `artalk.prepare`."""

from artalk.verb import make_verb

make_verb(__name__)
