"""httpx and pydantic with a dozen models: the least that a typed client could cost to start."""

from __future__ import annotations

from typing import Any, Literal

import httpx
from pydantic import BaseModel

from benchmarks.adapters.httpx_alone import Async as Async
from benchmarks.wordings import MODEL, Messages


class Part(BaseModel):
    type: Literal["text"] = "text"
    text: str


class Message(BaseModel):
    role: str
    content: str | list[Part] | None = None


class Function(BaseModel):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    type: Literal["function"] = "function"
    function: Function


class Params(BaseModel):
    model: str
    messages: list[Message]
    tools: list[Tool] | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class CalledFunction(BaseModel):
    name: str
    arguments: str


class ToolCall(BaseModel):
    id: str
    function: CalledFunction


class Answer(BaseModel):
    role: str
    content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(BaseModel):
    index: int
    message: Answer
    finish_reason: str | None = None


class Details(BaseModel):
    cached_tokens: int | None = None


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: Details | None = None


class Completion(BaseModel):
    id: str
    model: str
    created: int
    choices: list[Choice]
    usage: Usage | None = None


class Sync:
    """For threads."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/chat/completions"
        self._client = httpx.Client(headers={"authorization": "Bearer rsk_benchmark"})

    def ask(self, messages: Messages) -> str:
        params = Params.model_validate({"model": MODEL, "messages": messages})
        body = params.model_dump_json(exclude_unset=True)
        headers = {"content-type": "application/json"}
        response = self._client.post(self._url, content=body, headers=headers)
        answer = Completion.model_validate_json(response.raise_for_status().content)
        return str(answer.choices[0].message.content)

    def stream(self, messages: Messages) -> Any:
        raise NotImplementedError("Only the start is measured")
