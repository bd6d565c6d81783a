"""Know when the budget is spent: the call that crosses the cap completes, the next is refused."""

from meshapi import ChatCompletionParams, MeshAPI, SpendLimitExceeded
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])

with LocalGateway() as gateway:
    token = gateway.add_key(spend_cap_usd="0.0001")
    client = MeshAPI(base_url=gateway.base_url, token=token)
    try:
        while True:
            print(client.chat.completions.create(question).text)
    except SpendLimitExceeded as error:
        print("No more:", error)
