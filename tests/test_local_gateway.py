"""The local gateway keeps the published contract, and its rules."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import jsonschema
import pytest

from meshapi import (
    ChatCompletionParams,
    ComparisonParams,
    ConfigurationError,
    Forbidden,
    ModelNotFound,
    NotFound,
    ProviderNotAvailable,
    RateLimitExceeded,
    ServerError,
    SpendLimitExceeded,
    Timeout,
    Unauthorized,
    ValidationFailed,
)
from meshapi._core.settings import ClientOptions
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.local import LocalGateway, clock
from meshapi.local.babble import tokens_of
from meshapi.local.rules import Rules
from tests.colours import Sync
from tests.published import RESPONSES, check, check_document

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
CHAT, COMPARE, MODELS = "/v1/chat/completions", "/v1/chat/compare", "/v1/models"
COMPARED: dict[str, Any] = {**BODY, "models": ["openai/gpt-4o", "local/babble"]}


@pytest.fixture
def own() -> LocalGateway:
    """A gateway of the test's own, in this process, whose clock stands still."""
    gateway = LocalGateway()
    gateway.clock.set(datetime(2026, 1, 1, tzinfo=UTC))
    return gateway


def ask(
    gateway: LocalGateway,
    body: object = None,
    *,
    method: str = "POST",
    path: str = CHAT,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """A plain request, so that the gateway is judged without the client."""
    content = body if isinstance(body, (str, bytes)) else json.dumps(BODY if body is None else body)
    fields = {"authorization": f"Bearer {token or gateway.token}", **(headers or {})}
    with httpx.Client(transport=gateway.transport, base_url="http://gateway") as http:
        return http.request(method, path, content=content, headers=fields)


def test_an_answer_is_as_published_over_a_socket(gateway: LocalGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.token}"}

    answer = httpx.post(f"{gateway.base_url}{CHAT}", json=BODY, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    check("ChatCompletionResponse", answer.json())


def test_a_stream_is_chunks_then_usage_then_done(gateway: LocalGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.token}"}

    answer = httpx.post(f"{gateway.base_url}{CHAT}", json={**BODY, "stream": True}, headers=headers)

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
    "document",
    [
        {"object": "chat.completion", "id": "x", "created": 1, "model": "m"},
        {"object": "chat.completion.chunk", "id": "x", "created": 1, "choices": []},
        {"error": {"code": "unheard_of", "message": ""}, "request_id": "req"},
        {"error": {"code": "conflict"}, "request_id": "req"},
        {
            "object": "chat.completion.chunk",
            "id": "x",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"role": "poet"}}],
        },
        {"error": "no object"},
        {"detail": "somebody else's"},
        {"object": "chat.completions", "choices": []},
    ],
    ids=str,
)
def test_what_is_not_as_published_is_found(document: object) -> None:
    with pytest.raises((jsonschema.ValidationError, ValueError, TypeError)):
        check_document(document)


@pytest.mark.parametrize(
    ("body", "code", "loc"),
    [
        ("{", "validation_error", ["body"]),
        ([], "validation_error", ["body"]),
        ({}, "validation_error", ["body", "messages"]),
        ({"messages": [{"role": "poet"}]}, "validation_error", ["body", "messages", 0, "role"]),
        ({**BODY, "temperature": 3}, "validation_error", ["body", "temperature"]),
        ({**BODY, "temperature": "1"}, "validation_error", ["body", "temperature"]),
        ({**BODY, "max_tokens": 0}, "validation_error", ["body", "max_tokens"]),
        ({**BODY, "timeout": float("inf")}, "validation_error", ["body", "timeout"]),
        ({**BODY, "stream": None}, "validation_error", ["body", "stream"]),
        ({**BODY, "variables": {"a": 1}}, "validation_error", ["body", "variables", "a"]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "validation_error",
            ["body", "messages", 0, "content"],
        ),
        (
            {**BODY, "tools": [{"type": "function"}]},
            "validation_error",
            ["body", "tools", 0, "function"],
        ),
        ({**BODY, "tool_choice": "maybe"}, "validation_error", None),
        ({**BODY, "tool_choice": "required"}, "unprocessable_entity", None),
    ],
    ids=str,
)
def test_a_body_that_does_not_fit_is_422(
    body: object, code: str, loc: list[object] | None, own: LocalGateway
) -> None:
    answer = ask(own, body)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == code
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    if loc is not None:
        assert answer.json()["error"]["details"][0]["loc"] == loc


