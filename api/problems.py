"""Every refusal of the API as RFC 9457 problem details: what is wrong, where, and what would be right."""

from __future__ import annotations

import errno
import json
import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from duckconf.errors import (
    BadInput,
    Conflict,
    CutOff,
    DuckconfError,
    EngineRefused,
    NodeFailure,
    NoNodeFits,
    NoNodeReachable,
    NotFound,
    NotNow,
    PreconditionFailed,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class BadRequest(DuckconfError):
    """A request that fails before its content is looked at, with the HTTP status that says how."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def problem(status: HTTPStatus, detail: str, **more: Any) -> Response:
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **more}
    return Response(json.dumps(body, ensure_ascii=False) + "\n", status, content_type=MEDIA_TYPE)


def register(app: Flask) -> None:
    """Make every error of the app answer with a problem."""
    app.register_error_handler(DuckconfError, of_error)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(OSError, of_disk)
    app.register_error_handler(Exception, of_surprise)


def of_error(error: DuckconfError) -> Response:
    if isinstance(error, BadRequest):
        answer = problem(error.status, str(error))
        if error.status == HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if isinstance(error, BadInput):
        faults = [{"path": fault.path, "message": fault.message} for fault in error.faults]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=faults)
    if isinstance(error, EngineRefused):
        return problem(HTTPStatus.CONFLICT if error.conflict else HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    if isinstance(error, NoNodeReachable):
        status = HTTPStatus.SERVICE_UNAVAILABLE
        if isinstance(error, NoNodeFits):
            status = HTTPStatus.CONFLICT if error.conflict else HTTPStatus.UNPROCESSABLE_ENTITY
        return problem(status, str(error), skipped=list(error.skipped), reasons=error.skipped)
    if isinstance(error, NotFound):
        return problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, Conflict):
        return problem(HTTPStatus.CONFLICT, str(error))
    if isinstance(error, PreconditionFailed):
        return problem(HTTPStatus.PRECONDITION_FAILED, str(error))
    if isinstance(error, (NodeFailure, NotNow)):
        answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        if isinstance(error, CutOff):
            answer.headers["Retry-After"] = "1"
        return answer
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))


def of_http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    details = {
        HTTPStatus.NOT_FOUND: "there is no such path; GET /openapi.json lists the paths",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than 64 KiB",
    }
    answer = problem(status, details.get(status, error.description or status.phrase))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
        methods = " or ".join(sorted(set(allowed) - {"HEAD", "OPTIONS"}))
        answer.set_data(json.dumps({**json.loads(answer.get_data()), "detail": f"this path allows {methods}"}) + "\n")
    return answer


def of_disk(error: OSError) -> Response:
    log.error("the state folder cannot be written: %s", error)
    status = HTTPStatus.INSUFFICIENT_STORAGE if error.errno in DISK_FULL else HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, f"the state cannot be written, nothing was changed: {error.strerror or error}")


def of_surprise(error: Exception) -> Response:
    log.exception("unexpected error")
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"internal error: {type(error).__name__}; see the log of the API server")
