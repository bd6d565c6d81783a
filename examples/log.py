"""See what the client does: a line for each attempt, without content and without secrets."""

import logging
import sys

from meshapi import ChatCompletionParams, MeshAPI
from meshapi.local import LocalGateway

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
logging.getLogger("meshapi").setLevel(logging.INFO)  # Or set MESHAPI_LOG=info, for stderr.

question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}])

with LocalGateway() as gateway, gateway.skip_waits():
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token)
    gateway.fail(429, retry_after=2)
    client.chat.completions.create(question)
    client.chat.completions.stream(question).final()
