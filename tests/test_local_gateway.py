"""The local gateway keeps the published contract, and its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from meshapi import (
    ChatCompletionParams,
    Forbidden,
    ModelNotFound,
    NotFound,
    RateLimitExceeded,
    SpendLimitExceeded,
    Unauthorized,
    ValidationFailed,
)
from meshapi.local import LocalGateway
from meshapi.local.babble import babble, tokens_of
from meshapi.local.rules import Key, Refusal
from tests.colours import Sync

DOCUMENT = yaml.safe_load((Path(__file__).parent / "wire" / "openapi.yaml").read_text())
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


def check(schema: str, value: object) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.validate(value, reference, jsonschema.Draft202012Validator)


def post(gateway: LocalGateway, body: object, token: str | None = None) -> httpx.Response:
    """A plain request, so that the server is judged without the client."""
    headers = {"authorization": f"Bearer {token or gateway.token}"}
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    url = f"{gateway.base_url}/v1/chat/completions"
    return httpx.post(url, content=content, headers=headers)


def test_an_answer_is_as_published(gateway: LocalGateway) -> None:
    answer = post(gateway, BODY)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    check("ChatCompletionResponse", answer.json())


def test_a_stream_is_chunks_then_usage_then_done(gateway: LocalGateway) -> None:
    answer = post(gateway, {**BODY, "stream": True})

    *chunks, done, rest = answer.text.split("\n\n")
    first, *_, finish, usage = [json.loads(each.removeprefix("data: ")) for each in chunks]
    assert (done, rest) == ("data: [DONE]", "")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-request-id"].startswith("req_")
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert finish["choices"][0]["finish_reason"] in {"stop", "length"}
    assert usage["choices"] == []
    check("UsageInfo", usage["usage"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 422, "validation_error"),
        ([], 422, "validation_error"),
        ({}, 422, "validation_error"),
        ({**BODY, "temperature": 3}, 422, "validation_error"),
        ({**BODY, "model": "no/such-model"}, 404, "model_not_found"),
        ({**BODY, "template": "no-such-template"}, 404, "not_found"),
        ({**BODY, "template": "support-reply"}, 422, "validation_error"),
    ],
    ids=str,
)
def test_a_refusal_is_as_published(
    body: object, status: int, code: str, gateway: LocalGateway
) -> None:
    answer = post(gateway, body)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    check("ErrorEnvelope", answer.json())


def test_what_the_gateway_does_not_know_it_drops(gateway: LocalGateway) -> None:
    assert post(gateway, {**BODY, "brand_new": 1}).status_code == 200


def test_another_path_is_404_in_the_same_envelope(gateway: LocalGateway) -> None:
    answer = httpx.get(f"{gateway.base_url}/v1/nothing")

    assert answer.status_code == 404
    check("ErrorEnvelope", answer.json())


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ({"active": False}, Forbidden),
        ({"rpm": 0}, RateLimitExceeded),
        ({"rpd": 0}, RateLimitExceeded),
        ({"spend_cap_usd": 0}, SpendLimitExceeded),
    ],
    ids=str,
)
def test_a_key_is_held_to_its_limits(
    key: dict[str, Any], error: type[Exception], colour: Sync, gateway: LocalGateway
) -> None:
    token = gateway.add_key(**key)
    client = colour.client(base_url=gateway.base_url, token=token, max_retries=0)

    with pytest.raises(error):
        colour.settle(client.chat.completions.create(QUESTION))
    with pytest.raises(error):
        colour.collect(client.chat.completions.stream(QUESTION))
    colour.settle(client.close())


def test_errors_reach_the_client_typed(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    stranger = client.with_options(token="rsk_stranger")

    with pytest.raises(Unauthorized):
        colour.settle(stranger.chat.completions.create(QUESTION))
    with pytest.raises(ModelNotFound) as unknown:
        colour.settle(
            client.chat.completions.create(QUESTION.model_copy(update={"model": "no/such"}))
        )
    with pytest.raises(NotFound):
        colour.settle(
            client.chat.completions.create(QUESTION.model_copy(update={"template": "none"}))
        )
    with pytest.raises(ValidationFailed) as invalid:
        colour.settle(client.chat.completions.create(QUESTION, extra_body={"max_tokens": 0}))
    colour.settle(client.close())

    assert unknown.value.param == "model"
    assert invalid.value.details[0].loc == ["body", "max_tokens"]


def test_the_call_that_crosses_the_cap_completes_and_the_next_does_not(
    colour: Sync, gateway: LocalGateway
) -> None:
    token = gateway.add_key(spend_cap_usd="0.0000001")
    client = colour.client(base_url=gateway.base_url, token=token)

    assert colour.settle(client.chat.completions.create(QUESTION)).text
    with pytest.raises(SpendLimitExceeded):
        colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())


def test_a_rate_limit_names_the_true_seconds_to_the_edge_of_its_window() -> None:
    key = Key("rsk", rpm=2)
    key.admit(now=59.0)
    key.admit(now=59.5)

    with pytest.raises(Refusal) as late:
        key.admit(now=59.5)
    key.admit(now=60.0)
    key.admit(now=60.5)
    with pytest.raises(Refusal) as early:
        key.admit(now=61.5)

    assert late.value.retry_after_seconds == 1
    assert early.value.retry_after_seconds == 59


def test_a_rate_limit_is_told_in_body_and_header(gateway: LocalGateway) -> None:
    answer = post(gateway, BODY, gateway.add_key(rpm=0))

    wait = answer.json()["error"]["retry_after_seconds"]
    assert answer.status_code == 429
    assert 1 <= wait <= 60
    assert answer.headers["retry-after"] == str(wait)
    check("ErrorEnvelope", answer.json())


def test_babble_honours_what_it_is_asked() -> None:
    asked = "What is a function in Python?"

    seeded = [babble(asked, seed=7).tokens for _ in range(2)]
    greedy = [babble(asked, temperature=0).tokens for _ in range(2)]
    short = babble(asked, seed=7, max_tokens=5)
    word = seeded[0][8].strip()
    stopped = babble(asked, seed=7, stop=[word])

    assert seeded[0] == seeded[1]
    assert greedy[0] == greedy[1]
    assert babble(asked, seed=8).tokens != seeded[0]
    assert babble(asked, seed=8, temperature=0.001, top_p=0.1).tokens
    assert (len(short.tokens), short.finish_reason) == (5, "length")
    assert word not in "".join(stopped.tokens)
    assert stopped.finish_reason == "stop"
    assert tokens_of("Is it? Yes, 42.") == ["Is", " it", "?", " Yes", ",", " 42", "."]


def test_usage_counts_the_tokens_of_the_text(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)
    question = ChatCompletionParams(messages=[{"role": "user", "content": "What is it?"}])

    answer = colour.settle(client.chat.completions.create(question))
    colour.settle(client.close())

    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 4
    assert answer.usage.completion_tokens == len(tokens_of(answer.text))
    assert answer.usage.total_tokens == 4 + answer.usage.completion_tokens


def test_a_gateway_that_does_not_run_says_so_and_can_be_started_again() -> None:
    gateway = LocalGateway()

    for _ in range(2):
        with pytest.raises(RuntimeError, match="not running"):
            gateway.base_url  # noqa: B018  # Asking is what raises.
        with gateway:
            assert post(gateway, BODY).status_code == 200
