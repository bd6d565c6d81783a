"""Waits: those for a retry are skipped, silences are real."""

import pytest

from meshapi import (
    ChatCompletionParams,
    DeadlineExceeded,
    Hooks,
    MeshAPI,
    RateLimitExceeded,
    RetryInfo,
    Timeout,
)
from meshapi.local import LocalGateway

QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])


def test_a_full_minute_is_waited_for(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(429, retry_after=60)
    mesh_gateway.reply("Sorry for the wait.")

    answer = MeshAPI().chat.completions.create(QUESTION)  # It takes milliseconds.

    assert answer.text == "Sorry for the wait."
    assert answer.meta.attempts == 2


def test_a_user_is_told_of_a_wait(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(429, retry_after=60)
    told: list[RetryInfo] = []
    client = MeshAPI(hooks=Hooks(on_retry=told.append))

    client.chat.completions.create(QUESTION)

    [retry] = told
    assert retry.response.error is RateLimitExceeded
    assert 60 <= retry.wait <= 66  # What the server asked for, and up to a tenth more.


def test_a_limit_names_its_wait(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.limit(rpm=1)
    client = MeshAPI(max_retries=0)
    client.chat.completions.create(QUESTION)

    with pytest.raises(RateLimitExceeded) as caught:
        client.chat.completions.create(QUESTION)

    assert caught.value.retry_after == 60
    mesh_gateway.clock.advance(60)
    assert client.chat.completions.create(QUESTION).text


def test_a_model_that_falls_silent_is_given_up(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail("stall", after=3, reply="We ship on Monday.")
    client = MeshAPI(timeout=Timeout(idle=0.5))

    with pytest.raises(DeadlineExceeded) as caught:
        client.chat.completions.stream(QUESTION).final()

    assert caught.value.partial
    assert caught.value.partial.text == "We ship"
