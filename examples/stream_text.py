"""Print an answer while it is being written, then look at it whole."""

from meshapi import ChatCompletionParams, MeshAPI

question = ChatCompletionParams(messages=[{"role": "user", "content": "Tell me a story."}])

with MeshAPI() as client, client.chat.completions.stream(question) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
    completion = stream.final()

print(f"\n{completion.choices[0].finish_reason}: {completion.usage}")