def test_the_checks_come_in_the_order_of_the_gateway(own: LocalGateway) -> None:
    inactive = own.add_key(active=False, rpm=0)
    limited = own.add_key(rpm=0, spend_cap_usd=0)
    spent = own.add_key(spend_cap_usd=0)
    unknown = {**BODY, "model": "no/such"}
    own.fail(503)

    statuses = [
        ask(own, "{", token="rsk_nobody", headers={"x-mesh-version": "1"}).status_code,
        ask(own, "{", token="rsk_nobody").status_code,
        ask(own, "{", token=inactive).status_code,
        ask(own, "{", token=limited).status_code,
        ask(own, unknown, token=limited).status_code,
        ask(own, token=limited).status_code,
        ask(own, token=spent).status_code,
        ask(own).status_code,
        ask(own).status_code,
    ]

    assert statuses == [400, 401, 403, 422, 404, 429, 402, 503, 200]


@pytest.mark.parametrize("status", sorted({int(each) for each in RESPONSES} - {200}))
def test_every_documented_status_can_be_had(status: int, own: LocalGateway) -> None:
    own.fail(status)

    answer = ask(own)

    assert answer.status_code == status
    check("ErrorEnvelope", answer.json())


@pytest.mark.parametrize("name", ["support-reply", "its id"])
def test_a_template_is_found_by_name_or_id_and_filled(name: str, own: LocalGateway) -> None:
    text = "You help {{company}} on {{ plan }}."
    template = own.add_template("support-reply", text, model="local/babble")
    body = {**BODY, "template": name if name == "support-reply" else template}

    missing = ask(own, {**body, "variables": {"company": "Acme"}})
    filled = ask(own, {**body, "variables": {"company": "Acme", "plan": "Pro"}})

    assert missing.status_code == 422
    assert missing.json()["error"]["details"][0]["loc"] == ["body", "variables", "plan"]
    prompt = "You help Acme on Pro. Hi"
    assert filled.json()["usage"]["prompt_tokens"] == len(tokens_of(prompt))
    assert filled.json()["model"] == "local/babble"


def test_a_whole_number_may_have_a_point(own: LocalGateway) -> None:
    answer = ask(own, '{"messages": [], "max_tokens": 2.0, "seed": 1e2}')

    assert answer.json()["usage"]["completion_tokens"] == 2
    assert ask(own, {**BODY, "max_tokens": 2.5}).status_code == 422


@pytest.mark.parametrize("slot", ["first-name", "user.name", "größe"])
def test_a_slot_may_have_any_name(slot: str, own: LocalGateway) -> None:
    own.add_template("odd", f"Hello {{{{{slot}}}}}!")

    missing = ask(own, {**BODY, "template": "odd"})
    filled = ask(own, {**BODY, "template": "odd", "variables": {slot: "Ada"}})

    assert missing.json()["error"]["details"][0]["loc"] == ["body", "variables", slot]
    assert filled.status_code == 200


