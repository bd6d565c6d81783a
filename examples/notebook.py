"""Cells (`# %%`) for a notebook: VS Code and Jupytext show what is displayed as Markdown."""

# %%
from IPython.display import display  # pyright: ignore[reportUnknownVariableType]  # half typed

from meshapi import ChatCompletionParams, MeshAPI

client = MeshAPI()
question = ChatCompletionParams(messages=[{"role": "user", "content": "Write a haiku."}])

# %% An answer: its text, and a small line with the model, the tokens, the cost.
completion = client.chat.completions.create(question)
display(completion)

# %% One message, with all that it says and asks for.
display(completion.choices[0].message)
