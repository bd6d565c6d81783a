"""A chat in the browser: one page, and one endpoint that sends the model's answer on as it comes.

`python examples/web_chat/app.py --local` needs no key: a gateway in this process answers, nonsense.
Without `--local` it is the gateway that `MESHAPI_TOKEN` is a key of.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

import uvicorn
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from meshapi import (
    APIStatusError,
    AsyncChatCompletionStream,
    AsyncMeshAPI,
    ChatCompletionParams,
    ContextWindowExceeded,
    MeshAPIError,
    RateLimitExceeded,
    SpendLimitExceeded,
)
from meshapi.local import LocalGateway

PAGE = Path(__file__).with_name("index.html").read_text()
MOST_BYTES = 1024 * 1024  # The page knows it, too.
WORDS: Mapping[type[MeshAPIError], str] = {
    SpendLimitExceeded: "The budget for today is spent.",
    RateLimitExceeded: "Too many questions at once.",
    ContextWindowExceeded: "This conversation has become too long for the model.",
}
THIS_MACHINE = ("localhost", "127.0.0.1")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; connect-src 'self'; img-src data:; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'",
}


class Question(BaseModel):
    """What the user wrote."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user"]
    content: Annotated[str, Field(min_length=1, max_length=20_000)]


class Answer(BaseModel):
    """What the model answered; how long it may be, the model has decided."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["assistant"]
    content: Annotated[str, Field(min_length=1)]


class Conversation(BaseModel):
    """What a browser posts, without system prompts, tools or images; the server keeps nothing."""

    model_config = ConfigDict(extra="forbid")

    messages: Annotated[
        list[Annotated[Question | Answer, Field(discriminator="role")]], Field(min_length=1)
    ]


class Chat:
    """The endpoints."""

    def __init__(self, client: AsyncMeshAPI, model: str | None = None) -> None:
        """Ask this model, or the key's default."""
        self.client = client
        self.choice = {"model": model} if model else {}

    async def page(self, request: Request) -> Response:
        """The page, whole."""
        return HTMLResponse(PAGE, headers=HEADERS)

    async def answer(self, request: Request) -> Response:
        """The answer, as the model writes it."""
        conversation = Conversation.model_validate_json(await posted(request))
        params = ChatCompletionParams.model_validate({**conversation.model_dump(), **self.choice})
        stream = self.client.chat.completions.stream(params)
        await opened(stream, request)
        frames = stream.to_sse(on_error=told)
        return StreamingResponse(frames, media_type="text/event-stream", headers=HEADERS)


async def posted(request: Request) -> bytes:
    """The body, if it is JSON (which no page of another site can post) and not too long."""
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise HTTPException(415, "Post the conversation as application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "This conversation has become too long")
    return body


async def opened(stream: AsyncChatCompletionStream, request: Request) -> None:
    """Wait for the answer to begin, so that an error has its status; or for the browser to leave.

    Nobody else listens to the browser until the response begins, and a model may think for long.
    """
    opening = asyncio.ensure_future(stream.__aenter__())
    leaving = asyncio.ensure_future(request.receive())
    left = True  # Also if this is cancelled.
    try:
        await asyncio.wait([opening, leaving], return_when=asyncio.FIRST_COMPLETED)
        left = not opening.done()
    finally:
        leaving.cancel()
        if left:
            await stream.close()
        await asyncio.wait([opening, leaving])
    await opening


def told(error: MeshAPIError) -> str:
    """What the user reads of an error; what the gateway said of it is for the log."""
    logging.getLogger(__name__).warning("No answer, or half of one: %s", error)
    return WORDS.get(type(error), "The model failed. Please try again.")


async def failed(request: Request, error: Exception) -> Response:
    """What went wrong before the answer began, in the form that it has in a stream."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # Nobody reads it.
    if isinstance(error, ValidationError):
        return refusal(422, "invalid_conversation", error.errors()[0]["msg"])
    if isinstance(error, HTTPException):
        code = HTTPStatus(error.status_code).name.lower()
        return refusal(error.status_code, code, error.detail)
    assert isinstance(error, MeshAPIError)
    if not isinstance(error, APIStatusError):
        return refusal(502, "gateway_unreachable", told(error), error)
    return refusal(error.status_code, error.code or "refused", told(error), error)


def refusal(
    status: int, code: str | int, message: str, error: MeshAPIError | None = None
) -> Response:
    """An error as JSON."""
    wait = {"retry_after_seconds": error.retry_after} if error and error.retry_after else {}
    body = {"code": code, "message": message, **wait}
    request_id = error.request_id if error else None
    return JSONResponse({"error": body, "request_id": request_id}, status, headers=HEADERS)


def make_app(
    client: AsyncMeshAPI, model: str | None = None, hosts: Sequence[str] = THIS_MACHINE
) -> Starlette:
    """The app around a client, by these names only: another that leads here is another site's."""
    chat = Chat(client, model)
    handled = (MeshAPIError, ValidationError, HTTPException, ClientDisconnect)
    return Starlette(
        routes=[Route("/", chat.page), Route("/answer", chat.answer, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers=dict.fromkeys(handled, failed),
    )


def main() -> None:
    """Serve it on this machine."""
    parser = argparse.ArgumentParser(description="A chat in the browser")
    parser.add_argument("--local", action="store_true", help="ask a gateway that needs no key")
    parser.add_argument("--model", help="the model to ask; the key's default unless given")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--host-name", action="append", default=[*THIS_MACHINE], help="another name to be asked by"
    )
    asked = parser.parse_args()
    with ExitStack() as stack:
        client = AsyncMeshAPI() if not asked.local else local_client(stack)
        print(f"Open http://127.0.0.1:{asked.port}")
        app = make_app(client, asked.model, asked.host_name)
        uvicorn.run(app, port=asked.port, log_level="warning")


def local_client(stack: ExitStack) -> AsyncMeshAPI:
    """A client of a gateway that runs as long as the app does."""
    gateway = stack.enter_context(LocalGateway(tokens_per_second=20))
    return AsyncMeshAPI(base_url=gateway.base_url, token=gateway.token)


if __name__ == "__main__":
    main()
