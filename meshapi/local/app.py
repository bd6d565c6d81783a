"""The routes: a request in, the rules asked, an answer of the `babble` model out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from meshapi import (
    ChatCompletionChoice,
    ChatCompletionChunk,
    ChatCompletionChunkChoice,
    ChatCompletionDelta,
    ChatCompletionMessage,
    ChatCompletionResponse,
    ErrorEnvelope,
    UsageInfo,
)
from meshapi.local.babble import Babbled, babble, tokens_of
from meshapi.local.rules import Admitted, RecordedRequest, Refusal, Rules


def make_app(rules: Rules, tokens_per_second: float | None = None) -> Starlette:
    """The gateway as an ASGI application; `tokens_per_second` slows streams to a readable pace."""

    async def chat_completions(request: Request) -> Response:
        body = await request.body()
        rules.requests.append(RecordedRequest(dict(request.headers), body))
        key = rules.authorize(request.headers.get("authorization"))
        answer = _answered(rules.admit(key, body))
        rules.charge(answer.admitted, answer.usage)
        if not answer.admitted.request.stream:
            return _json(200, answer.whole())
        pause = 1 / tokens_per_second if tokens_per_second else 0.0
        events = _paced(answer.chunks(), pause)
        return StreamingResponse(events, media_type="text/event-stream", headers=_request_id())

    app = Starlette(
        routes=[Route("/v1/chat/completions", chat_completions, methods=["POST"])],
        exception_handlers={Refusal: _refused, HTTPException: _no_route, Exception: _broken},
    )
    app.router.redirect_slashes = False
    return app


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said to an admitted request, in either form of the wire."""

    admitted: Admitted
    babbled: Babbled
    usage: UsageInfo
    id: str
    created: int

    def whole(self) -> ChatCompletionResponse:
        """The answer as one object."""
        message = ChatCompletionMessage(role="assistant", content="".join(self.babbled.tokens))
        choice = ChatCompletionChoice(
            index=0, message=message, finish_reason=self.babbled.finish_reason
        )
        return ChatCompletionResponse(
            id=self.id,
            object="chat.completion",
            created=self.created,
            model=self.admitted.model,
            choices=[choice],
            usage=self.usage,
        )

    def chunks(self) -> Iterator[ChatCompletionChunk]:
        """The answer token by token, its usage in a last chunk without choices."""
        yield self._chunk(ChatCompletionDelta(role="assistant", content=""))
        for token in self.babbled.tokens:
            yield self._chunk(ChatCompletionDelta(content=token))
        yield self._chunk(ChatCompletionDelta(), self.babbled.finish_reason)
        yield self._chunk(None)

    def _chunk(
        self, delta: ChatCompletionDelta | None, finish_reason: str | None = None
    ) -> ChatCompletionChunk:
        chunk = ChatCompletionChunk(
            id=self.id,
            object="chat.completion.chunk",
            created=self.created,
            model=self.admitted.model,
            choices=[],
        )
        if delta is None:
            chunk.usage = self.usage
        else:
            choice = ChatCompletionChunkChoice(index=0, delta=delta, finish_reason=finish_reason)
            chunk.choices.append(choice)
        return chunk


def _answered(admitted: Admitted) -> Answer:
    request = admitted.request
    said = babble(
        admitted.prompt,
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        seed=request.seed,
        stop=[request.stop] if isinstance(request.stop, str) else request.stop or [],
        max_tokens=request.max_tokens or 120,
    )
    asked, answered = len(tokens_of(admitted.prompt)), len(said.tokens)
    usage = UsageInfo(
        prompt_tokens=asked, completion_tokens=answered, total_tokens=asked + answered
    )
    return Answer(admitted, said, usage, f"chatcmpl-{uuid.uuid4().hex}", int(time.time()))


async def _paced(chunks: Iterator[ChatCompletionChunk], pause: float) -> AsyncIterator[str]:
    for chunk in chunks:
        yield f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"
        await asyncio.sleep(pause)
    yield "data: [DONE]\n\n"


def _refused(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    wait = refusal.retry_after_seconds
    headers = {} if wait is None else {"retry-after": str(wait)}
    return _error(refusal, headers)


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path} is not served here"
    code = "not_found" if error.status_code == 404 else "bad_request"
    return _error(Refusal(error.status_code, code, message), dict(error.headers or {}))


def _broken(_request: Request, _bug: Exception) -> Response:
    return _error(Refusal(500, "internal_error", "The local gateway failed"), {})


def _error(refusal: Refusal, headers: dict[str, str]) -> Response:
    request_id = _request_id()
    envelope = ErrorEnvelope(error=refusal.error, request_id=request_id["x-request-id"])
    return _json(refusal.status_code, envelope, headers | request_id)


def _json(status: int, body: BaseModel, headers: dict[str, str] | None = None) -> Response:
    return Response(
        body.model_dump_json(exclude_unset=True),
        status_code=status,
        headers=headers or _request_id(),
        media_type="application/json",
    )


def _request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex[:26].upper()}"}
