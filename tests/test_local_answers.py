"""Who answers at the local gateway: babble, an echo, a script, a server behind it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, cast

import jsonschema
import pytest

from meshapi import (
    AsyncMeshAPI,
    ChatCompletionParams,
    ChatCompletionResponse,
    GatewayTimeout,
    MeshAPIError,
    ModelNotFound,
    Timeout,
    UnprocessableEntity,
    UpstreamError,
)
from meshapi.local import LocalGateway
from meshapi.local.babble import babble, tokens_of
from tests.colours import Client, Sync
from tests.wire_server import WireServer, events, response

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "minLength": 1},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
                "unit": {"enum": ["c", "f"]},
            },
            "required": ["city", "days", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "read_clock"}}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def asked(text: str = "What is a function?", **fields: Any) -> ChatCompletionParams:
    return ChatCompletionParams(messages=[{"role": "user", "content": text}], **fields)


@pytest.fixture
def own() -> LocalGateway:
    return LocalGateway()


def answer_of(gateway: LocalGateway, params: ChatCompletionParams) -> ChatCompletionResponse:
    return gateway.client().chat.completions.create(params)


def answer(gateway: LocalGateway, params: ChatCompletionParams) -> ChatCompletionResponse:
    """The answer, the same whole and streamed as far as both say it."""
    whole = answer_of(gateway, params)
    if params.seed is not None:
        streamed = gateway.client().chat.completions.stream(params).final()
        assert without_ids(streamed) == without_ids(whole)
        assert streamed.usage == whole.usage
    return whole


def without_ids(completion: ChatCompletionResponse) -> str:
    """What was said; a call's id is another one each time."""
    said = "".join(choice.model_dump_json() for choice in completion.choices)
    return re.sub(r"call_\w+", "call", said)


def test_the_same_seed_gives_the_same_text_and_another_another(own: LocalGateway) -> None:
    texts = [answer(own, asked(seed=seed)).text for seed in (7, 7, 8)]

    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_two_answers_differ(own: LocalGateway) -> None:
    assert len({answer(own, asked(max_tokens=40)).text for _ in range(5)}) > 1


def test_temperature_and_top_p_of_zero_always_take_the_likeliest(own: LocalGateway) -> None:
    greedy = {answer(own, asked(temperature=0, max_tokens=50)).text for _ in range(5)}
    nucleus = {answer(own, asked(top_p=0, max_tokens=50)).text for _ in range(5)}

    assert len(greedy | nucleus) == 1


def test_a_low_temperature_says_less_varied_words() -> None:
    def kinds(temperature: float) -> int:
        said = [babble("x", random.Random(seed), temperature=temperature) for seed in range(30)]
        return len({token for each in said for token in each.tokens})

    assert kinds(0.1) < kinds(1.0) < kinds(2.0)


def test_without_a_limit_an_answer_ends_by_itself(own: LocalGateway) -> None:
    answers = [answer(own, asked(temperature=seed % 3)) for seed in range(60)]

    assert {each.choices[0].finish_reason for each in answers} == {"stop"}
    assert max(len(tokens_of(each.text)) for each in answers) <= 200


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_cuts_the_answer_and_says_so(name: str, own: LocalGateway) -> None:
    said = answer(own, asked(seed=1).model_copy(update={name: 5}))

    assert len(tokens_of(said.text)) == 5
    assert said.choices[0].finish_reason == "length"


@pytest.mark.parametrize("many", [False, True])
def test_a_stop_sequence_ends_the_answer_before_it(many: bool, own: LocalGateway) -> None:
    text = answer(own, asked(seed=7)).text
    word = text.split()[5]

    said = answer(own, asked(seed=7, stop=["never said at all", word] if many else word))

    assert said.text == text[: text.index(word)]
    assert said.choices[0].finish_reason == "stop"
    assert said.usage is not None
    assert said.usage.completion_tokens == len(tokens_of(said.text))


def test_a_greedy_answer_of_any_length_ends(own: LocalGateway) -> None:
    said = answer(own, asked(temperature=0, max_tokens=10**9))

    assert 0 < len(tokens_of(said.text)) <= 4096


def test_usage_counts_the_tokens_of_question_and_answer(own: LocalGateway) -> None:
    said = answer(own, asked("What is it?"))

    assert said.usage is not None
    assert said.usage.prompt_tokens == 4
    assert said.usage.completion_tokens == len(tokens_of(said.text))
    assert said.usage.total_tokens == 4 + said.usage.completion_tokens


