"""Runs of tools: the model calls, functions answer, until it is done; whole and streamed."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, TypeAlias, cast

import pytest

from meshapi import (
    AsyncMeshAPI,
    AsyncToolRunStream,
    ChatCompletionChunk,
    ChatCompletionParams,
    ChatMessage,
    ConfigurationError,
    FunctionTool,
    InvalidRequest,
    InvalidResponse,
    MaxTurnsExceeded,
    MeshAPI,
    MeshAPIError,
    ServerError,
    StreamInterrupted,
    Tool,
    ToolCall,
    ToolFunction,
    ToolResult,
    ToolRun,
    ToolRunEvent,
    ToolRunStream,
    UsageInfo,
)
from meshapi.local import LocalGateway
from tests.colours import AnyRunStream, Client, Sync
from tests.pools import in_use
from tests.wire_server import CHUNKED, WireServer, http_chunk, response

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
OWN: dict[str, Any] = {"type": "function", "function": {"name": "own"}}
Event: TypeAlias = ChatCompletionChunk | ToolResult


@pytest.fixture
def model() -> LocalGateway:
    """A gateway whose model says what the test lays down, without a socket."""
    return LocalGateway(answers="script")


def weather(city: str, days: int = 1) -> dict[str, object]:
    """Tell the weather."""
    if city == "Atlantis":
        raise ValueError("no such city")
    return {"city": city, "days": days}


async def clock() -> str:
    """Tell the time."""
    await asyncio.sleep(0)
    return "noon"


def call(name: str, **arguments: object) -> dict[str, object]:
    return {"name": name, "arguments": arguments}


def run(
    colour: Sync,
    model: LocalGateway,
    tools: Sequence[Callable[..., object] | FunctionTool],
    params: Any = QUESTION,
    **options: Any,
) -> ToolRun:
    client = colour.in_process(model, max_retries=0)
    return colour.settle(client.chat.completions.run(params, tools=tools, **options))


def stream(
    client: Client, tools: Sequence[Callable[..., object]], params: Any = QUESTION, **options: Any
) -> AnyRunStream:
    return client.chat.completions.run_stream(params, tools=tools, **options)


def take(colour: Sync, stream: AnyRunStream, count: int | None = None) -> list[Event]:
    """Read so many events, or all, and leave by `break`."""
    taken: list[Event] = []
    if isinstance(stream, ToolRunStream):
        for event in stream:
            taken.append(event)
            if len(taken) == count:
                break
        return taken

    async def collected() -> list[Event]:
        async for event in stream:
            taken.append(event)
            if len(taken) == count:
                break
        return taken

    return colour.settle(collected())


def sent(model: LocalGateway) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", each.json()) for each in model.requests]


def told(run: ToolRun) -> list[Any]:
    """What the model was told of its calls."""
    return [each.content for each in run.messages if each.role == "tool"]


def test_functions_are_called_until_the_model_is_done(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=[call("weather", city="Oslo"), call("clock")])
    model.reply(tool_calls=[call("weather", city="Rome", days=2)])
    model.reply("Sunny.")

    done = run(colour, model, [weather, clock])

    assert done.text == done.completion.text == "Sunny."
    assert [each.role for each in done.messages] == [
        *("user", "assistant", "tool", "tool", "assistant", "tool", "assistant"),
    ]
    assert told(done) == ['{"city":"Oslo","days":1}', "noon", '{"city":"Rome","days":2}']
    assert len(done.completions) == 3
    assert done.pending == ()
    first, second, third = sent(model)
    assert [each["function"]["name"] for each in first["tools"]] == ["weather", "clock"]
    assert first["messages"] == [{"role": "user", "content": "Hi"}]
    assert second["messages"][1]["tool_calls"][0]["function"]["name"] == "weather"
    assert second["messages"][2] == {
        "role": "tool",
        "name": "weather",
        "tool_call_id": second["messages"][1]["tool_calls"][0]["id"],
        "content": '{"city":"Oslo","days":1}',
    }
    assert third["messages"] == [each.model_dump(exclude_unset=True) for each in done.messages[:-1]]


def test_a_run_is_ready_to_go_on_with_and_leaves_the_params_as_they_were(
    colour: Sync, model: LocalGateway
) -> None:
    params = QUESTION.model_copy(update={"tools": [OWN], "temperature": 0.5})
    before = params.model_copy(deep=True)
    model.reply(tool_calls=[call("clock")])
    model.reply("Noon.")
    model.reply("Bye.")

    first = run(colour, model, [clock], params)
    first.params.messages = [*first.params.messages, {"role": "user", "content": "And now?"}]
    second = run(colour, model, [clock], first.params)

    assert params == before
    assert first.params.tools == params.tools
    assert first.params.temperature == 0.5
    assert second.text == "Bye."
    assert second.messages[:4] == first.messages
    assert all(isinstance(each, ChatMessage) for each in second.messages)


def test_a_run_pickles_and_shows_itself_briefly(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=[call("clock"), call("own")])

    done = run(colour, model, [clock], QUESTION.model_copy(update={"tools": [OWN]}))

    assert pickle.loads(pickle.dumps(done)) == done
    assert repr(done) == "ToolRun(messages=3, completions=1, text='', pending=['own'])"


def test_a_whole_question_says_nothing_of_streams(colour: Sync, model: LocalGateway) -> None:
    params = QUESTION.model_copy(
        update={"stream": True, "stream_options": {"include_usage": True}, "temperature": 0.5}
    )
    model.reply("Hi.", times=2)

    done = run(colour, model, [clock], params)
    take(colour, stream(colour.in_process(model), [clock], params))

    whole, streamed = sent(model)
    assert not {"stream", "stream_options"} & whole.keys()
    assert whole["temperature"] == 0.5
    assert streamed["stream_options"] == {"include_usage": True}
    assert done.params.stream


@pytest.mark.parametrize("streams", [True, False])
def test_it_does_not_matter_what_the_params_say_of_streams(
    colour: Sync, model: LocalGateway, streams: bool
) -> None:
    model.reply("Hi.", times=2)
    params = QUESTION.model_copy(update={"stream": streams})

    whole = run(colour, model, [clock], params)
    streamed = stream(colour.in_process(model), [clock], params)

    assert whole.text == "Hi."
    assert colour.settle(streamed.final()).text == "Hi."
    assert [bool(each.get("stream")) for each in sent(model)] == [False, True]


@dataclass
class Span:
    days: int
    since: date


RESULTS: list[tuple[object, str]] = [
    ("as it is", "as it is"),
    ("", ""),
    (None, "null"),
    (True, "true"),
    ({"a": [1.5, "é"]}, '{"a":[1.5,"é"]}'),
    (Span(2, date(2025, 1, 2)), '{"days":2,"since":"2025-01-02"}'),
    (UsageInfo(total_tokens=3, cost=Decimal("0.1")).cost, '"0.1"'),
    ("half \ud83d", "half ?"),
    (float("nan"), "ValueError: The result has no form in JSON: NaN is no number there"),
]


@pytest.mark.parametrize(("result", "text"), RESULTS, ids=lambda value: ascii(value)[:20])
def test_a_result_is_told_as_text_or_json(
    colour: Sync, model: LocalGateway, result: object, text: str
) -> None:
    def give() -> object:
        return result

    model.reply(tool_calls=["give"])
    model.reply("Done.")

    assert told(run(colour, model, [give])) == [text]


def test_a_result_without_a_form_in_json_is_an_error_of_its_function(
    colour: Sync, model: LocalGateway
) -> None:
    def give() -> object:
        return object()

    errors: list[Exception] = []

    def hook(_call: ToolCall, error: Exception) -> None:
        errors.append(error)

    model.reply(tool_calls=["give"])
    model.reply("Done.")
    done = run(colour, model, [give], on_tool_error=hook)

    (error,) = errors
    assert type(error) is ValueError
    assert str(error).startswith("The result has no form in JSON: Unable to serialize")
    assert told(done) == [f"ValueError: {error}"]


def test_what_a_function_raises_is_told_to_the_model_and_to_the_hook(
    colour: Sync, model: LocalGateway
) -> None:
    def silent() -> None:
        raise RuntimeError

    heard: list[tuple[str, str]] = []

    def hook(call: ToolCall, error: Exception) -> str | None:
        heard.append((call.function.name, repr(error)))
        return "Try another." if call.function.name == "weather" else None

    model.reply(tool_calls=[call("silent"), call("weather", city="Atlantis"), call("clock")])
    model.reply("Sorry.", times=2)
    done = run(colour, model, [weather, clock, silent], on_tool_error=hook)
    model.reply(tool_calls=[call("weather", city="Atlantis")])
    model.reply("Sorry.", times=2)
    without = run(colour, model, [weather])

    assert told(done) == ["RuntimeError", "Try another.", "noon"]
    assert heard == [
        ("silent", "RuntimeError()"),
        ("weather", "ValueError('no such city')"),
    ]
    assert without.text == "Sorry."


@pytest.mark.parametrize("kind", [LookupError, StopIteration, StopAsyncIteration, TimeoutError])
def test_a_function_may_raise_anything(
    colour: Sync, model: LocalGateway, kind: type[Exception]
) -> None:
    def break_down() -> None:
        raise kind("no")

    model.reply(tool_calls=["break_down", "break_down"])
    model.reply("Sorry.")

    assert told(run(colour, model, [break_down])) == [f"{kind.__name__}: no"] * 2


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise LookupError


def test_an_error_without_words_is_told_by_its_name(colour: Sync, model: LocalGateway) -> None:
    def break_down() -> None:
        raise Unspeakable

    model.reply(tool_calls=["break_down"])
    model.reply("Sorry.")

    assert told(run(colour, model, [break_down])) == ["Unspeakable"]


def plainly_cancelled() -> None:
    raise asyncio.CancelledError


async def cancelled() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def cancelling_itself() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(60)


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("function", [plainly_cancelled, cancelled, cancelling_itself])
def test_a_function_that_is_cancelled_alone_failed_like_any_other(
    colour: Sync, model: LocalGateway, function: Callable[..., object], together: int
) -> None:
    errors: list[Exception] = []

    def hook(_call: ToolCall, error: Exception) -> None:
        errors.append(error)

    tool = Tool.from_function(function, name="f")
    model.reply(tool_calls=["f"] * together)
    model.reply("Sorry.")

    done = run(colour, model, [tool], on_tool_error=hook)

    assert told(done) == ["CancelledError"] * together
    assert [type(each) for each in errors] == [CancelledError] * together


def test_a_hook_of_an_async_run_may_be_async(model: LocalGateway) -> None:
    async def hook(call: ToolCall, error: Exception) -> str:
        await asyncio.sleep(0)
        return f"{call.function.name}: {error}!"

    async def main() -> ToolRun:
        async with model.async_client() as client:
            return await client.chat.completions.run(QUESTION, tools=[weather], on_tool_error=hook)

    model.reply(tool_calls=[call("weather", city="Atlantis")])
    model.reply("Sorry.")

    assert told(asyncio.run(main())) == ["weather: no such city!"]


class Enough(Exception):
    """A hook's own."""


