"""Catch as widely or as narrowly as you like; every error says whether it may be retried."""

from meshapi import APIStatusError, ChatCompletionParams, MeshAPI, MeshAPIError, ModelNotFound

client = MeshAPI()
question = ChatCompletionParams(
    model="no/such-model", messages=[{"role": "user", "content": "Hello"}]
)

try:
    client.chat.completions.create(question)
except ModelNotFound as error:
    print("Field at fault:", error.param, "- may be retried:", error.retry_safety)
except APIStatusError as error:
    print(error.status_code, error.code)
except MeshAPIError as error:
    print("No answer:", error)
