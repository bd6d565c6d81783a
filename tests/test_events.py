"""Server-sent events: the same events however the bytes are cut, and as the oracle reads them."""

from __future__ import annotations

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent
from hypothesis import given
from hypothesis import strategies as st

from meshapi._core.events import EventDecoder, EventError

BODY = (
    '\ufeff: a comment\r\nevent: greeting\r\nid: 7\r\nretry: 3000\r\ndata: {"a": "é 漢 😀"}\r\n\r\n'
    "data:no space\ndata:  two spaces\ndata\n\n"
    "id: 8\n\ndata: \u2028 and \x85 end no line\r\rdata: last"
).encode()
EVENTS = [
    ("greeting", '{"a": "é 漢 😀"}', "7", 3000),
    ("message", "no space\n two spaces\n", "7", None),
    ("message", "\u2028 and \x85 end no line", "8", None),
    ("message", "last", "8", None),
]


def facts(event: ServerSentEvent) -> tuple[str, str, str, int | None]:
    return event.event, event.data, event.id, event.retry


def decoded(pieces: list[bytes], bound: int = 10_000) -> list[ServerSentEvent]:
    decoder = EventDecoder(bound)
    found = [event for piece in pieces for event in decoder.push(piece)]
    last = decoder.end()
    return found + ([last] if last else [])


@pytest.mark.parametrize("size", range(1, len(BODY) + 1))
def test_events_do_not_depend_on_where_the_bytes_are_cut(size: int) -> None:
    pieces = [BODY[start : start + size] for start in range(0, len(BODY), size)]

    assert [facts(event) for event in decoded(pieces)] == EVENTS


@pytest.mark.parametrize("cut", range(len(BODY) + 1))
def test_events_do_not_depend_on_one_cut_anywhere(cut: int) -> None:
    assert [facts(event) for event in decoded([BODY[:cut], BODY[cut:]])] == EVENTS


def test_a_line_feed_after_a_cut_line_end_still_ends_the_event() -> None:
    pieces = [b"data: a\r", b"\n", b"\n", b"data: b\r", b"\n", b"\r", b"\n"]

    assert [event.data for event in decoded(pieces)] == ["a", "b"]


def test_a_retry_that_is_no_number_is_ignored() -> None:
    body = b"retry: 1x\ndata: a\n\nretry: 7\ndata: b\n\nretry: " + b"9" * 30 + b"\ndata: c\n\n"

    assert [event.retry for event in decoded([body])] == [None, 7, None]


line = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["data:", "data: ", "data", "event: ", "id: ", "retry: ", ": ", "x: ", ""]),
        st.text(st.characters(exclude_characters="\r\n\ufeff", codec="utf-8"), max_size=5),
        st.sampled_from(["\n", "\r\n", "\r"]),
    ),
)


@given(st.lists(line, max_size=20), st.integers(1, 50))
def test_events_are_those_of_the_oracle(lines: list[str], size: int) -> None:
    body = "".join(lines).encode() + b"\n\n"
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    oracle = [facts(event) for event in EventSource(answer).iter_sse()]

    assert [facts(event) for event in decoded(pieces)] == [each for each in oracle if each[1]]


@pytest.mark.parametrize(
    "body", [b"data: " + b"x" * 200, b": " + b"x" * 200, b"data: xxxxxxxxxx\n" * 20]
)
def test_an_event_is_bounded(body: bytes) -> None:
    with pytest.raises(EventError):
        decoded([body[position : position + 7] for position in range(0, len(body), 7)], bound=100)


def test_the_bound_is_for_one_event_and_not_for_the_stream() -> None:
    decoder = EventDecoder(100)

    assert sum(len(list(decoder.push(b"data: xxxxxxxxxx\n\n"))) for _ in range(100)) == 100
