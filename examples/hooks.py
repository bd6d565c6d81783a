"""Be told of every attempt: what is sent, what came of it, and each wait for another."""

from meshapi import ChatCompletionParams, Hooks, MeshAPI
from meshapi.local import LocalGateway

hooks = Hooks(
    on_request=lambda request: print("Attempt", request.attempt, request.path),
    on_response=lambda response: print(response.status_code, f"{response.elapsed:.3f} s"),
    on_retry=lambda retry: print("Retry in", round(retry.wait), "s"),
)
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])

with LocalGateway() as gateway, gateway.skip_waits():
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token, hooks=hooks)
    gateway.fail(429, retry_after=10)
    client.chat.completions.create(question)
    client.with_options(hooks=None).chat.completions.create(question)
