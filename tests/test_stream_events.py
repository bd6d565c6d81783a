"""What the chunks of a stream tell, as typed events."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, cast

import pytest

from meshapi import (
    ChatCompletionChunk,
    ChatCompletionEvent,
    ChatCompletionParams,
    ContentEvent,
    DoneEvent,
    ReasoningEvent,
    RefusalEvent,
    StreamInterrupted,
    ToolCallEvent,
    UsageEvent,
)
from meshapi.local import LocalGateway
from meshapi.resources.chat.events import ChunkEvents
from tests.colours import Sync
from tests.wire_server import WireServer, events

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


def told(*deltas: dict[str, Any], index: int = 0) -> list[ChatCompletionEvent]:
    """The events of chunks that hold one delta each."""
    chunk_events = ChunkEvents()
    chunks = [{"choices": [{"index": index, "delta": delta}]} for delta in deltas]
    return [
        event
        for chunk in chunks
        for event in chunk_events.events_of(ChatCompletionChunk.model_validate(chunk))
    ]


def calls(*pieces: dict[str, Any]) -> list[ToolCallEvent]:
    told_of = told(*({"tool_calls": [piece]} for piece in pieces))
    return [event for event in told_of if isinstance(event, ToolCallEvent)]


def test_an_answer_is_told_and_then_done(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)

    stream = client.chat.completions.stream(QUESTION)
    told_of = colour.events_of(stream)
    completion = colour.settle(stream.final())
    colour.settle(client.close())

    pieces = [event for event in told_of if isinstance(event, ContentEvent)]
    assert "".join(event.delta for event in pieces) == completion.text
    assert pieces[-1].snapshot == completion.text
    assert [event.usage for event in told_of if event.type == "usage"] == [completion.usage]
    assert told_of[-1] == DoneEvent(completion=completion)
    assert [event.type for event in told_of].count("done") == 1


def test_pieces_of_one_chunk_are_told_in_the_order_in_which_they_are_thought() -> None:
    delta = {
        "tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}],
        "content": "So: ",
        "refusal": "I will not.",
        "reasoning": "Hmm.",
    }

    assert told(delta) == [
        ReasoningEvent(index=0, delta="Hmm."),
        RefusalEvent(index=0, delta="I will not."),
        ContentEvent(index=0, delta="So: "),
        ToolCallEvent(index=0, call_index=0, id="call_1", name="f", delta="{}"),
    ]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_told_by_either_name(name: str) -> None:
    assert [
        event.delta for event in told({name: "Let "}, {name: "me see"}) if event.type == "reasoning"
    ] == ["Let ", "me see"]


def test_reasoning_that_is_sent_by_both_names_is_told_once() -> None:
    assert told({"reasoning": "Hm", "reasoning_content": "Hm"}) == [
        ReasoningEvent(index=0, delta="Hm")
    ]


def test_content_in_parts_is_told_as_its_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]

    assert told({"content": parts}) == [ContentEvent(index=0, delta="a")]


@pytest.mark.parametrize(
    "delta", [{}, {"content": ""}, {"content": None}, {"role": "assistant", "reasoning": ""}]
)
def test_what_adds_nothing_is_not_told(delta: dict[str, Any]) -> None:
    assert told(delta) == []


def test_a_snapshot_stays_what_it_was_when_the_text_grows() -> None:
    first, second = told({"content": "Hel"}, {"content": "lo"})

    assert isinstance(first, ContentEvent)
    assert isinstance(second, ContentEvent)
    assert (second.snapshot, first.snapshot) == ("Hello", "Hel")


def test_answers_asked_for_together_are_told_apart() -> None:
    chunk_events = ChunkEvents()
    chunk = ChatCompletionChunk.model_validate(
        {"choices": [{"index": n, "delta": {"content": word}} for n, word in enumerate("ab")]}
    )

    told_of = [*chunk_events.events_of(chunk), *chunk_events.events_of(chunk)]

    assert [(e.index, e.snapshot) for e in told_of if e.type == "content"] == [
        (0, "a"),
        (1, "b"),
        (0, "aa"),
        (1, "bb"),
    ]


def test_arguments_are_parsed_as_they_grow() -> None:
    growing = calls(
        {"index": 0, "id": "call_1", "function": {"name": "find"}},
        {"index": 0, "function": {"arguments": '{"city": "Par'}},
        {"index": 0, "function": {"arguments": 'is", "days": 3'}},
        {"index": 0, "function": {"arguments": "0}"}},
    )

    assert [event.parsed for event in growing] == [
        {},
        {"city": "Par"},
        {"city": "Paris", "days": 3},
        {"city": "Paris", "days": 30},
    ]
    assert {(event.id, event.name) for event in growing} == {("call_1", "find")}
    assert growing[-1].snapshot == '{"city": "Paris", "days": 30}'


@pytest.mark.parametrize(
    "arguments", ["", "[1]", "{]", "nonsense", '{"a": NaN}', '{"a": -Infinity']
)
def test_arguments_that_are_no_object_are_none(arguments: str) -> None:
    (event,) = calls({"index": 0, "function": {"arguments": arguments}})

    assert event.parsed == {}
    assert event.snapshot == arguments


@pytest.mark.parametrize(
    "pieces",
    [
        [{"index": 0, "id": "a"}, {"index": 1, "id": "b"}, {"index": 0}, {"index": 1}],
        [{"id": "a"}, {"id": "b"}, {"id": "a"}, {"id": "b"}],
        [{"id": "a"}, {"index": 1, "id": "b"}, {"id": "a"}, {}],
    ],
    ids=["by index", "by id", "by what came last"],
)
def test_a_piece_is_put_to_its_call(pieces: list[dict[str, Any]]) -> None:
    spoken = [
        {**piece, "function": {"arguments": word}}
        for piece, word in zip(pieces, "1234", strict=True)
    ]

    assert [(event.call_index, event.id, event.snapshot) for event in calls(*spoken)] == [
        (0, "a", "1"),
        (1, "b", "2"),
        (0, "a", "13"),
        (1, "b", "24"),
    ]


def test_an_interrupted_stream_raises_and_is_never_done(colour: Sync) -> None:
    cut = events('data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n')
    with WireServer(cut) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        told_of: list[ChatCompletionEvent] = []
        with pytest.raises(StreamInterrupted):
            colour.events_of(client.chat.completions.stream(QUESTION), told_of)
        colour.settle(client.close())

    assert told_of == [ContentEvent(index=0, delta="Hel")]


def test_a_stream_that_is_closed_ends_and_is_not_done(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    stream = client.chat.completions.stream(QUESTION)
    colour.take(stream, 1)
    colour.settle(stream.close())

    told_of = colour.events_of(stream)
    colour.settle(client.close())

    assert told_of == []


def test_events_that_were_left_go_on_where_they_were(colour: Sync) -> None:
    words = [{"choices": [{"delta": {"content": word}}]} for word in "abc"]
    body = "".join(f"data: {each}\n\n" for each in [*map(json.dumps, words), "[DONE]"])
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.events_of(stream, most=1)
        told_of = colour.events_of(stream)
        colour.settle(client.close())

    assert [event.snapshot for event in told_of if event.type == "content"] == ["ab", "abc"]


BOTH_IN_ONE = [
    {"choices": [{"delta": {"reasoning": "Hm. ", "content": "Hel", "tool_calls": [piece]}}]}
    for piece in (
        {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a": '}},
        {"index": 0, "function": {"arguments": "12}"}},
    )
]


def told_in_two(colour: Sync, most: int) -> list[ChatCompletionEvent]:
    """All events of a stream whose events were left once, after so many."""
    body = "".join(f"data: {each}\n\n" for each in [*map(json.dumps, BOTH_IN_ONE), "[DONE]"])
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        told_of = colour.events_of(stream, most=most)
        told_of += colour.events_of(stream)
        told_of += colour.events_of(stream)
        colour.settle(client.close())
    return told_of


@pytest.mark.parametrize("most", range(1, 8))
def test_events_that_were_left_inside_a_chunk_lose_nothing_of_it(colour: Sync, most: int) -> None:
    told_of = told_in_two(colour, most)

    of_a_chunk = ["reasoning", "content", "tool_call"]
    assert [event.type for event in told_of] == [*of_a_chunk, *of_a_chunk, "done"]
    call = told_of[5]
    assert isinstance(call, ToolCallEvent)
    assert (call.id, call.name, call.parsed) == ("call_1", "f", {"a": 12})


def test_events_left_inside_a_chunk_end_when_the_stream_is_closed(colour: Sync) -> None:
    body = f"data: {json.dumps(BOTH_IN_ONE[0])}\n\n"
    with WireServer(events(body)) as server:
        client = colour.client(base_url=server.url, token="rsk_test")
        stream = client.chat.completions.stream(QUESTION)
        colour.events_of(stream, most=1)
        colour.settle(stream.close())
        told_of = colour.events_of(stream)
        colour.settle(client.close())

    assert told_of == []


def pickled(event: ChatCompletionEvent) -> ChatCompletionEvent:
    return cast("ChatCompletionEvent", pickle.loads(pickle.dumps(event)))


def deep_copied(event: ChatCompletionEvent) -> ChatCompletionEvent:
    return copy.deepcopy(event)


@pytest.mark.parametrize("again", [pickled, deep_copied])
def test_an_event_that_is_copied_takes_its_own_text_along_and_no_more(
    again: Callable[[ChatCompletionEvent], ChatCompletionEvent],
) -> None:
    first, *_ = told({"content": "Hel"}, {"content": "lo" * 10_000})
    call, *_ = calls({"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}})

    copied, copied_call = again(first), again(call)

    assert (copied, copied_call) == (first, call)
    assert isinstance(copied, ContentEvent)
    assert copied.snapshot == "Hel"
    assert isinstance(copied_call, ToolCallEvent)
    assert copied_call.parsed == {"a": 1}
    assert len(pickle.dumps(first)) < 1000


def test_a_usage_is_told_when_it_comes() -> None:
    chunk = ChatCompletionChunk.model_validate({"usage": {"total_tokens": 3}})

    (event,) = ChunkEvents().events_of(chunk)

    assert isinstance(event, UsageEvent)
    assert event.usage.total_tokens == 3


def test_an_event_is_frozen_and_says_what_it_is() -> None:
    (event,) = told({"content": "Hi"})

    assert repr(event) == "ContentEvent(index=0, delta='Hi', type='content')"
    with pytest.raises(FrozenInstanceError):
        setattr(event, "index", 1)  # noqa: B010  # Checkers would not let it be written plainly.
