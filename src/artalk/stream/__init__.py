"""Live: sessions, the messages between a client and a server, the client."""

from artalk.verb import make_verb

make_verb(__name__)
