"""The server: live sessions over a WebSocket, whole files over HTTP, the studio page."""
