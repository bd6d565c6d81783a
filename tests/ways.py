"""How a call and a stream work: their steps, and what may happen at each instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Aside:
    """What may happen at a step instead of going on: an answer, a failure, an error raised."""

    kind: Literal["answer", "failure", "error"]
    what: str
    when: str


@dataclass(frozen=True)
class Step:
    """One box of a way: what happens, and a line about it."""

    what: str
    detail: str
    asides: tuple[Aside, ...] = ()
    is_yours: bool = False


@dataclass(frozen=True)
class Way:
    """Steps in their order; `back` goes from a step to an earlier one, by their numbers."""

    title: str
    description: str
    steps: list[Step]
    back: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])


CALL = Way(
    "How a call works",
    "From the line that calls create to the answer or the error: the request is described, waits "
    "for its turn and a connection, is sent, and its answer is read. What failed and certainly was "
    "not run is retried after a wait, within the deadline of the call.",
    [
        Step(
            "client.chat.completions.create(params)",
            "your line; the params were checked when they were built",
            (Aside("error", "InvalidRequest", "it cannot be written as JSON: nothing is sent"),),
            is_yours=True,
        ),
        Step(
            "The deadline starts",
            "timeout: 310 s for all that follows, unless you say else",
            (Aside("error", "DeadlineExceeded", "it passes, whatever is being waited for"),),
        ),
        Step(
            "Wait for a turn",
            "only with rate_limit=RateLimit(...)",
            (Aside("error", "RateLimitExceeded", "the turn would come after the deadline"),),
        ),
        Step(
            "A connection",
            "one that was kept, or a new one: address, proxy, TLS",
            (Aside("failure", "ConnectionFailed", "none is made: not_sent"),),
        ),
        Step(
            "The request leaves",
            "the same Idempotency-Key in each attempt, and its number",
            (Aside("failure", "ConnectionFailed", "no answer, or half of one: ambiguous"),),
        ),
        Step(
            "An answer comes in",
            "inflated and bounded, within what the deadline leaves",
            (
                Aside("answer", "ChatCompletionResponse", "it is whole: this is what you get"),
                Aside("failure", "APIStatusError", "the gateway says no: what it says decides"),
                Aside("failure", "InvalidResponse", "it makes no sense, such as HTML: final"),
            ),
        ),
        Step(
            "If it failed: may it be retried?",
            "retry_safety, max_retries, the budget, the deadline",
            (Aside("error", "The error is raised", "it is ambiguous or final, or no try is left"),),
        ),
    ],
    {(6, 2): "yes: wait as long as the server asked, then retry"},
)

STREAM = Way(
    "How a stream works",
    "From the line that calls stream to the whole answer or the error: until the first event it "
    "is opened like a call and may be opened again; after it never. Each event becomes a chunk and "
    "is added up. The stream is complete when it says so; all else raises with what had come.",
    [
        Step(
            "client.chat.completions.stream(params)",
            "your line, in a with block",
            (Aside("error", "InvalidRequest", "it cannot be written as JSON: nothing is sent"),),
            is_yours=True,
        ),
        Step(
            "It is opened like a call",
            "wait for a turn, connect, send, read the head of the answer",
            (
                Aside(
                    "error", "APIStatusError, ConnectionFailed", "as of a call, when no try is left"
                ),
            ),
        ),
        Step(
            "The first event",
            "unless it is an error, nothing is retried from here on",
            (Aside("error", "DeadlineExceeded", "none came within Timeout.first_event"),),
        ),
        Step(
            "An event becomes a chunk",
            "bytes, an event, a ChatCompletionChunk",
            (
                Aside(
                    "error", "APIStatusError with partial", "the event is an error of the gateway"
                ),
                Aside("error", "StreamInterrupted with partial", "it cannot be read, or is cut"),
            ),
        ),
        Step("It is added up", "text, reasoning, tool calls and usage, for final()"),
        Step(
            "for chunk in stream: ...",
            "your loop; or over text_stream or events",
            (
                Aside(
                    "answer", "break, close(), an exception", "you leave: the connection is freed"
                ),
                Aside("error", "DeadlineExceeded with partial", "no event within Timeout.idle"),
            ),
            is_yours=True,
        ),
        Step(
            "[DONE], or a finish_reason for every choice",
            "the stream is complete",
            (Aside("error", "StreamInterrupted with partial", "it ends, and neither has come"),),
        ),
        Step(
            "The connection goes back",
            "what is left of the body is read, for 0.1 s at the most",
            (Aside("answer", "stream.final()", "the whole ChatCompletionResponse"),),
        ),
    ],
    {(1, 1): "retried like a call", (5, 3): "the next event"},
)
