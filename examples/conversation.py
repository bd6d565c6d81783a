"""Put an answer back into the messages, and go on."""

from meshapi import ChatCompletionParams, MeshAPI

client = MeshAPI()
params = ChatCompletionParams(messages=[{"role": "user", "content": "Pick a number."}])

for reply in ("Double it.", "Now halve it."):
    completion = client.chat.completions.create(params)
    answer = completion.choices[0].message
    print(answer.content)
    params.messages = [*params.messages, answer, {"role": "user", "content": reply}]

print(len(params.messages), "messages")
