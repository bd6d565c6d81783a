"""Show an object while it grows, then have it whole and validated."""

from dataclasses import dataclass

from meshapi import ChatCompletionParams, MeshAPI


@dataclass
class Story:
    title: str
    chapters: list[str]


question = ChatCompletionParams(messages=[{"role": "user", "content": "Tell me a story."}])
with MeshAPI().chat.completions.parse_stream(question, Story) as stream:
    for growing in stream.object_stream:
        print(growing)
    story = stream.final().parsed
print(story.title, len(story.chapters))
