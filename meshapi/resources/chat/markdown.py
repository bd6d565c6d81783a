"""Answers as Markdown, for notebooks; imported when the first one is shown.

What a model wrote is Markdown already, but its HTML is shown as text (`untrusted_markdown`): a
notebook trusts a cell that it has run. Names, titles, codes and ids are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from meshapi._core.checks import fields_of
from meshapi.resources.chat.messages import ChatCompletionMessage, ModelOutput
from meshapi.resources.chat.parts import ImageContentPart, TextContentPart
from meshapi.resources.chat.replies import told_cost
from meshapi.resources.chat.untrusted_markdown import InDoubt, inert, json_inert, with_code

if TYPE_CHECKING:
    from meshapi.resources.chat.compare import ComparisonResponse, ComparisonResult
    from meshapi.resources.chat.messages import Annotation, ChatMessage, OutputAudio, UrlCitation
    from meshapi.resources.chat.replies import ChatCompletionChoice, ChatCompletionResponse
    from meshapi.resources.chat.tools import ToolCallFunction

_EMPTY = "*(empty)*"
_WEB = re.compile("https?://", re.IGNORECASE)
# A model's own image is in its answer and nowhere else; one that was sent is a file already.
_WEB_OR_INLINE = re.compile("https?://|data:image/", re.IGNORECASE)
_URL_SAFE = "!#%&'*+,/:;=?@[]~"
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_OPENING_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")

_ENTITIES = {"\\": "&#92;", '"': "&quot;", "<": "&lt;"}

_Write: TypeAlias = Callable[[str], str]


def completion_markdown(completion: ChatCompletionResponse) -> str:
    """A completion: its answers, and a small line of facts."""
    return _settled(partial(_completion, completion))


def message_markdown(message: ChatMessage) -> str:
    """A message, whoever sent it: all that it says and asks for."""
    return _settled(partial(_message, message))


def comparison_markdown(comparison: ComparisonResponse) -> str:
    """A comparison: what each model said, and what the judge made of it."""
    return _settled(partial(_comparison, comparison))


def _settled(shown: Callable[[_Write], str]) -> str:
    """All texts with their code as it was written, or none: one could swallow part of the next."""
    try:
        return shown(with_code)
    except InDoubt:
        return shown(inert)


def _completion(completion: ChatCompletionResponse, write: _Write) -> str:
    choices = completion.choices
    answers = [_message(choice.message, write) for choice in choices]
    endings = [_ending(choice) for choice in choices]
    if len(choices) > 1:
        numbers = [f"Choice {choice.index}" for choice in choices]
        titles = map(_listed, zip(numbers, endings, strict=True))
        answers, endings = list(map(_headed, titles, answers)), []
    return _stacked([*(answers or [_EMPTY]), _small([*_facts(completion), *endings])])


def _message(message: ChatMessage, write: _Write) -> str:
    output = message if isinstance(message, ModelOutput) else ModelOutput()
    calls = [(call.function, call.type) for call in message.tool_calls or []]
    images = [_part(image, _WEB_OR_INLINE) for image in output.images or []]
    blocks = [
        _folded("Reasoning", output.reasoning or ""),
        _written(_content(message), write),
        _quoted(output.refusal or ""),
        _audio(output.audio, write),
        *(_written(image, write) for image in images),
        *(_call(function, kind) for function, kind in calls),
        _call(output.function_call, "function") if output.function_call else "",
        _citations(output.annotations or []),
    ]
    return _stacked(blocks) or _EMPTY


def _comparison(comparison: ComparisonResponse, write: _Write) -> str:
    results = [_headed(_plain(each.model), _result(each, write)) for each in comparison.results]
    judged = _written(comparison.comparison or "", write)
    judge = _plain(f"Comparison by {comparison.comparison_model or 'the judge'}")
    request_id = _small([comparison.meta.request_id or ""])
    return _stacked([*results, _headed(judge, judged) if judged else "", request_id]) or _EMPTY


def _result(result: ComparisonResult, write: _Write) -> str:
    content = result.content or ""
    if not isinstance(content, str):
        content = "".join(str(part.get("text") or "") for part in content)
    error = fields_of(result.error).get("message") or result.error
    failure = ": ".join(str(each) for each in (result.error_code, error) if each)
    return _stacked([_written(content, write), _quoted(_plain(failure))]) or _EMPTY


def _content(message: ChatMessage) -> str:
    content = message.content or ""
    if isinstance(content, str):
        return content
    shown = _WEB_OR_INLINE if isinstance(message, ChatCompletionMessage) else _WEB
    return "".join(_part(part, shown) for part in content)


def _part(part: object, shown: re.Pattern[str]) -> str:
    if isinstance(part, TextContentPart):
        return part.text
    if isinstance(part, ImageContentPart) and shown.match(part.image_url.url):
        return f"\n\n![image]({_destination(part.image_url.url)})\n\n"
    kind = getattr(part, "type", None) or "unknown"
    return getattr(part, "said", "") or f"\n\n*({_plain(str(kind))})*\n\n"


def _audio(audio: OutputAudio | None, write: _Write) -> str:
    return _stacked(["**Audio:**", _written(audio.transcript, write)]) if audio else ""


def _call(function: ToolCallFunction, kind: str) -> str:
    name = f"**Tool call:** {_plain(function.name or kind)}"
    return _stacked([name, _json(function.arguments)])


def _citations(annotations: Iterable[Annotation]) -> str:
    cited = [_citation(each.url_citation) for each in annotations if each.url_citation]
    return "\n".join(f"- {each}" for each in dict.fromkeys(cited) if each)


def _citation(page: UrlCitation) -> str:
    title = _plain(page.title or "") or _plain(page.url)
    return f"[{title}]({_destination(page.url)})" if _WEB.match(page.url) else title


def _facts(completion: ChatCompletionResponse) -> list[str]:
    usage, cost = completion.usage, told_cost(completion)
    return [
        completion.model,
        f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out" if usage else "",
        # Two dollar signs in a cell would be mathematics.
        "" if cost is None else f"{cost} USD",
        completion.meta.request_id or "",
    ]


def _ending(choice: ChatCompletionChoice) -> str:
    reason = choice.finish_reason
    return "" if reason in {None, "stop"} else f"finish_reason: {reason}"


def _stacked(blocks: Iterable[str]) -> str:
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())


def _listed(facts: Iterable[str]) -> str:
    return " · ".join(filter(None, map(_plain, facts)))


def _small(facts: Iterable[str]) -> str:
    listed = _listed(facts)
    return f"<sub>{listed}</sub>" if listed else ""


def _headed(title: str, text: str) -> str:
    return f"##### {title}\n\n{text}"


def _folded(title: str, text: str) -> str:
    if not text:
        return ""
    return f"<details><summary>{title}</summary>\n\n{_quoted(text)}\n\n</details>"


def _quoted(text: str) -> str:
    # What is not closed in a quote, a code block for one, ends with it.
    return inert("\n".join(f"> {line}" for line in text.splitlines()))


def _json(text: str) -> str:
    return f"```json\n{json_inert(text)}\n```" if text else ""


def _written(text: str, write: _Write) -> str:
    """What a model wrote, a code block that was cut off closed."""
    return write(_closed("\n".join(text.splitlines())))


def _closed(text: str) -> str:
    """Close a code block that was cut off, or all that follows were code."""
    opened = ""
    for line in text.splitlines():
        if not opened:
            fence = _OPENING_FENCE.match(line)
            opened = fence[0] if fence else ""
        elif _closes(line.strip(), opened.strip()):
            opened = ""
    return f"{text}\n{opened}" if opened else text


def _closes(line: str, fence: str) -> bool:
    return line.startswith(fence) and not line.strip(fence[0])


def _plain(text: str) -> str:
    """Text that is no Markdown, on one line: a backslash before all that could be."""
    return _PUNCTUATION.sub(_escape, " ".join(text.split()))


def _escape(sign: re.Match[str]) -> str:
    # Two backslashes could begin a formula, and in one a backslash protects nothing.
    return _ENTITIES.get(sign[0], f"\\{sign[0]}")


def _destination(url: str) -> str:
    """A URL that cannot end the link that it is in."""
    return quote(url, safe=_URL_SAFE)