def test_tokens_are_words_and_marks_and_lose_nothing() -> None:
    text = "Is it? Yes, 42.\n  Zürich 🙂 "

    assert tokens_of("Is it? Yes, 42.") == ["Is", " it", "?", " Yes", ",", " 42", "."]
    assert "".join(tokens_of(text)) == text


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=str
)
def test_a_forced_tool_is_called_with_arguments_that_satisfy_its_schema(
    choice: Any, own: LocalGateway
) -> None:
    for seed in range(20):
        params = asked("Weather?", tools=[CLOCK, WEATHER], tool_choice=choice, seed=seed)
        said = answer(own, params).choices[0]

        assert said.finish_reason == "tool_calls"
        assert said.message.content is None
        assert said.message.tool_calls is not None
        (call,) = said.message.tool_calls
        assert call.function.name == "get_weather"
        jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


@pytest.mark.parametrize(
    ("text", "choice", "called"),
    [
        ("How is the weather?", "auto", ["get_weather"]),
        ("The weather, and the clock?", None, ["get_weather", "read_clock"]),
        ("How are you?", "auto", []),
        ("Did you get it? My findings are clocked.", "auto", []),
        ("How is the weather?", "none", []),
    ],
)
def test_a_tool_that_the_question_names_is_called_unless_forbidden(
    text: str, choice: Any, called: list[str], own: LocalGateway
) -> None:
    params = asked(text, tools=[WEATHER, CLOCK], tool_choice=choice, seed=1)

    message = answer(own, params).choices[0].message

    assert [each.function.name for each in message.tool_calls or []] == called
    assert (message.content is None) == bool(called)


@pytest.mark.parametrize(
    ("name", "text"), [("sumUp", "What is the sum?"), ("run_sql", "SQL!"), ("суши", "суши")]
)
def test_a_name_is_read_as_words(name: str, text: str, own: LocalGateway) -> None:
    tool = {"type": "function", "function": {"name": name}}

    assert answer(own, asked(text, tools=[tool])).choices[0].message.tool_calls


def test_every_call_has_an_id_of_its_own_whatever_the_seed(own: LocalGateway) -> None:
    params = asked(tools=[WEATHER], tool_choice="required", seed=7)
    own.reply(tool_calls=["get_weather"])

    calls = [answer_of(own, params).choices[0].message.tool_calls or [] for _ in range(3)]

    assert len({call.id for each in calls for call in each}) == 3


def test_arguments_are_json_also_where_the_schema_asks_for_a_string(own: LocalGateway) -> None:
    function = {"name": "say", "parameters": {"type": "string"}}
    tool = {"type": "function", "function": function}

    message = answer(own, asked(tools=[tool], tool_choice="required")).choices[0].message

    assert isinstance(json.loads((message.tool_calls or [])[0].function.arguments), str)


def test_after_a_tool_s_result_comes_text(own: LocalGateway) -> None:
    first = asked("How is the weather?", tools=[WEATHER])
    call = answer(own, first).choices[0].message
    assert call.tool_calls is not None
    result = {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "Rain"}

    said = answer(own, first.model_copy(update={"messages": [*first.messages, call, result]}))

    assert said.text


def test_a_schema_is_followed(own: LocalGateway) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}

    for seed in range(20):
        text = answer(own, asked(response_format=form, seed=seed)).text
        jsonschema.validate(json.loads(text), PERSON)


def test_a_json_object_is_one(own: LocalGateway) -> None:
    text = answer(own, asked(response_format={"type": "json_object"})).text

    assert isinstance(json.loads(text), dict)


def test_json_that_is_too_long_is_cut_like_words(own: LocalGateway) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}

    said = answer(own, asked(response_format=form, max_tokens=3, seed=1))

    assert said.choices[0].finish_reason == "length"
    assert said.text.startswith('{"')
    with pytest.raises(ValueError, match=r"\S"):
        json.loads(said.text)


def test_arguments_that_are_too_long_are_cut(own: LocalGateway) -> None:
    params = asked(tools=[WEATHER], tool_choice="required", max_tokens=3, seed=1)

    choice = answer(own, params).choices[0]

    assert choice.finish_reason == "length"


def test_a_schema_that_nothing_satisfies_is_422(own: LocalGateway) -> None:
    schema = {"type": "integer", "minimum": 2, "maximum": 1}
    form = {"type": "json_schema", "json_schema": {"name": "none", "schema": schema}}

    with pytest.raises(UnprocessableEntity, match="schema"):
        answer(own, asked(response_format=form))


