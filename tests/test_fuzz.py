"""Whatever bytes come: a typed error, or the right answer."""

from __future__ import annotations

import gzip
import pickle
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from meshapi import APIStatusError, ChatCompletionChunk, MeshAPIError
from meshapi._core.call import Reply, read_answer, read_failure
from meshapi._core.envelope import read_error
from meshapi._core.inflate import Inflater
from meshapi._core.meta import Headers, Meta
from meshapi._core.reader import StreamReader
from meshapi._core.token import Token
from meshapi.resources.chat.fold import CompletionFold
from meshapi.resources.chat.replies import ChatCompletionResponse

GOOD = (
    '\ufeffevent: message\r\ndata: {"id": "c", "choices": [{"delta": {"content": "Hé"}}]}\n\n'
    ": ping\r\r"
    'data: {"choices": [{"delta":\ndata:  {"content": "llo 😀"}}]}\n\n'
    'data: {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"total_tokens": 7}}\n\n'
    "data: [DONE]\n\n"
).encode()
TEXT = "Héllo 😀"
META = Meta(status_code=200, headers=Headers([("content-type", "text/event-stream")]))
TOKEN = Token("rsk_test1234")

PIECES = [
    *(b"data: ", b"data:", b"\n", b"\r", b"\r\n", b"\n\n", b"[DONE]", b"null", b"{}", b"NaN"),
    *(b'{"error": {"code": 500}}', b'{"choices": [{"delta": {"content": "x"}}]}', b'"choices"'),
    *(b"\xff", b"\xef\xbb\xbf", b"\0", b"event: error\n", b"id: \0\n", b"retry: 9\n", b": c\n"),
]
SOUP = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=30).map(b"".join)
NAMES = [
    "error",
    "code",
    "message",
    "details",
    "detail",
    "metadata",
    "raw",
    "loc",
    "msg",
    "provider_error",
    "request_id",
    "param",
    "type",
    "retry_after_seconds",
    "choices",
]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=12,
)


def read(body: bytes, size: int) -> str:
    """The text of a stream that comes in pieces of this size."""
    fold = CompletionFold()
    reader = StreamReader(ChatCompletionChunk, fold, META, TOKEN, max_event_bytes=10_000)
    for start in range(0, len(body), size):
        if not reader.done:
            list(reader.read(body[start : start + size]))
    list(reader.end())
    reader.check_complete()
    return fold.partial(META).text


@given(cut=st.integers(0, len(GOOD)), size=st.integers(1, 40))
def test_a_stream_that_is_cut_anywhere_is_an_error_or_the_whole_answer(cut: int, size: int) -> None:
    if cut >= GOOD.index(b"[DONE]"):
        assert read(GOOD[:cut], size) == TEXT
        return
    try:
        text = read(GOOD[:cut], size)
    except MeshAPIError:
        return
    assert text == TEXT


@given(soup=SOUP, at=st.integers(0, len(GOOD)), size=st.integers(1, 40))
@example(soup=b"", at=0, size=1)
def test_a_stream_with_anything_in_it_is_an_error_or_an_answer(
    soup: bytes, at: int, size: int
) -> None:
    try:
        text = read(GOOD[:at] + soup + GOOD[at:], size)
    except MeshAPIError:
        return
    assert text == TEXT or soup


@given(document=JSON, status=st.integers(400, 599))
def test_any_document_is_an_error_of_its_status(document: Any, status: int) -> None:
    error = read_error(document, Meta(status_code=status), TOKEN)

    assert isinstance(error, APIStatusError)
    assert 400 <= error.status_code <= 599
    assert error.retry_safety in {"refused", "ambiguous", "final"}
    assert pickle.loads(pickle.dumps(error)).body.keys() == error.body.keys()
    assert str(error)


@given(body=SOUP | st.binary(max_size=40), status=st.sampled_from([200, 204, 302, 400, 500, 529]))
def test_any_body_is_an_answer_or_a_typed_error(body: bytes, status: int) -> None:
    reply = Reply(body, Meta(status_code=status), TOKEN)
    if status >= 300:
        assert isinstance(read_failure(reply), MeshAPIError)
        return
    with suppress(MeshAPIError):
        assert read_answer(ChatCompletionResponse, reply).meta is reply.meta


@given(
    members=st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 40_000)), max_size=4),
    size=st.integers(1, 200_000),
)
def test_a_gzipped_body_is_the_same_however_it_is_made_and_cut(
    members: list[tuple[bytes, int]], size: int
) -> None:
    plain = [what * times for what, times in members]
    body = b"".join(gzip.compress(each) for each in plain)
    inflater = Inflater("gzip")
    pieces = [
        piece
        for start in range(0, len(body), max(size, len(body) // 100))
        for piece in inflater.push(body[start : start + max(size, len(body) // 100)])
    ]

    assert b"".join(pieces) == b"".join(plain)
    assert max(map(len, pieces), default=0) <= 65536
