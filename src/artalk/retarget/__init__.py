"""Motion from one face to another, by names and by shapes; the package itself is the verb `artalk.retarget`."""

from artalk.verb import make_verb

make_verb(__name__)