def test_an_echo_says_what_the_user_said_last() -> None:
    own = LocalGateway(answers="echo")
    params = ChatCompletionParams(
        messages=[
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": "Well"},
            {"role": "user", "content": [{"type": "text", "text": "And then?"}]},
        ],
        seed=1,
    )

    assert answer(own, params).text == "And then?"
    assert answer(own, params.model_copy(update={"max_tokens": 1})).text == "And"


def test_a_script_says_everything_that_a_model_can(own: LocalGateway) -> None:
    client = own.client()
    own.reply("Hello, 🙂", reasoning="They greet.", times=2)
    own.reply({"city": "Zürich"})
    own.reply(refusal="I would rather not.")
    own.reply(tool_calls=["get_weather", {"name": "other", "arguments": {"a": 1}}])
    own.reply(tool_calls=[{"name": "broken", "arguments": "{"}], finish_reason="length")
    params = asked(tools=[WEATHER])

    whole = client.chat.completions.create(params)
    streamed = client.chat.completions.stream(params).final()
    schema, refused, called, broken = (client.chat.completions.create(params) for _ in range(4))

    assert whole.choices == streamed.choices
    assert whole.text == "Hello, 🙂"
    assert whole.choices[0].message.reasoning == "They greet."
    assert schema.text == '{"city": "Zürich"}'
    assert refused.choices[0].message.refusal == "I would rather not."
    assert refused.choices[0].message.content is None
    made, given = called.choices[0].message.tool_calls or []
    jsonschema.validate(json.loads(made.function.arguments), WEATHER["function"]["parameters"])
    assert (given.function.name, given.function.arguments) == ("other", '{"a": 1}')
    assert broken.choices[0].finish_reason == "length"
    assert (broken.choices[0].message.tool_calls or [])[0].function.arguments == "{"
    assert own.unused == 0


def test_a_script_that_names_a_tool_the_request_has_not_is_422(own: LocalGateway) -> None:
    own.reply(tool_calls=["get_weather"])

    with pytest.raises(UnprocessableEntity, match="get_weather"):
        answer(own, asked())


def test_where_only_a_script_answers_a_request_without_one_is_502() -> None:
    own = LocalGateway(answers="script")
    own.reply("Once")

    assert answer(own, asked()).text == "Once"
    with pytest.raises(UpstreamError, match="script is over"):
        own.client(max_retries=0).chat.completions.create(asked())


def test_a_script_can_be_written_as_json_lines(own: LocalGateway) -> None:
    own.load_script(
        '{"fail": 429, "retry_after": 7}\n\n'
        '{"reply": "Hello", "times": 2}\n'
        '{"fail": "truncate", "after": 2, "reply": "Hello there"}\n'
        '{"reply": null, "tool_calls": [{"name": "f", "arguments": {}}]}\n'
    )
    client = own.client(max_retries=1)

    with own.skip_waits():
        assert client.chat.completions.create(asked()).meta.attempts == 2
    assert client.chat.completions.create(asked()).text == "Hello"
    assert own.unused == 2


def test_a_script_s_lines_end_at_line_feeds_alone(own: LocalGateway) -> None:
    own.load_script('{"reply": "a\u2028b\x85c"}\r\n')

    assert answer(own, asked()).text == "a\u2028b\x85c"


@pytest.mark.parametrize(
    "options",
    [
        {"content": 1j},
        {"content": {"a": float("nan")}},
        {"content": "\ud800"},
        {"tool_calls": [{"arguments": {"a": 1}}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"refused": "No."},
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_sent_is_refused_when_it_is_scripted(
    options: dict[str, Any], own: LocalGateway
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        own.reply(**options)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Line 2"),
        ("[]", "reply"),
        ('{"say": "x"}', "reply"),
        ('{"reply": 3}', "content"),
        ('{"reply": "x", "color": 1}', "color"),
        ('{"fail": "explode"}', "kind"),
        ('{"fail": 200}', "kind"),
        ('{"fail": 429, "after": -1}', "after"),
        ('{"reply": "x", "times": 0}', "greater than or equal to 1"),
    ],
)
def test_a_script_that_cannot_work_says_where(line: str, words: str, own: LocalGateway) -> None:
    with pytest.raises(ValueError, match=r"Line 2 of the script") as wrong:
        own.load_script(f'{{"reply": "x"}}\n{line}')

    assert words in str(wrong.value)
    assert own.unused == 0


CHUNKS = (
    'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"llama",'
    '"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"llama",'
    '"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n'
    'data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"llama",'
    '"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
    "data: [DONE]\n\n"
)
WHOLE = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "llama",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "timings": {"n": 1},
    }
)


