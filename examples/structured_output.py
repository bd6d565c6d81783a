"""Get an answer as an object of your own class."""

from pydantic import BaseModel, Field

from meshapi import ChatCompletionParams, MeshAPI, OutputParseError


class Recipe(BaseModel):
    title: str
    minutes: int = Field(description="From the first cut to the table.", gt=0)
    ingredients: list[str]


question = ChatCompletionParams(messages=[{"role": "user", "content": "How is ratatouille made?"}])
try:
    recipe = MeshAPI().chat.completions.parse(question, Recipe).parsed
    print(f"{recipe.title}: {', '.join(recipe.ingredients)}; {recipe.minutes} minutes")
except OutputParseError as error:
    print(error, error.raw_text, error.completion.usage)