def test_what_a_hook_raises_ends_the_run(colour: Sync, model: LocalGateway) -> None:
    def hook(call: ToolCall, error: Exception) -> str:
        raise Enough

    model.reply(tool_calls=[call("weather", city="Atlantis"), call("clock")])

    with pytest.raises(Enough):
        run(colour, model, [weather, clock], on_tool_error=hook)

    assert len(model.requests) == 1


def test_a_hook_that_gives_no_text_ends_the_run_with_what_was_done(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply(tool_calls=[call("clock"), call("weather", city="Atlantis")])

    def hook(_call: ToolCall, _error: Exception) -> int:
        return 5

    with pytest.raises(InvalidRequest, match="must return text or None, not int") as caught:
        run(colour, model, [weather, clock], on_tool_error=hook)

    assert caught.value.run is not None
    assert told(caught.value.run) == ["noon"]
    assert [each.function.name for each in caught.value.run.pending] == ["weather"]


def test_a_call_that_ended_well_is_not_run_again_after_a_hook_ended_the_run(
    colour: Sync, model: LocalGateway
) -> None:
    counts: list[int] = []
    counted = threading.Event()

    def count(number: int) -> int:
        counts.append(number)
        counted.set()
        return number

    def fail() -> None:
        assert counted.wait(10)
        raise ValueError

    def hook(_call: ToolCall, _error: Exception) -> str:
        raise InvalidRequest("Enough.")

    model.reply(tool_calls=[call("fail"), call("count", number=1)])
    model.reply("Done.")
    with pytest.raises(InvalidRequest) as caught:
        run(colour, model, [count, fail], on_tool_error=hook)
    assert caught.value.run is not None
    done = run(colour, model, [count, fail], caught.value.run.params)

    assert [each.function.name for each in caught.value.run.pending] == ["fail"]
    assert told(done) == ["1", "ValueError"]
    assert counts == [1]


def test_a_call_that_is_wrong_is_told_and_not_run(colour: Sync, model: LocalGateway) -> None:
    heard: list[Exception] = []

    def hook(_call: ToolCall, error: Exception) -> None:
        heard.append(error)

    model.reply(
        tool_calls=[
            call("weather", town="Oslo"),
            {"name": "weather", "arguments": "{"},
            {"name": "weather", "arguments": '{"city": NaN}'},
            call("whether", city="Oslo"),
        ]
    )
    model.reply("Sorry.")
    client = colour.in_process(model)
    events = stream(client, [weather, clock], on_tool_error=hook)
    results = [each for each in take(colour, events) if isinstance(each, ToolResult)]

    assert [each.content for each in results] == [
        "The arguments of weather do not fit: city: Field required; "
        "town: Extra inputs are not permitted",
        "The arguments of weather are no JSON: EOF while parsing an object at line 1 column 1",
        "The arguments of weather are no JSON: expected value at line 1 column 10",
        "There is no tool 'whether', only: weather, clock",
    ]
    assert all(isinstance(each.error, InvalidResponse) for each in results)
    assert heard == []


def test_calls_of_one_answer_run_at_the_same_time(colour: Sync, model: LocalGateway) -> None:
    together = threading.Barrier(16, timeout=10)

    def meet(number: int) -> int:
        together.wait()
        return number

    model.reply(tool_calls=[call("meet", number=number) for number in range(16)])
    model.reply("Met.")

    assert told(run(colour, model, [meet])) == [str(number) for number in range(16)]


def test_an_abandoned_function_does_not_hold_up_the_loop(model: LocalGateway) -> None:
    begun, release = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return release.wait(20)

    async def main() -> None:
        async with model.async_client() as client:
            task = asyncio.create_task(client.chat.completions.run(QUESTION, tools=[wait]))
            while not begun.is_set():  # noqa: ASYNC110  # It is another thread that tells.
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    model.reply(tool_calls=["wait"])
    started = time.monotonic()
    asyncio.run(main())
    took = time.monotonic() - started
    release.set()

    assert took < 10


def test_async_calls_of_one_answer_run_at_the_same_time(colour: Sync, model: LocalGateway) -> None:
    in_threads = threading.Barrier(2, timeout=10)
    in_loop = asyncio.Barrier(2)

    async def meet() -> bool:
        if colour.name == "sync":
            in_threads.wait()
        else:
            async with asyncio.timeout(10):
                await in_loop.wait()
        return True

    model.reply(tool_calls=["meet", "meet"])
    model.reply("Met.")

    assert told(run(colour, model, [meet])) == ["true", "true"]


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args: object) -> object:
        return function(*args)

    return wrapper


