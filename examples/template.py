"""Let a stored template write the prompt, and group calls by session."""

from meshapi import ChatCompletionParams, MeshAPI
from meshapi.local import LocalGateway

with LocalGateway() as gateway:
    gateway.add_template("support-reply", "You help {{company}} customers on plan {{plan}}.")
    client = MeshAPI(base_url=gateway.base_url, token=gateway.token)
    completion = client.chat.completions.create(
        ChatCompletionParams(
            template="support-reply",
            variables={"company": "Acme Cloud", "plan": "Pro"},
            session_id="ticket-4711",
            messages=[{"role": "user", "content": "I need help understanding my invoice."}],
        )
    )
    print(completion.text)
