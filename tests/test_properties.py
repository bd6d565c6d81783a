"""What a server sends is kept, and reads the same however its bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshapi import (
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatCompletionResponse,
    MeshAPIError,
    Meta,
)
from meshapi._core.reader import StreamReader
from meshapi._core.token import Token
from meshapi.resources.chat.fold import CompletionFold

SAMPLES = Path(__file__).parent / "wire" / "samples"
STREAMS = sorted(SAMPLES.glob("*.sse"))

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
texts = st.none() | st.text(max_size=5)
counts = st.none() | st.integers(0, 100)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields, and one that nobody knows."""
    return st.fixed_dictionaries({}, optional={**fields, "x_unknown": json_values})


tool_calls: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"function": objects(name=texts, arguments=texts)}, optional={"id": texts, "extra": texts}
    ),
    max_size=2,
)
parts: st.SearchStrategy[Any] = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5)}),
        st.fixed_dictionaries({"type": st.just("hologram"), "beam": json_values}),
    ),
    max_size=2,
)
messages = objects(
    role=st.none() | st.sampled_from(["assistant", "oracle"]),
    content=st.none() | st.text(max_size=5) | parts,
    tool_calls=st.none() | tool_calls,
    refusal=texts,
    reasoning=texts,
    reasoning_details=st.none() | st.lists(objects(type=texts, data=texts), max_size=2),
    annotations=st.none() | st.lists(objects(type=texts), max_size=2),
    audio=st.none() | objects(id=texts, data=texts, expires_at=counts),
    function_call=st.none() | objects(name=texts, arguments=texts),
)
usages = objects(
    prompt_tokens=counts,
    completion_tokens=counts,
    total_tokens=counts,
    prompt_tokens_details=st.none() | objects(cached_tokens=counts),
    cost=st.none() | st.sampled_from(["0.0000021", 0.00123, 2]),
)
choices = objects(
    index=counts,
    message=st.none() | messages,
    finish_reason=texts,
    logprobs=st.none() | objects(content=json_values),
    native_finish_reason=texts,
)
responses = objects(
    choices=st.none() | st.lists(choices, max_size=3),
    id=texts,
    model=texts,
    object=texts,
    created=st.none() | st.integers(0, 10**10) | st.floats(0, 1e10),
    usage=st.none() | usages,
    cost=st.none() | st.sampled_from(["1.5", 0.25]),
    x_auto_routed=st.none() | st.booleans(),
)


@given(responses)
def test_a_response_survives_a_dump_and_back(body: dict[str, Any]) -> None:
    parsed = ChatCompletionResponse.model_validate_json(json.dumps({"choices": [], **body}))

    for again in (
        ChatCompletionResponse.model_validate_json(parsed.model_dump_json(exclude_unset=True)),
        ChatCompletionResponse.model_validate_json(parsed.model_dump_json()),
        ChatCompletionResponse.model_validate(parsed.model_dump()),
    ):
        assert again.model_dump() == parsed.model_dump()
    assert len(repr(parsed)) > 0


@given(messages)
def test_an_answer_put_back_into_the_messages_loses_nothing(body: dict[str, Any]) -> None:
    message = ChatCompletionMessage.model_validate_json(json.dumps(body))

    params = ChatCompletionParams(messages=[message])
    sent = json.loads(params.model_dump_json(exclude_unset=True))["messages"][0]

    assert ChatCompletionMessage.model_validate(sent).model_dump() == message.model_dump()
    assert sent["role"] == message.role
    for name in body.keys() - {"role", "tool_calls", "audio", "annotations", "function_call"}:
        assert sent[name] == body[name]


def outcome(pieces: list[bytes]) -> tuple[list[str], object]:
    """The chunks, and the folded answer or the error, of a stream that comes in these pieces."""
    fold = CompletionFold()
    reader = StreamReader(
        ChatCompletionChunk, fold, Meta(status_code=200), Token("rsk"), max_event_bytes=10**6
    )
    chunks: list[str] = []
    try:
        for piece in pieces:
            for chunk in reader.read(piece):
                chunks.append(chunk.model_dump_json())  # noqa: PERF401  # Kept if the next raises.
            if reader.done:
                break
        chunks.extend(chunk.model_dump_json() for chunk in reader.end())
    except MeshAPIError as error:
        return chunks, (type(error), str(error), error.partial)
    return chunks, fold.partial(Meta())


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_sample_reads_the_same_at_any_fixed_size_of_pieces(path: Path) -> None:
    body = path.read_bytes()
    whole = outcome([body])

    for size in (1, 2, 3, 5, 7, 16, 64, 333, 1024):
        assert outcome([body[at : at + size] for at in range(0, len(body), size)]) == whole
    assert outcome([body.replace(b"\n", b"\r\n")[:-1], b"\n"])[1] == whole[1]


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 3000), max_size=8))
def test_a_sample_reads_the_same_however_it_is_cut(path: Path, cuts: list[int]) -> None:
    body = path.read_bytes()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]

    assert outcome(pieces) == outcome([body])
