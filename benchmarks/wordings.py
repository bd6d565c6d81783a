"""What is said in the measurements: the questions, and answers as long as real ones are."""

from __future__ import annotations

from typing import Any, TypeAlias

Messages: TypeAlias = list[dict[str, str]]

MODEL = "openai/gpt-4o"
QUESTION: Messages = [{"role": "user", "content": "Which words would you save from a fire?"}]
LONG_TALK: Messages = [
    {"role": ("user", "assistant")[turn % 2], "content": "Some words on this. " * 260}
    for turn in range(200)
]
"""A conversation of 200 messages, one megabyte as JSON."""

SHORT_EVENTS = 12
"""The chunks of a short answer; its thirteenth event is `[DONE]`."""

EVENTS_OF = {"each": 2000, "packed": 2000, "paced": 400, "short": SHORT_EVENTS, "patient": 100}
"""How many chunks the stream of each scenario has."""

_USAGE = {"prompt_tokens": 14, "completion_tokens": 42, "total_tokens": 56}

ANSWER_TEXT = "Those that nobody else kept. " * 8
ANSWER = {
    "id": "chatcmpl-01JBENCH",
    "object": "chat.completion",
    "created": 1790000000,
    "model": MODEL,
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER_TEXT},
            "finish_reason": "stop",
        }
    ],
    "usage": _USAGE,
}


def chunk_of(place: int, count: int) -> dict[str, Any]:
    """One of the chunks of a stream: the last one tells why it ended, and the usage."""
    is_last = place == count - 1
    delta = {"role": "assistant", "content": ""} if place == 0 else {"content": " word"}
    chunk = {
        "id": "chatcmpl-01JBENCH",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": MODEL,
        "system_fingerprint": None,
        "choices": [
            {"index": 0, "delta": delta, "finish_reason": "stop" if is_last else None},
        ],
    }
    return chunk | ({"usage": _USAGE} if is_last else {})
