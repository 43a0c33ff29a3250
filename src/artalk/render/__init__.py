"""Pictures of a mesh in motion."""

from artalk.render.camera import Camera as Camera
from artalk.render.light import Background as Background
from artalk.render.light import Look as Look
from artalk.render.renderer import Renderer as Renderer
from artalk.render.renderer import open_renderer as open_renderer
from artalk.render.sheet import contact_sheet as contact_sheet
from artalk.verb import make_verb

make_verb(__name__)
