"""What type checkers must see: both read this, and an ignore that is not needed is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never, assert_type

from pydantic import BaseModel, TypeAdapter
from starlette.responses import StreamingResponse
from typing_extensions import TypedDict

from meshapi import (
    APIStatusError,
    AsyncChatCompletionStream,
    AsyncMeshAPI,
    AsyncParsedCompletionStream,
    AsyncServerSentEvents,
    AsyncToolRunStream,
    ChatCompletionChunk,
    ChatCompletionDelta,
    ChatCompletionEvent,
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatCompletionResponse,
    ChatCompletionStream,
    ChatMessage,
    ClientTotals,
    ContentEvent,
    DoneEvent,
    FunctionTool,
    Hooks,
    MaxTurnsExceeded,
    MeshAPI,
    MeshAPIError,
    Meta,
    OutputParseError,
    ParsedCompletion,
    ParsedCompletionStream,
    ReasoningEvent,
    RefusalEvent,
    RequestHook,
    RequestInfo,
    ResponseFormatJSONSchema,
    ResponseInfo,
    RetryHook,
    RetryInfo,
    ServerSentEvents,
    Timeout,
    Tool,
    ToolCall,
    ToolCallEvent,
    ToolResult,
    ToolRun,
    ToolRunEvent,
    ToolRunStream,
    Totals,
    UsageEvent,
    UsageInfo,
    ValidationErrorDetail,
)

client = MeshAPI()
async_client = AsyncMeshAPI()
history: list[dict[str, str]] = [{"role": "user", "content": "Hi"}]


def hooks() -> None:
    async def send(response: ResponseInfo) -> None: ...

    def show(response: ResponseInfo) -> None: ...

    seen: list[object] = []
    AsyncMeshAPI(hooks=Hooks(on_response=send))
    MeshAPI(hooks=Hooks(on_response=show))
    client.with_options(hooks=None)
    Hooks(on_request=show)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # It is told of requests.
    Hooks(on_request=lambda request: seen.append(assert_type(request, RequestInfo)))
    Hooks(on_retry=lambda retry: seen.append(assert_type(retry.response, ResponseInfo)))
    assert_type(Hooks().on_request, RequestHook | None)
    assert_type(Hooks().on_response, Callable[[ResponseInfo], Awaitable[None] | None] | None)
    assert_type(Hooks().on_retry, RetryHook | None)


def told(request: RequestInfo, response: ResponseInfo, retry: RetryInfo) -> None:
    assert_type(request.idempotency_key, str | None)
    assert_type(response.request, RequestInfo)
    assert_type(response.status_code, int | None)
    assert_type(response.headers["x-request-id"], str)
    assert_type(response.error, type[MeshAPIError] | None)
    assert_type(response.code, str | int | None)
    assert_type(retry.response, ResponseInfo)
    assert_type(retry.wait, float)


def whole() -> None:
    assert_type(
        client.chat.completions.create(ChatCompletionParams(messages=[])), ChatCompletionResponse
    )
    assert_type(ChatCompletionParams(messages=[]), ChatCompletionParams)
    params = ChatCompletionParams(messages=history, stream=False)
    assert_type(client.chat.completions.create(params), ChatCompletionResponse)


def whole_from_a_parameter(params: ChatCompletionParams) -> None:
    assert_type(client.chat.completions.create(params), ChatCompletionResponse)


def streamed() -> None:
    params = ChatCompletionParams(messages=history, stream=True)
    assert_type(client.chat.completions.create(params), ChatCompletionStream)
    assert_type(
        client.chat.completions.create(ChatCompletionParams(messages=[], stream=True)),
        ChatCompletionStream,
    )


def either(flag: bool) -> None:
    params = ChatCompletionParams(messages=history, stream=flag)
    assert_type(
        client.chat.completions.create(params), ChatCompletionResponse | ChatCompletionStream
    )
    assert_type(client.chat.completions.stream(params), ChatCompletionStream)


async def async_twins(flag: bool) -> None:
    completions = async_client.chat.completions
    params = ChatCompletionParams(messages=history)
    assert_type(await completions.create(params), ChatCompletionResponse)
    streamed = ChatCompletionParams(messages=history, stream=True)
    assert_type(await completions.create(streamed), AsyncChatCompletionStream)
    unsure = ChatCompletionParams(messages=history, stream=flag)
    assert_type(
        await completions.create(unsure), ChatCompletionResponse | AsyncChatCompletionStream
    )
    assert_type(completions.stream(params), AsyncChatCompletionStream)
    async with completions.stream(params) as stream:
        assert_type(stream, AsyncChatCompletionStream)
        assert_type(stream.text_stream, AsyncIterator[str])
        async for chunk in stream:
            assert_type(chunk, ChatCompletionChunk)
        assert_type(await stream.final(), ChatCompletionResponse)


def what_a_stream_gives() -> None:
    with client.chat.completions.stream(ChatCompletionParams(messages=[])) as stream:
        assert_type(stream, ChatCompletionStream)
        assert_type(stream.text_stream, Iterator[str])
        for chunk in stream:
            assert_type(chunk, ChatCompletionChunk)
            assert_type(chunk.text, str)
            assert_type(chunk.choices[0].delta, ChatCompletionDelta)
        assert_type(stream.usage, UsageInfo | None)
        assert_type(stream.final(), ChatCompletionResponse)
        assert_type(stream.meta, Meta)


def what_events_tell(event: ChatCompletionEvent) -> None:
    if event.type == "content" or event.type == "reasoning" or event.type == "refusal":
        assert_type(event, ContentEvent | ReasoningEvent | RefusalEvent)
        assert_type(event.snapshot, str)
    elif event.type == "tool_call":
        assert_type(event, ToolCallEvent)
        assert_type(event.call_index, int)
        assert_type(event.parsed, dict[str, object])
    elif event.type == "usage":
        assert_type(event.usage, UsageInfo)
    else:
        assert_type(event, DoneEvent)


def what_a_match_tells(event: ChatCompletionEvent) -> str:
    match event:
        case ContentEvent(delta=text) | ReasoningEvent(delta=text) | RefusalEvent(delta=text):
            return text
        case ToolCallEvent():
            return event.name
        case UsageEvent(usage=usage):
            return str(usage.total_tokens)
        case DoneEvent(completion=completion):
            return completion.text
        case _:
            assert_never(event)


def frames(stream: ChatCompletionStream, async_stream: AsyncChatCompletionStream) -> None:
    assert_type(stream.events, Iterator[ChatCompletionEvent])
    assert_type(async_stream.events, AsyncIterator[ChatCompletionEvent])
    assert_type(stream.to_sse(), ServerSentEvents)
    assert_type(async_stream.to_sse(heartbeat=None), AsyncServerSentEvents)
    StreamingResponse(stream.to_sse(), media_type="text/event-stream")
    StreamingResponse(async_stream.to_sse(), media_type="text/event-stream")


async def what_frames_are(plain: ServerSentEvents, asynchronous: AsyncServerSentEvents) -> None:
    assert_type(next(plain), bytes)
    assert_type([frame async for frame in plain], list[bytes])
    assert_type([frame async for frame in asynchronous], list[bytes])


def a_message_is_never_none(completion: ChatCompletionResponse) -> None:
    assert_type(completion.choices[0].message, ChatCompletionMessage)
    assert_type(completion.text, str)
    assert_type(completion.usage, UsageInfo | None)
    assert completion.choices[0].message.content


def what_a_notebook_shows(completion: ChatCompletionResponse, message: ChatMessage) -> None:
    assert_type(completion._repr_markdown_(), str)
    assert_type(completion.choices[0].message._repr_markdown_(), str)
    assert_type(message._repr_markdown_(), str)


def messages_in_any_mix(completion: ChatCompletionResponse) -> None:
    ChatCompletionParams(
        messages=[
            ChatMessage(role="system", content="Be brief."),
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            completion.choices[0].message,
            *history,
        ]
    )
    answers = [choice.message for choice in completion.choices]
    ChatCompletionParams(messages=answers)
    ChatCompletionParams(messages=tuple(answers), tools=[{"function": {"name": "f"}}])


def options() -> None:
    params = ChatCompletionParams(messages=history)
    assert_type(client.with_options(timeout=3, max_retries=0), MeshAPI)
    assert_type(async_client.with_options(token="rsk_other"), AsyncMeshAPI)
    client.chat.completions.create(params, timeout=Timeout(idle=3), extra_body={"new": None})


def errors(error: APIStatusError) -> None:
    assert_type(error.status_code, int)
    assert_type(error.code, str | int | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.request_id, str | None)
    assert_type(error.details, list[ValidationErrorDetail])
    assert_type(error.partial, ChatCompletionResponse | None)
    assert_type(error.meta, Meta)


class Plan(BaseModel):
    title: str


@dataclass
class Point:
    x: int


class Place(TypedDict):
    city: str


def parsed_as_any_type(params: ChatCompletionParams) -> None:
    parse = client.chat.completions.parse
    assert_type(parse(params, Plan), ParsedCompletion[Plan])
    assert_type(parse(params, Plan).parsed, Plan)
    assert_type(parse(params, Plan).parsed.title, str)
    assert_type(parse(params, Point).parsed, Point)
    assert_type(parse(params, Place).parsed["city"], str)
    assert_type(parse(params, list[Plan]).parsed, list[Plan])
    assert_type(parse(params, dict[str, int]).parsed, dict[str, int])
    adapter: TypeAdapter[int | str] = TypeAdapter(int | str)
    assert_type(parse(params, adapter).parsed, int | str)
    assert_type(parse(params, Plan).text, str)
    assert_type(ResponseFormatJSONSchema.from_type(Plan), ResponseFormatJSONSchema)
    whole: list[ChatCompletionResponse] = [parse(params, Plan)]
    wider: list[ParsedCompletion[BaseModel]] = [parse(params, Plan)]
    assert whole
    assert wider


def parsed_as_a_stream(params: ChatCompletionParams) -> None:
    with client.chat.completions.parse_stream(params, Plan) as stream:
        assert_type(stream, ParsedCompletionStream[Plan])
        assert_type(stream.object_stream, Iterator[object])
        for chunk in stream:
            assert_type(chunk, ChatCompletionChunk)
        assert_type(stream.final(), ParsedCompletion[Plan])


async def parsed_async(params: ChatCompletionParams) -> None:
    completions = async_client.chat.completions
    assert_type(await completions.parse(params, Plan), ParsedCompletion[Plan])
    async with completions.parse_stream(params, list[Plan]) as stream:
        assert_type(stream, AsyncParsedCompletionStream[list[Plan]])
        assert_type(stream.object_stream, AsyncIterator[object])
        assert_type((await stream.final()).parsed, list[Plan])


def what_a_failed_parse_keeps(error: OutputParseError) -> None:
    assert_type(error.completion, ChatCompletionResponse)
    assert_type(error.raw_text, str)


def weather(city: str) -> str:
    return city


def note(call: ToolCall, error: Exception) -> None: ...


async def note_later(call: ToolCall, error: Exception) -> str | None: ...


def tools(params: ChatCompletionParams) -> None:
    assert_type(Tool.from_function(weather, strict=True), FunctionTool)
    run = client.chat.completions.run(
        params, tools=[weather, Tool.from_function(weather)], on_tool_error=note, timeout=3
    )
    assert_type(run, ToolRun)
    assert_type(run.messages, tuple[ChatMessage, ...])
    assert_type(run.completion, ChatCompletionResponse)
    assert_type(run.usage, UsageInfo | None)
    assert_type(run.pending[0].function.parsed_arguments, dict[str, object])
    run.params.messages = [*run.params.messages, {"role": "user", "content": "And then?"}]
    with client.chat.completions.run_stream(run.params, tools=[weather]) as stream:
        assert_type(stream, ToolRunStream)
        assert_type(stream.text_stream, Iterator[str])
        for event in stream:
            assert_type(event, ChatCompletionChunk | ToolResult)
        assert_type(stream.events, Iterator[ToolRunEvent])
        assert_type(stream.to_sse(), ServerSentEvents)
        assert_type(stream.final(), ToolRun)


async def async_tools(params: ChatCompletionParams[bool]) -> None:
    completions = async_client.chat.completions
    assert_type(
        await completions.run(params, tools=[async_tools], on_tool_error=note_later), ToolRun
    )
    stream = completions.run_stream(params, tools=[weather], on_tool_error=note)
    assert_type(stream, AsyncToolRunStream)
    assert_type(stream.text_stream, AsyncIterator[str])
    async for event in stream:
        assert_type(event, ChatCompletionChunk | ToolResult)
    async for step in stream.events:
        if step.type == "tool_result":
            assert_type(step, ToolResult)
    assert_type(stream.to_sse(), AsyncServerSentEvents)
    assert_type(await stream.final(), ToolRun)


def what_a_run_had_done(error: MeshAPIError, endless: MaxTurnsExceeded) -> None:
    assert_type(error.run, ToolRun | None)
    assert_type(endless.run, ToolRun)


def counted() -> None:
    totals = client.totals
    assert_type(totals, ClientTotals)
    assert_type(totals - totals, Totals)
    assert_type(totals.sessions["a"], Totals)
    assert_type(totals.errors[APIStatusError], int)
    assert_type(async_client.totals.cost, Decimal)


def mistakes() -> None:
    ChatCompletionParams(messages=history, mdoel="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    ChatCompletionParams()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no messages
    ChatCompletionParams(messages=history, temperature="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # text
    client.chat.completions.create(history)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # no params
    client.chat.completions.create(ChatCompletionParams(messages=[]), tiemout=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # misspelt
    client.totals.errors["RateLimitExceeded"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]  # a class
    client.with_options(hook=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    MeshAPI("rsk_positional")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keywords only
    completions, params = client.chat.completions, ChatCompletionParams(messages=[])
    completions.run(params, tools=["weather"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # no function
    completions.run(params, tools=[weather], on_tool_error=note_later)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # nobody awaits it
