"""Ask a gateway that runs in this process: no key, no network, no port."""

from meshapi import ChatCompletionParams, RateLimitExceeded
from meshapi.local import LocalGateway

question = ChatCompletionParams(messages=[{"role": "user", "content": "What is a generator?"}])
gateway = LocalGateway()
client = gateway.client(max_retries=0)

print(client.chat.completions.create(question).text)

gateway.reply("Forty-two.")
print(client.chat.completions.create(question).text)

gateway.fail(429, retry_after=60)
try:
    client.chat.completions.create(question)
except RateLimitExceeded as error:
    print("Again in", error.retry_after, "seconds")