def test_an_unknown_template_is_404(own: LocalGateway) -> None:
    answer = ask(own, {**BODY, "template": "none"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_who_answers_is_the_request_s_model_else_the_key_s_else_the_fallback(
    own: LocalGateway,
) -> None:
    own.add_model("my/model", prompt="1", completion="2")
    mine = own.add_key(default_model="my/model")

    models = [
        ask(own, {**BODY, "model": "local/babble"}).json()["model"],
        ask(own, token=mine).json()["model"],
        ask(own).json()["model"],
        ask(own, {**BODY, "model": "no/such", "models": ["my/model"]}).json()["model"],
        ask(own, {**BODY, "model": "auto"}).json()["x_resolved_model_id"],
    ]

    assert models == [
        "local/babble",
        "my/model",
        "openai/gpt-4o",
        "my/model",
        "openai/gpt-4o-mini",
    ]


def test_windows_are_fixed_and_name_the_true_seconds_to_their_edge(own: LocalGateway) -> None:
    own.limit(rpm=2, rpd=3)
    own.clock.set(datetime(2026, 1, 1, 12, 0, 58, tzinfo=UTC))

    assert [ask(own).status_code for _ in range(2)] == [200, 200]
    late = ask(own)
    own.clock.advance(2)
    assert ask(own).status_code == 200
    daily = ask(own)

    assert (late.status_code, late.headers["retry-after"]) == (429, "2")
    assert late.json()["error"]["retry_after_seconds"] == 2
    assert "minute" in late.json()["error"]["message"]
    assert daily.json()["error"]["retry_after_seconds"] == 12 * 3600 - 60
    assert "day" in daily.json()["error"]["message"]


def test_a_refused_request_does_not_count(own: LocalGateway) -> None:
    own.limit(rpm=1)

    refused = [ask(own, {**BODY, "model": "no/such"}).status_code for _ in range(3)]

    assert refused == [404, 404, 404]
    assert ask(own).status_code == 200


def test_the_call_that_crosses_the_cap_completes_and_the_next_does_not(own: LocalGateway) -> None:
    own.limit(spend_cap_usd="0.000001")

    first = ask(own, {**BODY, "stream": True})
    second = ask(own)

    assert first.text.endswith("data: [DONE]\n\n")
    assert (second.status_code, second.json()["error"]["code"]) == (402, "spend_limit_exceeded")


def test_usage_is_told_and_booked_by_session(own: LocalGateway) -> None:
    body = {**BODY, "max_tokens": 10, "model": "openai/gpt-4o"}

    whole = ask(own, {**body, "session_id": "s"}).json()
    ask(own, {**body, "session_id": "s", "stream": True})
    ask(own, body)

    price = Decimal(1 * Decimal("2.5") + 10 * Decimal(10)) / 1_000_000
    assert whole["usage"] == {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11}
    assert Decimal(whole["cost"]) == price
    assert own.usage["s"].requests == 2
    assert own.usage["s"].total_tokens == 22
    assert own.usage["s"].cost_usd == 2 * price
    assert own.usage[None].requests == 1


def test_a_stream_that_nobody_reads_to_its_end_is_paid(own: LocalGateway) -> None:
    with own.client().chat.completions.stream(QUESTION) as stream:
        next(stream)

    assert own.usage[None].requests == 1


@pytest.mark.parametrize("version", ["", "2026", "2026-07", "2026-08, 2026-09", "latest"])
def test_a_contract_that_is_none_is_400_before_the_key(version: str, own: LocalGateway) -> None:
    answer = ask(own, token="rsk_nobody", headers={"x-mesh-version": version})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_api_version")


def test_the_contract_is_echoed_also_on_errors(own: LocalGateway) -> None:
    pinned = {"x-mesh-version": "2026-09"}

    versions = [
        ask(own).headers["x-mesh-version"],
        ask(own, headers=pinned).headers["x-mesh-version"],
        ask(own, "{", headers=pinned).headers["x-mesh-version"],
        ask(own, {**BODY, "stream": True}, headers=pinned).headers["x-mesh-version"],
    ]

    assert versions == ["2026-08", "2026-09", "2026-09", "2026-09"]


def test_what_the_gateway_does_not_know_it_drops(own: LocalGateway) -> None:
    assert ask(own, {**BODY, "brand_new": 1}).status_code == 200


def test_other_paths_and_methods_are_errors_in_the_same_envelope(own: LocalGateway) -> None:
    unknown = ask(own, path="/v1/nothing")
    odd = own.transport.handle_request(httpx.Request("GET", "http://gateway//%5B"))
    wrong = ask(own, method="GET")

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "not_found")
    assert odd.status_code == 404
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_a_body_above_the_ceiling_is_the_edge_s_own_page(own: LocalGateway) -> None:
    answer = ask(own, b" " * (32 * 1024 * 1024 + 1))

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "text/html"
    assert "x-request-id" not in answer.headers


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", {"openai/gpt-4o", "openai/gpt-4o-mini", "local/babble"}),
        ("?free=true", {"local/babble"}),
        ("?type=image", set[str]()),
    ],
)
def test_the_models_are_a_bare_array(query: str, ids: set[str], own: LocalGateway) -> None:
    answer = ask(own, method="GET", path=MODELS + query)

    assert {each["id"] for each in answer.json()} == ids
    assert ask(own, method="GET", path=MODELS, token="rsk_nobody").status_code == 401