class Clock:
    async def __call__(self) -> str:
        return await clock()


@pytest.mark.parametrize(
    "function", [clock, wrapped(clock), functools.partial(clock), Clock()], ids=str
)
def test_whatever_is_async_is_awaited(
    colour: Sync, model: LocalGateway, function: Callable[..., object]
) -> None:
    model.reply(tool_calls=["f"])
    model.reply("Done.")

    assert told(run(colour, model, [Tool.from_function(function, name="f")])) == ["noon"]


def test_an_async_function_runs_in_the_loop_of_an_async_run(model: LocalGateway) -> None:
    homes: list[object] = []

    async def where() -> bool:
        return asyncio.get_running_loop() in homes

    async def main() -> ToolRun:
        homes.append(asyncio.get_running_loop())
        async with model.async_client() as client:
            return await client.chat.completions.run(QUESTION, tools=[where])

    model.reply(tool_calls=["where", "where"])
    model.reply("Done.")

    assert told(asyncio.run(main())) == ["true", "true"]


def test_a_sync_run_calls_async_functions_where_a_loop_is_running(model: LocalGateway) -> None:
    async def main() -> ToolRun:
        return model.client().chat.completions.run(QUESTION, tools=[clock])

    model.reply(tool_calls=["clock"])
    model.reply("Done.")

    assert told(asyncio.run(main())) == ["noon"]


WHO = contextvars.ContextVar("WHO", default="nobody")


def test_functions_see_the_context_of_their_run(colour: Sync, model: LocalGateway) -> None:
    def plain() -> str:
        return WHO.get()

    async def later() -> str:
        return WHO.get()

    model.reply(tool_calls=["plain"])
    model.reply(tool_calls=["later"])
    model.reply(tool_calls=["plain", "later"])
    model.reply("Done.")
    client = colour.in_process(model)

    async def asked() -> ToolRun:
        WHO.set("me")
        given: Any = client.chat.completions.run(QUESTION, tools=[plain, later])
        return cast("ToolRun", await given if isinstance(client, AsyncMeshAPI) else given)

    done = asyncio.run(asked())

    assert told(done) == ["me"] * 4


