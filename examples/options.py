"""Set options for a client, for a group of calls, or for one call."""

from meshapi import ChatCompletionParams, MeshAPI, Timeout

client = MeshAPI(timeout=60, max_retries=1)
patient = client.with_options(timeout=Timeout(total=300, idle=30))
question = ChatCompletionParams(messages=[{"role": "user", "content": "Hello"}], max_tokens=10)

print(patient.chat.completions.create(question).text)
print(
    client.chat.completions.create(question, timeout=5, headers={"X-Mesh-Cache": "no-store"}).text
)
print(client.chat.completions.create(question, extra_body={"brand_new_field": True}).text)
