"""A server behind this one: it answers, in OpenAI's words and under Mesh's rules."""

from __future__ import annotations

import math
from collections.abc import Iterator

from meshapi import (
    APIStatusError,
    ChatCompletionParams,
    ChatCompletionStream,
    DeadlineExceeded,
    MeshAPI,
    MeshAPIError,
    NotFound,
)
from meshapi._core.models import JSONObject
from meshapi.local.refusal import Refusal
from meshapi.local.rules import Admitted

# How long a provider may take, unless the request says.
_SECONDS = 300.0

# What is Mesh's own, or has been dealt with by the rules.
_NOT_FORWARDED = {
    "async_mode",
    "cache",
    "messages",
    "model",
    "models",
    "session_id",
    "stream",
    "template",
    "timeout",
    "transforms",
    "variables",
    "weight_profile",
}


class Upstream:
    """Asks a server on behalf of who asks the gateway."""

    def __init__(self, url: str, token: str | None) -> None:
        """Take its address, which may end in `/v1`, and its key, which many do not want."""
        self._client = MeshAPI(base_url=url, token=token or "none", max_retries=0)

    def forward(self, asked: Admitted) -> Forwarded:
        """Describe the request as the server is asked it."""
        fields = asked.request.model_dump(exclude_unset=True, by_alias=True, exclude=_NOT_FORWARDED)
        messages = [each.model_dump(exclude_unset=True) for each in asked.messages]
        client = self._client.with_options(timeout=asked.request.timeout or _SECONDS)
        return Forwarded(client, {**fields, "model": asked.model, "messages": messages})


class Forwarded:
    """An answer that another server gives."""

    def __init__(self, client: MeshAPI, fields: JSONObject) -> None:
        """Take whom to ask, and what."""
        self._client = client
        self._fields = fields
        self._stream: ChatCompletionStream | None = None

    def whole(self) -> JSONObject:
        """The answer as one object.

        Raises:
            Refusal: the server gave none.
        """
        try:
            answer = self._client.chat.completions.create(_NOTHING, extra_body=self._fields)
        except MeshAPIError as error:
            raise _refusal(error) from None
        return answer.model_dump(mode="json", exclude_unset=True)

    def chunks(self) -> Iterator[JSONObject]:
        """The answer in pieces, as they come.

        Raises:
            Refusal: the server began none.
        """
        fields = {"stream_options": {"include_usage": True}, **self._fields}
        try:
            self._stream = self._client.chat.completions.stream(_NOTHING, extra_body=fields)
        except MeshAPIError as error:
            raise _refusal(error) from None
        return _passed_on(self._stream)

    def leave(self) -> None:
        """Give up the stream, also one that another thread waits for."""
        if self._stream:
            self._stream.close()


_NOTHING = ChatCompletionParams(messages=[])


def _passed_on(stream: ChatCompletionStream) -> Iterator[JSONObject]:
    with stream:
        try:
            for chunk in stream:
                yield chunk.model_dump(mode="json", exclude_unset=True)
        except MeshAPIError as error:
            raise _refusal(error) from None


def _refusal(error: MeshAPIError) -> Refusal:
    """The same failure as the gateway tells it: 404, 504, or 502 with the server's own words."""
    if isinstance(error, NotFound):
        return Refusal(404, "model_not_found", error.message, param="model")
    status = error.status_code if isinstance(error, APIStatusError) else None
    if isinstance(error, DeadlineExceeded) or status in {408, 504}:
        return Refusal(504, "gateway_timeout", error.message)
    told = {"provider": "upstream", "status": status, "message": error.message}
    wait = None if error.retry_after is None else math.ceil(error.retry_after)
    return Refusal(502, "upstream_error", error.message, retry_after=wait, provider_error=told)
