"""What a server counts, for Prometheus."""

from typing import Any

from artalk.errors import needs


class Metrics:
    """Counters, gauges and histograms in a registry of their own."""

    def __init__(self) -> None:
        prometheus: Any = needs("prometheus_client", "serve", "the server")
        self._expose = prometheus.generate_latest
        self.content_type: str = prometheus.CONTENT_TYPE_LATEST
        self.registry = registry = prometheus.CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Any:
            return prometheus.Counter(f"artalk_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Any:
            return prometheus.Histogram(f"artalk_{name}", what, buckets=buckets, registry=registry)

        self.sessions = prometheus.Gauge("artalk_sessions", "Live sessions that stand", registry=registry)
        self.begun = counter("sessions_begun", "Live sessions begun")
        self.ended = counter("sessions_ended", "Live sessions ended", "reason")
        self.frames = counter("frames", "Frames made for live sessions")
        self.frames_dropped = counter("frames_dropped", "Frames left out or not read in time")
        self.samples_dropped = counter("samples_dropped", "Samples of sound that came too late or were too many")
        self.faults = counter("faults", "What clients did wrong", "code")
        self.files = counter("files", "Files asked for", "outcome")
        self.steps = histogram("step_seconds", "One call of the model", (0.001, 0.003, 0.01, 0.02, 0.04, 0.1, 0.3, 1))
        self.batch = histogram("step_sessions", "Sessions in one call of the model", (1, 2, 4, 8, 16, 32, 64))
        self.late = histogram(
            "frame_late_seconds", "From a frame's sound being due to its sending", (0.01, 0.02, 0.04, 0.08, 0.2, 1)
        )

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return self._expose(self.registry)