@pytest.fixture
def upstream() -> Iterator[WireServer]:
    """A server that speaks OpenAI's chat completions, and nothing of Mesh."""

    def script(request: Any) -> list[bytes]:
        return [events(CHUNKS) if request.json().get("stream") else response(WHOLE)]

    with WireServer(script) as server:
        yield server


def test_an_upstream_answers_under_the_gateway_s_rules(colour: Sync, upstream: WireServer) -> None:
    with LocalGateway(upstream=f"{upstream.url}/v1", upstream_token="sk") as gateway:
        gateway.add_template("brief", "Be {{how}}.")
        gateway.add_model("llama", prompt=1, completion=1)
        gateway.limit(spend_cap_usd="0.000006")
        client = colour.client(base_url=gateway.base_url, token=gateway.token, max_retries=0)
        params = asked(
            "Hi", model="llama", template="brief", variables={"how": "short"}, session_id="s"
        )

        whole = colour.settle(client.chat.completions.create(params, extra_body={"top_k": 5}))
        text = "".join(colour.text_of(client.chat.completions.stream(params)))
        with pytest.raises(Exception, match="spend cap"):
            colour.settle(client.chat.completions.create(params))
        colour.settle(client.close())
        used = gateway.usage["s"]

    first, second = (each.json() for each in upstream.requests)
    assert (whole.text, text) == ("Hello", "Hello")
    assert whole.model_dump()["timings"] == {"n": 1}
    assert whole.cost is not None
    assert used.total_tokens == 10
    assert upstream.requests[0].path == "/v1/chat/completions"
    assert upstream.requests[0].headers["authorization"] == "Bearer sk"
    assert first["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
    ]
    assert (first["model"], first["top_k"]) == ("llama", 5)
    assert not first.keys() & {"template", "variables", "session_id", "stream"}
    assert second["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        (response('{"error": {"message": "no model x"}}', status=404), ModelNotFound, "no model x"),
        (response('{"error": {"message": "gone"}}', status=500), UpstreamError, "gone"),
        (response('{"error": {"message": "late"}}', status=504), GatewayTimeout, "late"),
        (response('{"error": {"message": "who?"}}', status=401), UpstreamError, "who?"),
        (response("<html>", content_type="text/html"), UpstreamError, "JSON"),
    ],
)
def test_an_upstream_s_failure_is_told_in_the_gateway_s_words(
    script: bytes, error: type[Exception], words: str
) -> None:
    with WireServer(script) as server:
        client = LocalGateway(upstream=server.url).client(max_retries=0)

        with pytest.raises(error, match=words):
            client.chat.completions.create(asked())
        with pytest.raises(error):
            list(client.chat.completions.stream(asked()))


def test_an_upstream_that_is_not_there_is_502(own: LocalGateway) -> None:
    client = LocalGateway(upstream="http://127.0.0.1:9").client(max_retries=0)

    with pytest.raises(UpstreamError) as failed:
        client.chat.completions.create(asked())

    assert failed.value.provider_error is not None
    assert failed.value.provider_error.provider == "upstream"


def test_an_upstream_stream_that_breaks_ends_with_an_error_frame() -> None:
    with WireServer(events(CHUNKS.split("\n\n")[0] + "\n\n")) as server:
        stream = LocalGateway(upstream=server.url).client().chat.completions.stream(asked())

        with pytest.raises(UpstreamError) as cut:
            list(stream)

    assert cut.value.partial is not None
    assert cut.value.partial.text == "Hel"


def test_an_upstream_s_wait_is_never_cut_down(own: LocalGateway) -> None:
    refused = response('{"error": "slowly"}', status=429, headers={"retry-after": "0.4"})
    with WireServer(refused) as server:
        client = LocalGateway(upstream=server.url).client(max_retries=0)

        with pytest.raises(UpstreamError) as failed:
            client.chat.completions.create(asked())

    assert failed.value.retry_after == 1


CUMULATIVE = "".join(
    f'data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{'
    f'"index":0,"delta":{{"content":" word"}}}}],"usage":{{"prompt_tokens":3,'
    f'"completion_tokens":{count},"total_tokens":{3 + count}}}}}\n\n'
    for count in (1, 2, 3)
)
SILENT = re.sub(r',"usage":\{[^}]*\}', "", CUMULATIVE)


