"""Ask once, and read the answer, its usage and its request id."""

from meshapi import ChatCompletionParams, ChatMessage, MeshAPI

with MeshAPI() as client:
    completion = client.chat.completions.create(
        ChatCompletionParams(
            model="openai/gpt-4o-mini",
            messages=[
                ChatMessage(role="system", content="You are a concise assistant."),
                ChatMessage(role="user", content="Summarize why async IO matters."),
            ],
            temperature=0.2,
        )
    )

print(completion.choices[0].message.content)
print(completion.usage, completion.meta.request_id)
