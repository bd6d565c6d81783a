"""Test your app without a server: httpx's own mock transport answers."""

import httpx

from meshapi import ChatCompletionParams, MeshAPI


def answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"choices": [{"message": {"content": "mocked"}}]})


http_client = httpx.Client(transport=httpx.MockTransport(answer))
client = MeshAPI(token="rsk_test", http_client=http_client)
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])

print(client.chat.completions.create(question).text)
