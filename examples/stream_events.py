"""Follow a streamed answer by typed events: a match tells them apart, also to a type checker."""

from meshapi import ChatCompletionParams, ContentEvent, DoneEvent, MeshAPI, ToolCallEvent

weather = {"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}}}}
question = [{"role": "user", "content": "How is the weather in Paris?"}]
params = ChatCompletionParams(messages=question, tools=[{"function": weather}])

with MeshAPI() as client, client.chat.completions.stream(params) as stream:
    for event in stream.events:
        match event:
            case ContentEvent(delta=text):
                print(text, end="", flush=True)
            case ToolCallEvent():
                print(f"call {event.call_index}: {event.name}", event.parsed)
            case DoneEvent(completion=completion):
                print("done:", completion.usage)
            case _:
                print(event.type)