def test_the_client_lists_the_models_with_their_prices(colour: Sync, gateway: LocalGateway) -> None:
    client = colour.client(base_url=gateway.base_url, token=gateway.token)

    models = {each.id: each for each in colour.settle(client.models.list()).data}
    colour.settle(client.close())

    pricing = models["openai/gpt-4o"].pricing
    assert pricing is not None
    assert pricing.prompt_usd_per_1m == Decimal("2.50")


def test_a_comparison_asks_every_model_and_bills_the_judge_as_well(
    colour: Sync, gateway: LocalGateway
) -> None:
    token = gateway.add_key(rpm=1)
    client = colour.client(base_url=gateway.base_url, token=token, max_retries=0)
    models = ["openai/gpt-4o", "no/such", "openai/gpt-4o"]
    question = ComparisonParams(models=models, messages=QUESTION.messages, max_tokens=5)
    before = gateway.usage[None].requests if None in gateway.usage else 0

    answer = colour.settle(client.chat.compare.create(question))
    with pytest.raises(RateLimitExceeded):
        colour.settle(client.chat.compare.create(question))
    colour.settle(client.close())

    said, failed = answer.results
    assert said.usage is not None
    assert said.usage.completion_tokens == 5
    assert failed.error_code == "model_not_found"
    assert (answer.partial, answer.comparison_model) == (True, "openai/gpt-4o-mini")
    assert answer.comparison
    assert gateway.usage[None].requests == before + 2


@pytest.mark.parametrize(
    ("skip", "names"),
    [(False, {"comparison_chunk", "done"}), (True, {"model_chunk", "model_stream_done", "done"})],
)
def test_a_streamed_comparison_has_the_documented_events(
    skip: bool, names: set[str], own: LocalGateway
) -> None:
    client = own.client()
    params = ComparisonParams(
        models=COMPARED["models"], messages=QUESTION.messages, skip_comparison=skip
    )

    with client.chat.compare.stream(params) as stream:
        found = [each.event for each in stream]

    assert set(found) == names
    assert found[-1] == "done"


def test_a_comparison_in_which_every_model_fails_is_an_error(own: LocalGateway) -> None:
    params = ComparisonParams(models=["no/such"], messages=QUESTION.messages)

    with pytest.raises(ServerError) as failed:
        own.client().chat.compare.create(params)

    assert failed.value.code == "all_models_failed"


def test_a_judge_that_fails_is_replaced(own: LocalGateway) -> None:
    answer = ask(own, {**COMPARED, "comparison_model": "no/such"}, path=COMPARE).json()

    assert answer["comparison_model"] == "openai/gpt-4o-mini"
    assert answer["comparison_fallback_used"] is True


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
    unknown_model = QUESTION.model_copy(update={"model": "no/such"})
    unknown_template = QUESTION.model_copy(update={"template": "none"})

    with pytest.raises(Unauthorized):
        colour.settle(stranger.chat.completions.create(QUESTION))
    with pytest.raises(ModelNotFound) as unknown:
        colour.settle(client.chat.completions.create(unknown_model))
    with pytest.raises(NotFound):
        colour.settle(client.chat.completions.create(unknown_template))
    with pytest.raises(ValidationFailed) as invalid:
        colour.settle(client.chat.completions.create(QUESTION, extra_body={"max_tokens": 0}))
    colour.settle(client.close())

    assert unknown.value.param == "model"
    assert invalid.value.details[0].loc == ["body", "max_tokens"]


@pytest.mark.parametrize(
    "limits",
    [{"rpmm": 1}, {"rpm": -1}, {"rpm": True}, {"rpd": 1.5}, {"spend_cap_usd": "abc"}]
    + [{"spend_cap_usd": each} for each in (-1, "NaN", float("inf"))],
    ids=str,
)
def test_a_limit_that_is_none_is_refused(limits: dict[str, Any], own: LocalGateway) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        own.limit(**limits)
    with pytest.raises(ValueError, match=r"\w"):
        own.add_key("rsk_refused", **limits)
    assert ask(own, token="rsk_refused").status_code == 401


def test_a_price_that_is_none_is_refused(own: LocalGateway) -> None:
    with pytest.raises(ValueError, match="US dollars"):
        own.add_model("my/model", prompt="NaN")


