"""A request that is refused, in the wire's words."""

from __future__ import annotations

from collections.abc import Mapping

from meshapi._core.models import JSONObject

INVALID = "Request validation failed."  # The gateway's words; what failed is in the details.


class Refusal(Exception):
    """Why a request gets no answer: a status, a code, and what else the envelope has room for."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        **optional: object,
    ) -> None:
        """Say why; `retry_after` goes into body and header, `optional` into the error object."""
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.error: JSONObject = {"code": code, "message": message, **optional}
        if retry_after is not None:
            self.error["retry_after_seconds"] = retry_after
            self.headers["retry-after"] = str(retry_after)

    def envelope(self, request_id: str) -> JSONObject:
        """The body of the answer."""
        return {"error": self.error, "request_id": request_id}


def invalid(message: str, *loc: str | int, kind: str = "value_error") -> Refusal:
    """Refuse one field of a body that is otherwise well-formed."""
    detail = {"loc": ["body", *loc], "msg": message, "type": kind}
    return Refusal(422, "validation_error", INVALID, param=str(loc[0]), details=[detail])
