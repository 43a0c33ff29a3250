"""What a user is told of the places that frames go to."""

from collections.abc import Sequence

from artalk.live.output import Output
from artalk.live.trouble import Trouble

REASONS: dict[Trouble, str] = {
    "no such host": "there is no such host",
    "cannot be reached": "it cannot be reached from here",
    "nobody listens": "nobody seems to listen there",
}


class News:
    """What has changed at some outputs since it was asked last."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self._outputs = outputs
        self._told: dict[Output, Trouble | None] = dict.fromkeys(outputs)

    def lines(self) -> list[str]:
        """A line for each output where something has changed."""
        changed = [output for output in self._outputs if output.trouble != self._told[output]]
        self._told |= {output: output.trouble for output in changed}
        return [_line(output) for output in changed]


def verdict(output: Output) -> str:
    """What became of an output's frames, and, where many were lost, why."""
    why = f"; {_why(output)}" if 4 * output.lost > output.sent else ""
    return f"{output.name}: {output.sent} frames sent, {output.lost} lost{why}"


def _line(output: Output) -> str:
    match output.trouble:
        case None:
            return f"{output.name} is there now"
        case "nobody listens":
            return f"nobody listens at {output.name} yet"
        case trouble:
            return f"{output.name}: {trouble}, trying again"


def _why(output: Output) -> str:
    if output.last_trouble is not None:
        return REASONS[output.last_trouble]
    # Neither a look-up that takes longer than all of it nor a full buffer of the system is a trouble that is known.
    return "this machine was too busy to send" if output.sent else "its address was not found in time"
