"""Catch a rate limit, and know how long to wait."""

from meshapi import ChatCompletionParams, MeshAPI, RateLimitExceeded
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])

with LocalGateway() as gateway:
    token = gateway.add_key(rpm=1)
    client = MeshAPI(base_url=gateway.base_url, token=token, max_retries=0)
    try:
        while True:
            print(client.chat.completions.create(question).text)
    except RateLimitExceeded as error:
        print("Again in", error.retry_after, "seconds")