def test_tools_and_calls_are_tokens_of_the_prompt(own: LocalGateway) -> None:
    def prompt_tokens(body: dict[str, Any]) -> int:
        return int(ask(own, body).json()["usage"]["prompt_tokens"])

    function = {"name": "look", "description": "word " * 100}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "word " * 100}}
    said = [*BODY["messages"], {"role": "assistant", "tool_calls": [call]}]

    assert prompt_tokens(BODY) == 1
    assert prompt_tokens({**BODY, "tools": [{"type": "function", "function": function}]}) > 100
    assert prompt_tokens({"messages": said}) > 100


def test_a_bug_of_the_gateway_is_told_in_the_envelope(
    own: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rules, "admit", None)

    answer = ask(own)

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


def test_a_request_without_a_body_has_no_messages(own: LocalGateway) -> None:
    ask(own, b"", method="GET", path=MODELS)
    ask(own, [])

    assert [each.messages for each in own.requests] == [[], []]


def test_requests_are_kept_as_they_came(gateway: LocalGateway) -> None:
    headers = {"authorization": f"Bearer {gateway.token}", "x-own": "1"}

    httpx.post(f"{gateway.base_url}{CHAT}?a=b", json=BODY, headers=headers)

    last = gateway.requests[-1]
    assert (last.method, last.path) == ("POST", f"{CHAT}?a=b")
    assert (last.headers["X-Own"], last.json()) == ("1", BODY)
    assert gateway.token not in repr(last)


def test_an_in_process_client_needs_no_server(colour: Sync) -> None:
    gateway = LocalGateway(answers="echo")
    client = colour.in_process(gateway)

    assert colour.settle(client.chat.completions.create(QUESTION)).text == "Hi"
    assert "".join(colour.text_of(client.chat.completions.stream(QUESTION))) == "Hi"
    colour.settle(client.close())


@pytest.mark.parametrize("options", [{}, {"max_retries": 0}], ids=str)
def test_an_in_process_client_that_is_closed_asks_no_more(
    colour: Sync, options: ClientOptions, own: LocalGateway
) -> None:
    client = colour.in_process(own, **options)
    colour.settle(client.close())

    with pytest.raises(ConfigurationError, match="closed"):
        colour.settle(client.chat.completions.create(QUESTION))

    assert not own.requests


def test_a_gateway_that_does_not_run_says_so_and_can_be_started_again() -> None:
    gateway = LocalGateway()

    for _ in range(2):
        with pytest.raises(RuntimeError, match="not running"):
            gateway.base_url  # noqa: B018  # Asking is what raises.
        with gateway:
            headers = {"authorization": f"Bearer {gateway.token}"}
            assert httpx.get(gateway.base_url + MODELS, headers=headers).status_code == 200


def test_a_server_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("app", "server"):
        monkeypatch.delitem(sys.modules, f"meshapi.local.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'meshapi\[local\]'"):
        LocalGateway().start()
    assert LocalGateway().client().chat.completions.create(QUESTION).text


def test_a_reset_forgets_everything(own: LocalGateway) -> None:
    token = own.add_key()
    own.add_template("t", "Hello")
    own.limit(rpm=0)
    own.fail(500)
    ask(own)

    own.reset()

    assert (len(own.requests), own.unused, dict(own.usage)) == (0, 0, {})
    assert ask(own, token=token).status_code == 401
    assert ask(own, {**BODY, "template": "t"}).status_code == 404
    assert ask(own).status_code == 200
    assert own.clock.time() > datetime(2026, 1, 2, tzinfo=UTC).timestamp()


def test_skipped_waits_move_the_clock_and_the_deadline(colour: Sync, own: LocalGateway) -> None:
    own.limit(rpm=1)
    patient = colour.in_process(own)
    hasty = patient.with_options(timeout=Timeout(total=100))
    begun = own.clock.time()

    with own.skip_waits():
        attempts = [
            colour.settle(patient.chat.completions.create(QUESTION)).meta.attempts for _ in range(3)
        ]
        own.fail(429, retry_after=55)
        own.fail(429, retry_after=55)
        with pytest.raises(RateLimitExceeded) as late:
            colour.settle(hasty.chat.completions.create(QUESTION))
    colour.settle(patient.close())

    assert attempts == [1, 2, 2]
    assert late.value.meta.attempts == 2
    assert 60 + 60 <= own.clock.time() - begun < 300


