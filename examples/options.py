"""Set options for a client, for a group of calls, or for one call: the newest word counts."""

from meshapi import ChatCompletionParams, MeshAPI, Timeout
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}], max_tokens=10)

with LocalGateway() as gateway:
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token, timeout=60)
    nightly = client.with_options(timeout=Timeout(total=300, idle=30), headers={"X-Job": "nightly"})

    client.chat.completions.create(question)
    nightly.chat.completions.create(question, max_retries=0, extra_body={"brand_new": True})
    nightly.chat.completions.create(question, timeout=5, headers={"X-Job": "in a hurry"})

    for request in gateway.requests:
        print(request.headers.get("x-job"), request.json())
