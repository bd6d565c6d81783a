"""The published request bodies, sample answers, codes and statuses, over real sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import meshapi
from meshapi import (
    APIStatusError,
    AsyncChatCompletionStream,
    ChatCompletionParams,
    ChatCompletionResponse,
    ChatCompletionStream,
    MeshAPIError,
)
from meshapi.local import LocalGateway
from tests.colours import Client, Sync
from tests.wire_server import WireServer, events, response

WIRE = Path(__file__).parent / "wire"
BODIES = sorted((WIRE / "bodies").glob("*.json"))
SAMPLES: list[dict[str, Any]] = json.loads((WIRE / "samples" / "manifest.json").read_text())
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_published_body_goes_out_as_it_is_and_comes_back_typed(
    path: Path, colour: Sync, gateway: LocalGateway
) -> None:
    body = json.loads(path.read_text())
    client = colour.client(base_url=gateway.base_url, token=gateway.token)

    params: ChatCompletionParams[bool] = ChatCompletionParams(**body)
    asked: object = colour.settle(client.chat.completions.create(params))
    if isinstance(asked, (ChatCompletionStream, AsyncChatCompletionStream)):
        asked = colour.settle(asked.final())
    colour.settle(client.close())

    assert json.loads(gateway.requests[-1].body) == body
    assert isinstance(asked, ChatCompletionResponse)
    calls = asked.choices[0].message.tool_calls
    assert asked.choices[0].finish_reason in ({"tool_calls"} if calls else {"stop", "length"})
    assert bool(calls) != bool(asked.text)
    assert asked.usage is not None
    assert asked.usage.total_tokens > 0
    assert asked.meta.request_id is not None


def script_of(sample: dict[str, Any]) -> bytes:
    body = (WIRE / "samples" / sample["file"]).read_bytes()
    headers = {k: v for k, v in sample["headers"].items() if k != "content-type"}
    kind = sample["headers"]["content-type"]
    if kind.startswith("text/event-stream"):
        return events(body, headers=headers)
    return response(body, status=sample["status"], content_type=kind, headers=headers)


def outcome_of(sample: dict[str, Any], colour: Sync) -> ChatCompletionResponse | MeshAPIError:
    with WireServer(script_of(sample)) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        completions = client.chat.completions
        try:
            if sample["file"].endswith(".sse"):
                stream = completions.stream(QUESTION)
                colour.collect(stream)
                return colour.settle(stream.final())
            return colour.settle(completions.create(QUESTION))
        except MeshAPIError as error:
            return error
        finally:
            colour.settle(client.close())


def named(expected: str) -> list[Any]:
    return [
        pytest.param(sample, id=sample["file"].split(".")[0])
        for sample in SAMPLES
        if bool(sample["expect"].get("raises")) == (expected == "error")
    ]


@pytest.mark.parametrize("sample", named("answer"))
def test_a_sample_answer_reads_as_expected(sample: dict[str, Any], colour: Sync) -> None:
    answer = outcome_of(sample, colour)

    assert isinstance(answer, ChatCompletionResponse)
    message = answer.choices[0].message if answer.choices else None
    dumped = message.model_dump(exclude_unset=True) if message else {}
    came = answer.model_dump(exclude_unset=True)
    facts = {
        "text": answer.text or (None if sample["expect"].get("text") is None else ""),
        "finish_reason": answer.choices[0].finish_reason if answer.choices else None,
        "usage_total": answer.usage.total_tokens if answer.usage else None,
        "cost": str(f"{answer.cost:f}") if answer.cost is not None else None,
        "reasoning": dumped.get("reasoning"),
        "refusal": dumped.get("refusal"),
        "tool_calls": [
            [call.id, call.function.name, call.function.arguments]
            for call in (message.tool_calls if message else None) or []
        ],
        "texts_by_index": {str(each.index): each.message.content for each in answer.choices},
        "extra": sorted(came.keys() & sample["expect"].get("extra", [])),
        "extra_message": sorted(dumped.keys() & sample["expect"].get("extra_message", [])),
        "header": {
            name: answer.meta.headers.get(name) for name in sample["expect"].get("header", {})
        },
    }
    expected = {
        name: sorted(value) if name.startswith("extra") else value
        for name, value in sample["expect"].items()
    }
    assert {name: facts[name] for name in expected} == expected
    assert answer.meta.request_id == "req_01JTESTHEADER0000000000000"


@pytest.mark.parametrize("sample", named("error"))
def test_a_sample_error_raises_its_class_with_its_facts(
    sample: dict[str, Any], colour: Sync
) -> None:
    error = outcome_of(sample, colour)

    assert isinstance(error, MeshAPIError)
    facts: dict[str, Any] = {
        "raises": True,
        "class": type(error).__name__,
        "request_id": error.request_id,
        "retry_after": error.retry_after,
        "retry_safety": error.retry_safety,
        "partial": error.partial.text if error.partial else None,
    }
    if isinstance(error, APIStatusError):
        facts |= {
            "status": error.status_code,
            "code": error.code,
            "n_details": len(error.details),
            "provider_code": error.body.get("provider_code"),
        }
    assert {name: facts[name] for name in sample["expect"]} == sample["expect"]


def ask(colour: Sync, client: Client, *, streamed: bool) -> None:
    if streamed:
        colour.collect(client.chat.completions.stream(QUESTION))
    else:
        colour.settle(client.chat.completions.create(QUESTION))


PUBLISHED = [
    ("unauthorized", 401, "Unauthorized"),
    ("forbidden", 403, "Forbidden"),
    ("not_found", 404, "NotFound"),
    ("model_not_found", 404, "ModelNotFound"),
    ("validation_error", 422, "ValidationFailed"),
    ("unprocessable_entity", 422, "UnprocessableEntity"),
    ("rate_limit_exceeded", 429, "RateLimitExceeded"),
    ("spend_limit_exceeded", 402, "SpendLimitExceeded"),
    ("conflict", 409, "Conflict"),
    ("upstream_error", 502, "UpstreamError"),
    ("provider_not_available", 503, "ProviderNotAvailable"),
    ("gateway_timeout", 504, "GatewayTimeout"),
]


def envelope(code: str) -> dict[str, object]:
    return {
        "error": {
            "code": code,
            "message": "In the server's words.",
            "param": "model",
            "details": [{"loc": ["body", "messages", 0], "msg": "Bad", "type": "value_error"}],
            "provider_error": {"provider": "openai", "status": 500, "message": "boom"},
            "retry_after_seconds": 7,
        },
        "request_id": "req_body",
    }


CHUNK = '{"choices": [{"index": 0, "delta": {"content": "Hel"}}]}'


@pytest.mark.parametrize("where", ["status", "in a 200", "first frame", "mid-stream"])
@pytest.mark.parametrize(("code", "status", "name"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_a_published_code_raises_its_class_with_all_facts_wherever_it_comes(
    code: str, status: int, name: str, where: str, colour: Sync
) -> None:
    body = json.dumps(envelope(code))
    script = {
        "status": response(body, status=status, headers={"retry-after": "3"}),
        "in a 200": response(body, headers={"retry-after": "3"}),
        "first frame": events(f"data: {body}\n\n"),
        "mid-stream": events(f"data: {CHUNK}\n\ndata: {body}\n\n"),
    }[where]
    with WireServer(script) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        with pytest.raises(APIStatusError) as caught:
            ask(colour, client, streamed=where not in {"status", "in a 200"})
        colour.settle(client.close())

    error = caught.value
    assert type(error) is getattr(meshapi, name)
    assert (error.code, error.status_code, error.param) == (code, status, "model")
    assert error.message == "In the server's words."
    assert error.request_id == "req_body"
    assert error.retry_after == 7
    assert error.details[0].loc == ["body", "messages", 0]
    assert error.provider_error is not None
    assert error.provider_error.provider == "openai"
    assert error.meta.status_code == (status if where == "status" else 200)
    assert (error.partial.text if error.partial else None) == (
        "Hel" if where == "mid-stream" else None
    )
    assert str(error).endswith("req_body")


@pytest.mark.parametrize("status", [*range(400, 432), 451, 499, *range(500, 512), 520, 524, 529])
def test_a_status_without_a_body_raises_its_class(status: int, colour: Sync) -> None:
    expected = {
        400: "BadRequest",
        401: "Unauthorized",
        402: "SpendLimitExceeded",
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        413: "PayloadTooLarge",
        422: "UnprocessableEntity",
        429: "RateLimitExceeded",
        503: "ProviderNotAvailable",
        504: "GatewayTimeout",
    }.get(status, "ServerError" if status >= 500 else "APIStatusError")

    with WireServer(response("", status=status)) as server:
        client = colour.client(base_url=server.url, token="rsk_test", max_retries=0)
        with pytest.raises(APIStatusError) as caught:
            colour.settle(client.chat.completions.create(QUESTION))
        colour.settle(client.close())

    assert type(caught.value).__name__ == expected
    assert caught.value.status_code == status
    assert caught.value.code is None


KNOWN_CODES = [
    row for row in json.loads((WIRE / "error_codes.json").read_text())["codes"] if row["class"]
]


@pytest.mark.parametrize("row", KNOWN_CODES, ids=lambda row: row["code"])
def test_a_code_of_the_reference_has_its_class_and_its_retry_advice(row: dict[str, Any]) -> None:
    answers = httpx_answer(row["http_status"][0], {"error": {"code": row["code"], "message": "x"}})
    client = meshapi.MeshAPI(token="rsk_test", http_client=answers, max_retries=0)

    with pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(QUESTION)

    assert type(caught.value).__name__ == row["class"]
    if row["retry_safety"] != "by status":
        assert caught.value.retry_safety == row["retry_safety"]


def httpx_answer(status: int, body: object) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=body)))
