"""Keep what had come when a stream breaks (here: a mocked server that stops half-way)."""

import httpx

from meshapi import ChatCompletionParams, MeshAPI, MeshAPIError

CUT = 'data: {"choices": [{"delta": {"content": "Once upon a"}}]}\n\n'
broken = httpx.MockTransport(lambda _: httpx.Response(200, text=CUT))
client = MeshAPI(token="rsk_test", http_client=httpx.Client(transport=broken))
question = ChatCompletionParams(messages=[{"role": "user", "content": "Tell me a story."}])

try:
    print(client.chat.completions.stream(question).final().text)
except MeshAPIError as error:  # Whatever broke it: a cut, a silence, an error of the gateway.
    print(error)
    if error.partial:
        print("Kept:", error.partial.text)