@pytest.mark.parametrize("stream", [CUMULATIVE, SILENT], ids=["told thrice", "not told"])
@pytest.mark.parametrize("reads", [1, 3], ids=["left", "read"])
def test_a_stream_of_an_upstream_is_booked_once_whatever_it_tells(stream: str, reads: int) -> None:
    with WireServer(events(stream + "data: [DONE]\n\n")) as server:
        gateway = LocalGateway(upstream=server.url)
        with gateway.client().chat.completions.stream(asked("One two three")) as chunks:
            for _ in range(reads):
                next(chunks)

    used = gateway.usage[None]
    assert used.requests == 1
    assert used.prompt_tokens == 3
    assert 1 <= used.completion_tokens <= reads + 1


@pytest.mark.parametrize(
    "fault", ["disconnect", "corrupt", "one_byte_writes", "slow; seconds=0.01", "stall; after=0"]
)
@pytest.mark.parametrize("way", ["socket", "process"])
def test_an_upstream_s_answer_that_is_spoilt_is_booked_once(
    fault: str, way: str, colour: Sync, upstream: WireServer
) -> None:
    with LocalGateway(upstream=upstream.url) as gateway:
        client = in_either_way(way, colour, gateway)
        hasty = client.with_options(timeout=Timeout(total=0.3, first_event=0.3, idle=0.3))
        with suppress(MeshAPIError):
            headers = {"x-meshapi-fault": fault}
            stream = hasty.chat.completions.stream(asked(), headers=headers)
            colour.take(stream, 1)
            colour.settle(stream.close())
        assert soon(lambda: None in gateway.usage)
        colour.settle(client.close())

    assert gateway.usage[None].requests == 1


def in_either_way(way: str, colour: Sync, gateway: LocalGateway) -> Client:
    """A client over a socket, or in this process."""
    if way == "socket":
        return colour.client(base_url=gateway.base_url, token=gateway.token, max_retries=0)
    return colour.in_process(gateway, max_retries=0)


def test_a_program_ends_though_an_upstream_does_not_answer() -> None:
    program = """
import asyncio, sys
from meshapi import ChatCompletionParams
from meshapi.local import LocalGateway

async def main():
    client = LocalGateway(upstream=sys.argv[1]).async_client(max_retries=0)
    question = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])
    call = asyncio.ensure_future(client.chat.completions.create(question))
    await asyncio.sleep(0.2)
    call.cancel()

asyncio.run(main())
"""
    with WireServer([60.0]) as server:
        command = [sys.executable, "-c", program, server.url]
        run = subprocess.run(command, capture_output=True, timeout=20, check=False)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("way", ["socket", "process"])
def test_who_leaves_a_stream_ends_it_at_the_upstream_too(way: str, colour: Sync) -> None:
    with LocalGateway() as upstream:
        upstream.fail("stall", after=2, seconds=60)
        with LocalGateway(upstream=upstream.base_url, upstream_token=upstream.token) as gateway:
            client = in_either_way(way, colour, gateway)
            stream = client.chat.completions.stream(asked())
            colour.take(stream, 2)
            time.sleep(0.1)  # By now somebody waits in the silence.
            colour.settle(stream.close())
            assert soon(lambda: not connections_of(upstream))
            colour.settle(client.close())


def connections_of(gateway: LocalGateway) -> int:
    """How many requests it is answering."""
    state = cast("Any", gateway)._server._server.server_state
    return len(state.tasks)


def soon(question: Callable[[], bool]) -> bool:
    """Whether it is so within five seconds."""
    end = time.monotonic() + 5
    while not question() and time.monotonic() < end:
        time.sleep(0.01)
    return question()


def test_an_upstream_keeps_nobody_else_waiting() -> None:
    async def ticks_while_it_waits(client: AsyncMeshAPI) -> int:
        call = asyncio.ensure_future(client.chat.completions.create(asked()))
        ticks = 0
        while not call.done():
            await asyncio.sleep(0.01)
            ticks += 1
        await call
        return ticks

    with WireServer([0.3, response(WHOLE)]) as server:
        client = LocalGateway(upstream=server.url).async_client()

        assert asyncio.run(ticks_while_it_waits(client)) > 3


def test_an_upstream_that_is_late_is_504() -> None:
    with WireServer([30.0]) as server:
        client = LocalGateway(upstream=server.url).client(max_retries=0)

        with pytest.raises(GatewayTimeout):
            client.chat.completions.create(asked(timeout=0.1))