def test_those_who_wait_at_the_same_time_wait_together(
    colour: Sync, own: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five waits of 50 s are over after 50 s, so that nobody's 90 s are."""
    monkeypatch.setattr(clock, "_TOGETHER", 0.3)  # A slow machine begins them further apart.
    client = colour.in_process(own)
    hasty = client.with_options(timeout=90)
    begun = own.clock.time()
    own.fail(429, retry_after=50, times=5)

    with own.skip_waits():
        answers = colour.together(lambda: hasty.chat.completions.create(QUESTION), 5)
    colour.settle(client.close())

    assert [each.meta.attempts for each in answers] == [2] * 5
    assert 50 <= own.clock.time() - begun < 90


def test_every_clock_that_skips_moves(own: LocalGateway) -> None:
    other = LocalGateway()
    client = own.client()
    own.limit(rpm=1)

    with own.skip_waits(), other.skip_waits():
        attempts = [client.chat.completions.create(QUESTION).meta.attempts for _ in range(2)]

    assert attempts == [1, 2]


def test_clients_wait_again_whoever_stops_skipping_first() -> None:
    before = vars(Transport)["sleep"], vars(AsyncTransport)["clock"]
    first, second = LocalGateway().skip_waits(), LocalGateway().skip_waits()

    first.__enter__()
    second.__enter__()
    assert vars(Transport)["sleep"] is not before[0]
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)

    assert (vars(Transport)["sleep"], vars(AsyncTransport)["clock"]) == before


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_clock_moves_forward_only(seconds: float, own: LocalGateway) -> None:
    with pytest.raises(ValueError, match="forward"):
        own.clock.advance(seconds)


def test_a_moment_needs_its_zone(own: LocalGateway) -> None:
    with pytest.raises(ValueError, match="zone"):
        own.clock.set(datetime(2026, 1, 1))  # What is refused.


@pytest.mark.parametrize("options", [{"answers": "parrot"}, {"tokens_per_second": 0}], ids=str)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LocalGateway(**options)


def test_a_request_tells_what_a_tool_was_called_with(colour: Sync) -> None:
    def weather(city: str) -> str:
        return f"The sky over {city} is clear."

    gateway = LocalGateway()
    client = colour.in_process(gateway)
    gateway.reply(tool_calls=[{"name": "weather", "arguments": {"city": "Oslo"}}])
    gateway.reply("Clear.")
    colour.settle(client.chat.completions.run(QUESTION, tools=[weather]))
    colour.settle(client.close())

    first, last = gateway.requests
    assert first.tool_calls == []
    (call,) = last.tool_calls
    assert (call.function.name, call.function.parsed_arguments) == ("weather", {"city": "Oslo"})


def test_a_request_that_was_refused_tells_its_tool_calls_too(own: LocalGateway) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    no_role, no_list = {"tool_calls": [call]}, {"role": "user", "tool_calls": "none"}
    with httpx.Client(transport=own.transport, base_url="http://gateway") as client:
        client.post("/v1/chat/completions", json={"messages": [no_role, no_list]})

    assert [each.id for each in own.requests[-1].tool_calls] == ["1"]


def test_conversations_at_once_are_each_told_their_own(colour: Sync) -> None:
    gateway = LocalGateway(answers="script")
    client = colour.in_process(gateway, max_retries=0)
    gateway.reply("Rain.", when="Oslo")
    gateway.fail(503, when="Oslo")
    gateway.reply("Sun.", when="Rome")

    rome, oslo = (
        ChatCompletionParams(
            messages=[
                {"role": "user", "content": f"The weather in {city}?"},
                {"role": "user", "content": "Today?"},
            ]
        )
        for city in ("Rome", "Oslo")
    )

    assert colour.settle(client.chat.completions.create(rome)).text == "Sun."
    assert colour.settle(client.chat.completions.create(oslo)).text == "Rain."
    with pytest.raises(ProviderNotAvailable):
        colour.settle(client.chat.completions.create(oslo))
    assert gateway.unused == 0
    colour.settle(client.close())


def test_a_line_of_a_script_waits_for_its_conversation() -> None:
    gateway = LocalGateway(answers="echo")
    gateway.load_script('{"reply": "Rain.", "when": "Oslo"}')
    client = gateway.client()

    assert client.chat.completions.create(QUESTION).text != "Rain."
    assert gateway.unused == 1


@pytest.mark.parametrize("when", ["", 1])
def test_words_to_wait_for_are_some(when: Any) -> None:
    with pytest.raises(ValueError, match="when"):
        LocalGateway().reply("Hi", when=when)