def test_a_tool_of_the_callers_own_ends_the_run_with_its_call_pending(
    colour: Sync, model: LocalGateway
) -> None:
    params = QUESTION.model_copy(update={"tools": [OWN]})
    model.reply(tool_calls=["clock", call("own", x=1)])
    model.reply("Done.")

    first = run(colour, model, [clock], params)
    (pending,) = first.pending
    answer = {"role": "tool", "tool_call_id": pending.id, "content": "mine"}
    with pytest.raises(InvalidRequest, match=f"a call of own, .* tool_call_id is '{pending.id}'"):
        run(colour, model, [clock], first.params)
    first.params.messages = [*first.params.messages, answer]
    second = run(colour, model, [clock], first.params)

    assert told(first) == ["noon"]
    assert pending.function.parsed_arguments == {"x": 1}
    assert told(second) == ["noon", "mine"]
    assert (second.text, second.pending) == ("Done.", ())
    assert [each["function"]["name"] for each in sent(model)[0]["tools"]] == ["own", "clock"]


def test_a_run_without_functions_ends_at_its_first_call(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=["own"])

    done = run(colour, model, [], QUESTION.model_copy(update={"tools": [OWN]}))

    assert [each.function.name for each in done.pending] == ["own"]


def counting(counts: list[int]) -> Callable[..., object]:
    def count(number: int) -> int:
        counts.append(number)
        return number

    return count


def test_a_run_is_bounded_and_can_be_taken_up_where_it_ended(
    colour: Sync, model: LocalGateway
) -> None:
    counts: list[int] = []
    for number in range(3):
        model.reply(tool_calls=[call("count", number=number)])
    model.reply("Counted.")

    with pytest.raises(MaxTurnsExceeded, match=r"still calls count .*: max_turns is 2") as caught:
        run(colour, model, [counting(counts)], max_turns=2)
    error = pickle.loads(pickle.dumps(caught.value))

    assert error.request_id == error.run.completion.meta.request_id
    assert (counts, len(error.run.completions)) == ([0], 2)
    assert [each.function.parsed_arguments for each in error.run.pending] == [{"number": 1}]
    done = run(colour, model, [counting(counts)], error.run.params, max_turns=2)
    assert (counts, done.text) == ([0, 1, 2], "Counted.")


def test_the_last_turn_may_end_with_calls_of_the_callers_own(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply(tool_calls=["clock", "own"])

    done = run(colour, model, [clock], QUESTION.model_copy(update={"tools": [OWN]}), max_turns=1)

    assert told(done) == ["noon"]


@pytest.mark.parametrize("streams", [True, False])
def test_an_error_carries_what_was_done_so_that_it_is_not_done_again(
    colour: Sync, model: LocalGateway, streams: bool
) -> None:
    def ask(params: Any = QUESTION) -> ToolRun:
        if streams:
            client = colour.in_process(model, max_retries=0)
            return colour.settle(stream(client, [counting(counts)], params).final())
        return run(colour, model, [counting(counts)], params)

    counts: list[int] = []
    model.reply(tool_calls=[call("count", number=number) for number in (1, 2)])
    model.fail(500)
    model.fail(500)
    model.reply("Counted.")

    with pytest.raises(ServerError) as caught:
        ask()
    assert caught.value.run is not None
    assert told(caught.value.run) == ["1", "2"]
    with pytest.raises(ServerError) as again:
        ask(caught.value.run.params)
    assert again.value.run is None
    assert ask(caught.value.run.params).text == "Counted."
    assert sorted(counts) == [1, 2]


def test_an_error_carries_the_calls_that_were_taken_up_before_it(
    colour: Sync, model: LocalGateway
) -> None:
    counts: list[int] = []
    model.reply(tool_calls=[call("count", number=1)])
    model.fail(500)
    with pytest.raises(MaxTurnsExceeded) as caught:
        run(colour, model, [counting(counts)], max_turns=1)

    with pytest.raises(ServerError) as failed:
        run(colour, model, [counting(counts)], caught.value.run.params)

    assert failed.value.run is not None
    assert told(failed.value.run) == ["1"]
    assert failed.value.run.completions == ()
    assert (failed.value.run.text, failed.value.run.usage) == ("", None)


def test_only_the_calls_without_an_answer_are_taken_up(colour: Sync, model: LocalGateway) -> None:
    counts: list[int] = []
    calls = [
        {"id": name, "function": {"name": "count", "arguments": f'{{"number": {number}}}'}}
        for number, name in enumerate(["a", "b", "a"])
    ]
    params = ChatCompletionParams(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": "0"},
        ]
    )
    model.reply("Counted.")

    done = run(colour, model, [counting(counts)], params)

    assert sorted(counts) == [1, 2]
    assert told(done) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "clock"}}], ids=str
)
def test_a_forced_choice_holds_for_the_first_question(
    colour: Sync, model: LocalGateway, choice: object
) -> None:
    params = QUESTION.model_copy(update={"tool_choice": choice})
    model.reply(tool_calls=["clock"])
    model.reply("Noon.")

    done = run(colour, model, [clock], params)

    assert [each["tool_choice"] for each in sent(model)] == [choice, "auto"]
    assert done.params.tool_choice == params.tool_choice


def test_a_choice_that_forces_nothing_stays(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=["clock"], times=1)
    model.reply("Noon.")

    run(colour, model, [clock], QUESTION.model_copy(update={"tool_choice": "auto"}))

    assert [each["tool_choice"] for each in sent(model)] == ["auto", "auto"]


