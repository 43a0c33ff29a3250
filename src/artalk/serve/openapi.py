"""The HTTP interface, described as OpenAPI 3.1; a test holds the server to it."""

from typing import Any

from artalk import __version__, edit
from artalk.serve.settings import Limits
from artalk.serve.work import MEDIA_TYPES, Order


def document(models: list[str], limits: Limits) -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "artalk",
            "version": __version__,
            "description": "Speech becomes a 3D head's performance. The live socket is at /v1/live; docs/server.md "
            "describes its messages.",
        },
        "paths": {
            "/v1/animate": {"post": _animate(models, limits)},
            "/v1/results/{name}": {"get": _results()},
            "/v1/info": {"get": _get("What this server offers", _json(_object(_INFO)))},
            "/health": {"get": _get("Whether the process lives", _json(_object({"status": _TEXT}))) | {"security": []}},
            "/ready": {"get": _ready() | {"security": []}},
            "/metrics": {"get": _get("Counters for Prometheus", {"text/plain": {"schema": _TEXT}})},
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_TEXTS = {"type": "array", "items": _TEXT}
_FAULT = {"code": _TEXT, "message": _TEXT}
_INFO = {
    "version": _TEXT,
    "protocol": {"type": "integer"},
    "models": _TEXTS,
    "styles": {"type": "object", "additionalProperties": _TEXTS},
    "formats": _TEXTS,
    "gains": _TEXTS,
    "limits": {"type": "object", "additionalProperties": _NUMBER},
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _fault(what: str) -> dict[str, Any]:
    return {"description": what, "content": _json(_object(_FAULT))}


_REFUSALS = {
    "401": _fault("The token is wrong or missing"),
    "403": _fault("The host or the page is a strange one"),
}


def _get(what: str, content: dict[str, Any]) -> dict[str, Any]:
    answers = {"200": {"description": what, "content": content}}
    return {"summary": what, "responses": answers | {"503": _fault("The server stops")} | _REFUSALS}


def _ready() -> dict[str, Any]:
    said = _get("Whether new sessions are taken", _json(_object({"status": {"const": "ready"}})))
    status = {"type": "string", "enum": ["stopping", "busy"]}
    busy = {
        "description": "The server stops, or all sessions are taken",
        "content": _json(_object({"status": status, **_FAULT})),
    }
    return said | {"responses": said["responses"] | {"503": busy}}


def _parameter(name: str, schema: dict[str, Any], what: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": what, "schema": schema}


def _animate(models: list[str], limits: Limits) -> dict[str, Any]:
    formats = [suffix[1:] for suffix in MEDIA_TYPES]
    binary = {media: {"schema": {"type": "string"}} for media in sorted(set(MEDIA_TYPES.values()))}
    stream = {"text/event-stream": {"schema": _TEXT}}
    return {
        "summary": "A sound in, its performance out",
        "description": "The body is a sound file of any kind. With `Accept: text/event-stream` the answer is events: "
        '`progress` {"done", "total"}, then `result` {"url", "bytes", "frames", "seconds"} or `error` '
        '{"code", "message"}; the url is good for a while. `done` counts the frames that were made, then those '
        "that were drawn, never falls and ends at `total`, which stays what it is; drawing takes longer.",
        "parameters": [
            _parameter("format", {"type": "string", "enum": formats, "default": Order.format}, "Of the answer"),
            _parameter("model", {"type": "string", "enum": models}, "The generator"),
            _parameter("seed", {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "default": 0}, "Of chance"),
            _parameter("fps", {"type": "string", "examples": ["60", "29.97", "30000/1001"]}, "Frames a second"),
            _parameter(
                "style", {"type": "string", "examples": ["lively:0.7,smiling:0.3"]}, "Shares of the model's styles"
            ),
            _parameter(
                "gains",
                {"type": "string", "examples": ["head:0.5,lips:1.2"]},
                f"Factors for {', '.join(edit.PARTS)}",
            ),
            _parameter(
                "size",
                {"type": "integer", "minimum": 16, "maximum": limits.pixels, "default": min(Order.size, limits.pixels)},
                "Pixels of a picture's side",
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {
            "200": {"description": "The performance", "content": {**binary, **stream}},
            "400": _fault("The wish or the sound makes no sense"),
            "408": _fault(f"The body did not come within {limits.sending_seconds:g} s"),
            "413": _fault(f"The body is larger than {limits.upload_bytes} bytes"),
            "415": _fault("The body is a form, and not the sound by itself"),
            "429": _fault("Too many files are being worked on"),
            "503": _fault("The work took too long, or the server stops"),
            **_REFUSALS,
        },
    }


def _results() -> dict[str, Any]:
    binary = {media: {"schema": {"type": "string"}} for media in sorted(set(MEDIA_TYPES.values()))}
    return {
        "summary": "A result that events told of",
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": _TEXT}],
        "responses": {
            "200": {"description": "The file", "content": binary},
            "404": _fault("There is none of that name any more"),
            **_REFUSALS,
        },
    }
