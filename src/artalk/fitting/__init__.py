"""One face model fitted to another: what needs two meshes at once."""