def test_a_model_that_calls_though_it_must_not_ends_the_run(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply(tool_calls=["clock"])

    done = run(colour, model, [clock], QUESTION.model_copy(update={"tool_choice": "none"}))

    assert [each.function.name for each in done.pending] == ["clock"]
    assert told(done) == []
    assert len(model.requests) == 1


def test_a_call_in_the_middle_of_a_conversation_wants_its_answer(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply(tool_calls=[call("clock"), call("clock")], finish_reason="length")
    model.reply("Bye.")
    cut = run(colour, model, [clock])
    first, second = cut.pending
    more = {"role": "user", "content": "Go on."}
    answers = [
        {"role": "tool", "tool_call_id": each.id, "content": "cut"} for each in (first, second)
    ]

    for answered, left in (([], first), (answers[:1], second), (answers[1:], first)):
        cut.params.messages = [*cut.messages, *answered, more]
        with pytest.raises(InvalidRequest, match=f"add a tool message .* is '{left.id}'"):
            run(colour, model, [clock], cut.params)
    assert len(model.requests) == 1
    cut.params.messages = [*cut.messages, *answers, more]
    assert run(colour, model, [clock], cut.params).text == "Bye."


def test_each_question_has_its_own_idempotency_key(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=["clock"])
    model.reply("Noon.")

    done = run(colour, model, [clock], idempotency_key="key")
    model.reply("Bye.")
    done.params.messages = [*done.params.messages, {"role": "user", "content": "And?"}]
    run(colour, model, [clock], done.params, idempotency_key="key")

    keys = [each.headers["idempotency-key"] for each in model.requests]
    assert keys == ["key-1", "key-2", "key-3"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no tools": ({"tools": []}, "A run needs tools"),
    "a function instead of a list": ({"tools": clock}, "must be a list of functions"),
    "what is no function": ({"tools": ["clock"]}, "must be a function, not str"),
    "a tool without a function": (
        {"tools": [Tool(function=ToolFunction(name="f"))]},
        r"belongs into params\.tools",
    ),
    "a function tool without one": (
        {"tools": [FunctionTool(function=ToolFunction(name="f"))]},
        "make it with Tool.from_function",
    ),
    "two of a name": ({"tools": [clock, clock]}, "Two tools are called clock"),
    "one of the caller's names": (
        {
            "tools": [Tool.from_function(clock, name="own")],
            "params": QUESTION.model_copy(update={"tools": [OWN]}),
        },
        "Two tools are called own",
    ),
    "a lambda": ({"tools": [lambda: 1]}, "give name="),
    "no turns": ({"max_turns": 0}, "max_turns must be a whole number, 1 or more"),
    "half a turn": ({"max_turns": 1.5}, "max_turns must be a whole number"),
    "no params": ({"params": {"messages": []}}, "Pass ChatCompletionParams"),
    "tools in the extra body": ({"extra_body": {"tools": []}}, "Set tools on the params"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_refused_before_anything_is_sent(
    colour: Sync, model: LocalGateway, arguments: dict[str, Any], words: str
) -> None:
    options: dict[str, Any] = {"tools": [clock], "params": QUESTION, **arguments}

    with pytest.raises(InvalidRequest, match=words) as caught:
        run(colour, model, **options)
    with pytest.raises(InvalidRequest, match=words):
        stream(colour.in_process(model), **options)

    assert caught.value.run is None
    assert not model.requests


async def note_later(_call: ToolCall, _error: Exception) -> None: ...


LATE: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a timeout": ({"timeout": -1}, ConfigurationError, "limit total must be"),
    "retries": ({"max_retries": -1}, ConfigurationError, "max_retries"),
    "headers": ({"headers": {"a b": "c"}}, ConfigurationError, "A header's name"),
    "a key": ({"idempotency_key": "a b"}, InvalidRequest, "idempotency_key must be"),
    "what is no body": ({"extra_body": 5}, InvalidRequest, "extra_body must be a mapping"),
    "no JSON": ({"extra_body": {"x": object()}}, InvalidRequest, "no form in JSON"),
    "no option": ({"bogus": 1}, TypeError, "unexpected option 'bogus'"),
    "a hook that is none": ({"on_tool_error": 5}, InvalidRequest, "must be a function, not int"),
}


@pytest.mark.parametrize(("options", "kind", "words"), LATE.values(), ids=LATE)
def test_options_are_looked_at_before_a_function_runs(
    colour: Sync, model: LocalGateway, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    counts: list[int] = []
    calls = [{"id": "a", "function": {"name": "count", "arguments": '{"number": 1}'}}]
    messages: list[Any] = [{"role": "assistant", "tool_calls": calls}]
    params = ChatCompletionParams(messages=messages)

    with pytest.raises(kind, match=words):
        run(colour, model, [counting(counts)], params, **options)
    with pytest.raises(kind, match=words):
        stream(colour.in_process(model), [counting(counts)], params, **options)

    assert not counts
    assert not model.requests


def test_a_sync_run_takes_no_async_hook(model: LocalGateway) -> None:
    hook: Any = note_later

    with pytest.raises(InvalidRequest, match="on_tool_error must be a plain function"):
        model.client().chat.completions.run(QUESTION, tools=[clock], on_tool_error=hook)

    assert not model.requests


def test_the_options_of_a_run_are_those_of_each_question(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=["clock"])
    model.reply("Noon.")

    run(colour, model, [clock], headers={"x-who": "me"}, extra_body={"new": 1}, timeout=20)

    assert [each.headers["x-who"] for each in model.requests] == ["me", "me"]
    assert [each["new"] for each in sent(model)] == [1, 1]


def test_a_call_that_names_no_type_is_one_of_a_function(colour: Sync) -> None:
    calls = '[{"id": "a", "type": "", "function": {"name": "clock"}}]'
    first = f'{{"choices": [{{"message": {{"tool_calls": {calls}}}}}]}}'
    last = '{"choices": [{"message": {"content": "Hi"}}]}'
    with WireServer(response(first), response(last)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        done = colour.settle(client.chat.completions.run(QUESTION, tools=[clock]))
        colour.settle(client.close())

    assert told(done) == ["noon"]


def test_usage_is_that_of_all_questions(colour: Sync) -> None:
    usage = (
        '{"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "cost": 0.5, '
        '"is_byok": false, "prompt_tokens_details": {"cached_tokens": 3}}'
    )
    calls = '[{"id": "a", "function": {"name": "clock"}}]'
    first = f'{{"choices": [{{"message": {{"tool_calls": {calls}}}}}], "usage": {usage}}}'
    last = f'{{"choices": [{{"message": {{"content": "Hi"}}}}], "usage": {usage}, "cost": 9}}'
    uncounted = '{"choices": [{"message": {"content": "Hi"}}]}'
    with WireServer(response(first), response(last), response(uncounted)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        runs = [
            colour.settle(client.chat.completions.run(QUESTION, tools=[clock])) for _ in range(2)
        ]
        colour.settle(client.close())

    assert runs[0].usage is not None
    assert runs[0].usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 20,
        "completion_tokens": 4,
        "total_tokens": 24,
        "cost": Decimal("1.0"),
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 6},
    }
    assert runs[1].usage is None


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_cut_is_returned_and_its_calls_are_not_run(
    colour: Sync, model: LocalGateway, reason: str
) -> None:
    counts: list[int] = []
    model.reply(tool_calls=[call("count", number=1)], finish_reason=reason)

    done = run(colour, model, [counting(counts)])

    assert done.completion.choices[0].finish_reason == reason
    assert [each.function.name for each in done.pending] == ["count"]
    assert counts == []


@pytest.mark.parametrize("body", ['{"choices": []}', '{"choices": [{"message": null}]}'])
def test_an_answer_that_says_nothing_ends_the_run(colour: Sync, body: str) -> None:
    with WireServer(response(body)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        done = colour.settle(client.chat.completions.run(QUESTION, tools=[clock]))
        colour.settle(client.close())

    assert done.text == ""


class Stop(BaseException):
    """Not an error."""


@pytest.mark.parametrize("together", [1, 2])
def test_what_is_no_error_ends_the_run(colour: Sync, model: LocalGateway, together: int) -> None:
    def stop() -> None:
        raise Stop

    model.reply(tool_calls=["stop"] * together)

    with pytest.raises(Stop):
        run(colour, model, [stop])

    assert len(model.requests) == 1


def test_a_cancelled_run_cancels_its_functions(model: LocalGateway) -> None:
    ended: list[str] = []

    async def wait(who: str) -> None:
        begun.release()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(who)

    async def main() -> None:
        async with model.async_client() as client:
            task = asyncio.create_task(client.chat.completions.run(QUESTION, tools=[wait]))
            for _ in range(2):
                await begun.acquire()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(asyncio.all_tasks()) == 1

    begun = asyncio.Semaphore(0)
    model.reply(tool_calls=[call("wait", who="a"), call("wait", who="b")])
    asyncio.run(main())

    assert sorted(ended) == ["a", "b"]


def test_a_hook_that_ends_an_async_run_leaves_no_task(model: LocalGateway) -> None:
    ended: list[bool] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    def hook(_call: ToolCall, _error: Exception) -> str:
        raise Enough

    async def main() -> None:
        async with model.async_client() as client:
            with pytest.raises(Enough):
                await client.chat.completions.run(
                    QUESTION, tools=[weather, wait], on_tool_error=hook
                )
            assert len(asyncio.all_tasks()) == 1

    model.reply(tool_calls=[call("weather", city="Atlantis"), call("wait")])
    asyncio.run(main())

    assert ended == [True]


def test_a_streamed_run_gives_chunks_and_results_in_order(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply("Let me see.", tool_calls=[call("weather", city="Atlantis"), call("clock")])
    model.reply("At noon.")
    streamed = stream(colour.in_process(model), [weather, clock])

    events = take(colour, streamed)
    done = colour.settle(streamed.final())

    results = [each for each in events if isinstance(each, ToolResult)]
    assert [each.content for each in results] == ["ValueError: no such city", "noon"]
    assert [repr(each.error) for each in results] == ["ValueError('no such city')", "None"]
    place = events.index(results[0])
    assert _text(events[:place]) == "Let me see."
    assert _text(events[place + 2 :]) == "At noon."
    assert repr(results[1]) == "ToolResult(call='clock', content='noon', error=None)"
    assert told(done) == [each.content for each in results]
    assert (done.text, len(done.completions)) == ("At noon.", 2)


def _text(events: Sequence[Event]) -> str:
    return "".join(each.text for each in events if isinstance(each, ChatCompletionChunk))


def test_the_text_of_a_streamed_run(colour: Sync, model: LocalGateway) -> None:
    def texts() -> list[str] | Awaitable[list[str]]:
        if isinstance(streamed, ToolRunStream):
            return list(streamed.text_stream)
        return _collected(streamed)

    model.reply("Wait. ", tool_calls=["clock"])
    model.reply("Noon.")
    streamed = stream(colour.in_process(model), [clock])

    assert "".join(colour.settle(texts())) == "Wait. Noon."


async def _collected(streamed: AsyncToolRunStream) -> list[str]:
    return [text async for text in streamed.text_stream]


def test_a_streamed_run_that_fails_in_mid_stream_says_what_was_done_and_what_had_come(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply(tool_calls=["clock"])
    model.fail("truncate", reply="At noon it is.", after=4)
    streamed = stream(colour.in_process(model, max_retries=0), [clock])

    with pytest.raises(StreamInterrupted) as caught:
        take(colour, streamed)
    with pytest.raises(StreamInterrupted) as again:
        colour.settle(streamed.final())

    assert again.value is caught.value
    assert caught.value.run is not None
    assert told(caught.value.run) == ["noon"]
    assert caught.value.partial is not None
    assert caught.value.partial.text


def test_a_streamed_run_that_was_left_is_no_run(colour: Sync, model: LocalGateway) -> None:
    model.reply("Wait.", tool_calls=["clock"])
    model.reply("Noon.")
    streamed = stream(colour.in_process(model), [clock])
    unread = stream(colour.in_process(model), [clock])

    taken = take(colour, streamed, 1)
    for each in (streamed, unread):
        colour.settle(each.close())
        colour.settle(each.close())
        assert take(colour, each) == []
        with pytest.raises(StreamInterrupted, match="left half-way") as caught:
            colour.settle(each.final())
        assert caught.value.run is None

    assert len(taken) == 1
    assert len(model.requests) == 1


def test_a_streamed_run_that_was_left_keeps_what_it_had(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=["clock"])
    model.reply("It is noon in Oslo.")
    streamed = stream(colour.in_process(model), [clock])
    while not isinstance(take(colour, streamed, 1)[0], ToolResult):
        pass
    begun = take(colour, streamed, 3)
    colour.settle(streamed.close())

    with pytest.raises(StreamInterrupted, match="half-way") as caught:
        colour.settle(streamed.final())

    assert caught.value.run is not None
    assert told(caught.value.run) == ["noon"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "".join(
        each.text for each in begun if not isinstance(each, ToolResult)
    )
    assert caught.value.partial.text.startswith("It")
    assert caught.value.request_id is not None


@pytest.fixture(scope="module")
def slow_model() -> Iterator[LocalGateway]:
    """A model behind a socket that takes its time over each word."""
    with LocalGateway(answers="script", tokens_per_second=5) as gateway:
        yield gateway


def test_a_streamed_run_that_is_dropped_or_closed_frees_its_connection(
    colour: Sync, slow_model: LocalGateway
) -> None:
    slow_model.reset()
    slow_model.reply("one two three four five six seven", times=3)
    client = colour.client(base_url=slow_model.base_url, token=slow_model.token, timeout=10)

    for leave in ("break", "close", "with"):
        streamed = stream(client, [clock])
        if leave == "with":
            _enter_and_leave(colour, streamed)
        else:
            take(colour, streamed, 2)
        if leave == "close":
            colour.settle(streamed.close())
        del streamed
        gc.collect()
        colour.settle(_turn() if colour.name == "async" else None)
        assert in_use(client) == 0, leave
    colour.settle(client.close())


async def _turn() -> None:
    """Let the loop close what was dropped."""
    for _ in range(20):
        await asyncio.sleep(0)


def _enter_and_leave(colour: Sync, streamed: AnyRunStream) -> Event:
    if isinstance(streamed, ToolRunStream):
        with streamed:
            return next(streamed)

    async def entered() -> Event:
        async with streamed:
            return await anext(streamed)

    return cast("Event", colour.settle(cast("object", entered())))


async def closed_once(
    client: AsyncMeshAPI,
    is_time: Callable[[list[Event]], bool],
    tools: Sequence[Callable[..., object]] = (clock,),
) -> list[Event]:
    """What a task reads of a run that another task closes at its time."""
    read: list[Event] = []

    async def reader() -> None:
        async for event in streamed:
            read.append(event)  # noqa: PERF401  # One at a time, as it is watched.

    streamed = client.chat.completions.run_stream(QUESTION, tools=tools)
    task = asyncio.create_task(reader())
    while not is_time(read):  # noqa: ASYNC110  # It is no event that tells.
        await asyncio.sleep(0.01)
    await streamed.close()
    async with asyncio.timeout(5):
        await task
    assert in_use(client) == 0
    assert len(asyncio.all_tasks()) == 1
    return read


def test_closing_an_async_run_ends_the_wait_for_its_first_chunk() -> None:
    async def main() -> list[Event]:
        async with AsyncMeshAPI(base_url=server.url, token="rsk_test") as client:
            return await closed_once(client, lambda _: bool(server.requests))

    with WireServer([30.0]) as server:
        assert asyncio.run(main()) == []


def test_closing_an_async_run_ends_the_wait_for_its_next_chunk(slow_model: LocalGateway) -> None:
    async def main() -> list[Event]:
        url, token = slow_model.base_url, slow_model.token
        async with AsyncMeshAPI(base_url=url, token=token) as client:
            return await closed_once(client, lambda read: len(read) == 2)

    slow_model.reset()
    slow_model.reply("one two three four five six seven")

    assert len(asyncio.run(main())) == 2


def test_closing_an_async_run_ends_its_functions(slow_model: LocalGateway) -> None:
    said: list[str] = []

    async def wait() -> None:
        said.append("begun")
        try:
            await asyncio.sleep(60)
        finally:
            said.append("ended")

    async def main() -> list[Event]:
        url, token = slow_model.base_url, slow_model.token
        async with AsyncMeshAPI(base_url=url, token=token) as client:
            return await closed_once(client, lambda _: bool(said), [wait])

    slow_model.reset()
    slow_model.reply(tool_calls=["wait"])
    read = asyncio.run(main())

    assert said == ["begun", "ended"]
    assert not any(isinstance(each, ToolResult) for each in read)


def test_a_streamed_run_can_be_closed_while_another_thread_waits() -> None:
    def reader() -> None:
        for event in streamed:
            read.append(event)
            reached.set()

    read: list[Event] = []
    reached = threading.Event()
    chunk = http_chunk('data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n')
    with (
        WireServer([CHUNKED, chunk, 30.0]) as server,
        MeshAPI(base_url=server.url, token="rsk_test") as client,
    ):
        streamed = client.chat.completions.run_stream(QUESTION, tools=[clock])
        thread = threading.Thread(target=reader)
        thread.start()
        reached.wait(5)
        time.sleep(0.05)  # Until it waits for the next one.
        streamed.close()
        thread.join(5)

        assert not thread.is_alive()
        assert in_use(client) == 0
    assert len(read) == 1


def test_a_run_that_is_closed_while_a_question_is_opened_gives_nothing_of_it() -> None:
    read: list[Event] = []
    chunk = http_chunk('data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n')
    with (
        WireServer([0.5, CHUNKED, chunk, 30.0]) as server,
        MeshAPI(base_url=server.url, token="rsk_test") as client,
    ):
        streamed = client.chat.completions.run_stream(QUESTION, tools=[clock])
        thread = threading.Thread(target=lambda: read.extend(streamed))
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        streamed.close()
        thread.join(5)

        assert not thread.is_alive()
        assert in_use(client) == 0
    assert read == []


LEFT = """
import asyncio
from meshapi import ChatCompletionParams, ToolResult
from meshapi.local import LocalGateway

def quick() -> str:
    return "soon"

async def clock() -> str:
    await asyncio.sleep(60)
    return "noon"

async def main(gateway, end):
    params = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
    stream = gateway.async_client().chat.completions.run_stream(params, tools=[clock, quick])
    async for event in stream:
        if end(event):
            raise LookupError

for end in (lambda event: True, lambda event: isinstance(event, ToolResult)):
    with LocalGateway(answers="script") as gateway:
        gateway.reply("one two", tool_calls=["quick", "clock"])
        try:
            asyncio.run(main(gateway, end), debug=False)  # Which would tell of a slow machine.
        except LookupError:
            print("left")
"""


def test_an_async_run_that_is_left_by_an_error_says_nothing_at_the_end_of_its_loop() -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", LEFT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.stdout, ended.stderr) == ("left\nleft\n", "")


def test_a_stream_that_is_closed_by_one_of_its_functions_ends(
    colour: Sync, model: LocalGateway
) -> None:
    async def close() -> None:
        closing = streamed.close()
        if closing is not None:
            await closing

    model.reply(tool_calls=["close"])
    streamed = stream(colour.in_process(model), [close])
    take(colour, streamed)

    with pytest.raises(StreamInterrupted):
        colour.settle(streamed.final())
    assert len(model.requests) == 1


def test_other_errors_carry_no_run() -> None:
    assert MeshAPIError("No.").run is None


def events_of(colour: Sync, stream: AnyRunStream) -> list[ToolRunEvent]:
    if isinstance(stream, ToolRunStream):
        return list(stream.events)

    async def collected() -> list[ToolRunEvent]:
        return [event async for event in stream.events]

    return colour.settle(cast("list[ToolRunEvent] | Awaitable[list[ToolRunEvent]]", collected()))


def test_a_run_tells_typed_events_and_results(colour: Sync, model: LocalGateway) -> None:
    model.reply("Let me look.", tool_calls=[call("weather", city="Oslo")])
    model.reply(tool_calls=[call("weather", city="Rome")])
    model.reply("Clear.")

    events = events_of(colour, stream(colour.in_process(model), [weather]))

    kinds = [kind for kind, _ in groupby(event.type for event in events)]
    first = ["content", "tool_call", "usage", "tool_result"]
    assert kinds == [*first, "tool_call", "usage", "tool_result", "content", "usage", "done"]
    cities = [event.parsed for event in events if event.type == "tool_call"]
    assert {"city": "Oslo"} in cities
    assert cities[-1] == {"city": "Rome"}
    last = events[-1]
    assert last.type == "done"
    assert last.completion.text == "Clear."


def test_events_of_a_run_that_were_left_go_on_where_they_were(
    colour: Sync, model: LocalGateway
) -> None:
    model.reply("Let me look.", tool_calls=[call("weather", city="Oslo")])
    model.reply("Clear.")
    streamed = stream(colour.in_process(model), [weather])

    def first(stream: AnyRunStream) -> ToolRunEvent:
        if isinstance(stream, ToolRunStream):
            return next(stream.events)
        begun: list[ToolRunEvent] = []

        async def begin() -> None:
            begun.append(await anext(stream.events))

        colour.settle(cast("Awaitable[None] | None", begin()))
        return begun[0]

    begun = first(streamed)
    rest = events_of(colour, streamed)

    texts = [event for event in [begun, *rest] if event.type == "content"]
    assert "".join(event.delta for event in texts) == "Let me look.Clear."
    assert texts[-1].snapshot == "Clear."
    assert [event.type for event in rest].count("done") == 1
    assert events_of(colour, streamed) == []


def test_events_of_a_run_raise_what_the_run_does(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=[call("weather", city="Oslo")])
    model.reply(tool_calls=[call("weather", city="Rome")])

    with pytest.raises(MaxTurnsExceeded) as caught:
        events_of(colour, stream(colour.in_process(model), [weather], max_turns=2))

    assert len(caught.value.run.pending) == 1


def test_a_run_is_sent_on_without_what_its_functions_gave(
    colour: Sync, model: LocalGateway
) -> None:
    def secret(of: str) -> str:
        return "12345"

    model.reply(tool_calls=[call("secret", of="Ann")])
    model.reply("Clear.")

    frames = colour.frames_of(stream(colour.in_process(model), [secret]))

    (result,) = [frame for frame in frames if frame.startswith(b"event:")]
    head, data, *_ = result.decode().split("\n")
    answered = json.loads(data.removeprefix("data: "))
    assert head == "event: tool_result"
    assert answered["name"] == "secret"
    assert answered["tool_call_id"]
    assert frames[-1] == b"data: [DONE]\n\n"
    assert b"12345" not in b"".join(frames)
    assert b"Clear" in b"".join(frames)


def test_a_run_that_fails_is_sent_on_with_its_error(colour: Sync, model: LocalGateway) -> None:
    model.reply(tool_calls=[call("weather", city="Oslo")])
    model.fail(402)
    client = colour.in_process(model, max_retries=0)

    *_, error, done = colour.frames_of(stream(client, [weather]), on_error=lambda _error: "Sorry")

    document = json.loads(error.removeprefix(b"data: "))
    assert document["error"] == {"code": "spend_limit_exceeded", "message": "Sorry"}
    assert done == b"data: [DONE]\n\n"


def test_closing_a_run_does_not_wait_for_functions_in_threads(model: LocalGateway) -> None:
    release = threading.Event()

    def quick() -> str:
        return "there"

    def slow() -> str:
        release.wait(20)
        return "late"

    model.reply(tool_calls=[call("quick"), call("slow")])
    running = model.client().chat.completions.run_stream(QUESTION, tools=[quick, slow])
    results = (event for event in running if isinstance(event, ToolResult))
    assert next(results).content == "there"

    started = time.monotonic()
    running.close()
    took = time.monotonic() - started
    release.set()

    assert took < 10
