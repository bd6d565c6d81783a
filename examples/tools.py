"""Give the model functions: it calls them until it can answer; the exchange is kept."""

from meshapi import ChatCompletionParams, MeshAPI


def weather(city: str, days: int = 1) -> dict[str, object]:
    """Tell the weather.

    Args:
        city: where, by its English name.
        days: how far ahead, a week at the most.
    """
    return {"city": city, "days": days, "sky": "clear"}


question = ChatCompletionParams(messages=[{"role": "user", "content": "The weather in Oslo?"}])
run = MeshAPI().chat.completions.run(question, tools=[weather])
for message in run.messages:
    print(message.role, "-", message.content or message.tool_calls)
