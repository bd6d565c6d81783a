"""`client.models.list()`: a bare array or an object around it, asked for with a GET."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from meshapi import (
    AsyncMeshAPI,
    InvalidRequest,
    InvalidResponse,
    MeshAPI,
    ModelInfo,
    ModelListParams,
    NotFound,
)
from tests.colours import Sync
from tests.wire_server import Received, WireServer, response

MODELS: list[dict[str, Any]] = [
    {
        "id": "openai/gpt-4o-mini",
        "name": "GPT-4o mini",
        "context_length": 128000,
        "is_free": False,
        "provider": None,
        "supports_flex": True,
        "pricing": {
            "prompt_usd_per_1m": "0.15",
            "completion_usd_per_1m": 0.6,
            "prompt_usd_per_1k": None,
            "discount_pct": "10",
        },
    },
    {"id": "no-slash", "context_window": 4096, "pricing": None},
]
ARRAY = response(json.dumps(MODELS))


def listed(
    colour: Sync, answer: bytes, params: object = None, **options: object
) -> tuple[Any, Received]:
    with WireServer(answer) as server:
        client: Any = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        try:
            answered = colour.settle(client.models.list(params, **options))
        finally:
            colour.settle(client.close())
    return answered, server.requests[0]


@pytest.mark.parametrize("around", [False, True], ids=["bare array", "object"])
def test_both_forms_of_the_list_are_read(colour: Sync, *, around: bool) -> None:
    document: object = {"object": "list", "data": MODELS} if around else MODELS

    models, _ = listed(colour, response(json.dumps(document), headers={"x-request-id": "req_1"}))

    mini, other = models.data
    assert isinstance(mini, ModelInfo)
    assert (mini.id, mini.context_length, mini.is_free) == ("openai/gpt-4o-mini", 128000, False)
    assert (other.context_length, other.context_window, other.pricing) == (None, 4096, None)
    assert models.meta.request_id == "req_1"


def test_a_price_is_exact_whether_sent_as_text_or_as_a_number(colour: Sync) -> None:
    models, _ = listed(colour, ARRAY)

    prices = models.data[0].pricing
    assert prices.prompt_usd_per_1m == Decimal("0.15")
    assert prices.completion_usd_per_1m == Decimal("0.6")
    assert prices.prompt_usd_per_1k is None


def test_what_is_not_known_is_kept(colour: Sync) -> None:
    models, _ = listed(colour, ARRAY)

    assert models.data[0].model_extra == {"supports_flex": True}
    assert models.data[0].pricing.model_extra == {"discount_pct": "10"}


def test_a_get_is_sent_without_a_body_and_without_what_belongs_to_one(colour: Sync) -> None:
    _, request = listed(colour, ARRAY)

    assert request.raw.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert request.raw.endswith(b"\r\n\r\n")
    assert request.headers["authorization"] == "Bearer rsk_test"
    assert request.headers["accept"] == "application/json"
    assert not request.headers.keys() & {"content-type", "content-length", "idempotency-key"}


def test_a_lent_client_sends_the_same_get(colour: Sync) -> None:
    import httpx

    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=MODELS)

    client: Any = colour.client(token="rsk_test", http_client=colour.mocked(answer))
    models = colour.settle(client.models.list())

    assert len(models.data) == 2
    assert (sent[0].method, sent[0].content) == ("GET", b"")
    assert not sent[0].headers.keys() & {"content-type", "content-length", "idempotency-key"}


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({}, {}),
        ({"free": True}, {"free": ["true"]}),
        ({"free": False, "type": "text"}, {"free": ["false"], "type": ["text"]}),
        ({"provider": "Ümlaut & Söhne/x=1"}, {"provider": ["Ümlaut & Söhne/x=1"]}),
        ({"type": None}, {}),
    ],
    ids=str,
)
def test_the_query_holds_what_is_set(
    colour: Sync, fields: dict[str, Any], query: dict[str, list[str]]
) -> None:
    _, request = listed(colour, ARRAY, ModelListParams(**fields))

    asked = urlsplit(request.path)
    assert (asked.path, parse_qs(asked.query)) == ("/v1/models", query)
    assert ("?" in request.path) == bool(query)


def test_params_that_do_not_exist_are_refused_when_they_are_built() -> None:
    with pytest.raises(ValidationError, match="brand"):
        ModelListParams(brand="openai")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # It does not exist.


@pytest.mark.parametrize("option", [{"extra_body": {"free": True}}, {"idempotency_key": "mine"}])
def test_an_option_that_only_a_post_has_is_refused(colour: Sync, option: dict[str, Any]) -> None:
    client: Any = colour.client(base_url="http://127.0.0.1:1", token="rsk_test")

    with pytest.raises(InvalidRequest, match=f"{next(iter(option))} belongs to a POST"):
        colour.settle(client.models.list(**option))


def test_params_of_another_class_are_refused(colour: Sync) -> None:
    client: Any = colour.client(base_url="http://127.0.0.1:1", token="rsk_test")

    with pytest.raises(InvalidRequest, match="Pass ModelListParams, not dict"):
        colour.settle(client.models.list({"free": True}))


def test_an_error_is_the_error_that_it_is_everywhere(colour: Sync) -> None:
    with pytest.raises(NotFound, match="Nothing here"):
        listed(colour, response('{"detail": "Nothing here"}', status=404))


@pytest.mark.parametrize("body", ['{"object": "list"}', "[1]", '"text"', "null", ""])
def test_what_is_no_list_of_models_is_an_invalid_response(colour: Sync, body: str) -> None:
    with pytest.raises(InvalidResponse):
        listed(colour, response(body))


def test_an_error_in_a_good_answer_is_an_error(colour: Sync) -> None:
    body = '{"error": {"code": "not_found", "message": "No models"}}'

    with pytest.raises(NotFound, match="No models"):
        listed(colour, response(body))


def test_an_object_whose_list_is_null_is_empty(colour: Sync) -> None:
    assert listed(colour, response('{"data": null}'))[0].data == []


@pytest.mark.parametrize("kind", [MeshAPI, AsyncMeshAPI])
def test_the_models_of_a_changed_client_follow_the_change(kind: Any) -> None:
    client = kind(base_url="http://one.invalid", token="rsk_test")
    before = client.models

    changed = client.with_options(base_url="http://two.invalid")

    assert changed.models._transport.settings.base_url == "http://two.invalid"
    assert client.models is before
