"""A gateway on this machine, a streamed answer from it, and a typed error caught."""

from meshapi import ChatCompletionParams, MeshAPI, SpendLimitExceeded
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "What is a function?"}])

with LocalGateway(tokens_per_second=40) as gateway:
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token)
    with client.chat.completions.stream(question) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
    print("\n\nUsage:", stream.usage)

    poor = client.with_options(token=gateway.add_key(spend_cap_usd=0))
    try:
        poor.chat.completions.create(question)
    except SpendLimitExceeded as error:
        print("Caught SpendLimitExceeded:", error)
