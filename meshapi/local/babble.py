"""A language model in a hundred lines: it samples like a large one, and talks nonsense.

It knows which word follows which two in Python's own help texts, and nothing else.
"""

from __future__ import annotations

import functools
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pydoc_data.topics import topics
from typing import Literal, TypeAlias

Context: TypeAlias = tuple[str, str]
FinishReason: TypeAlias = Literal["stop", "length"]
_EDGE = ""
_ENOUGH, _PLENTY, _TOO_MUCH = 40, 120, 200
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Babbled:
    """What the model said, in tokens, and why it stopped."""

    tokens: Sequence[str]
    finish_reason: FinishReason


def tokens_of(text: str) -> list[str]:
    """Cut text into tokens: words and marks, each with the space before it."""
    return re.findall(r"\s*\w+|\s*[^\w\s]|\s+$", text)


def babble(
    prompt: str,
    dice: random.Random,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: Sequence[str] = (),
    max_tokens: int | None = None,
) -> Babbled:
    """Continue where a word of the prompt leads.

    Args:
        prompt: what was asked; its words decide where the answer begins.
        dice: what samples; the same dice and prompt give the same answer.
        temperature: 0 always takes the likeliest token, 1 samples as the texts have it.
        top_p: sample only among the likeliest tokens that reach this share together.
        stop: sequences before which the answer ends.
        max_tokens: how long the answer may be, 4,096 at the most; by itself it ends within 200.
    """
    context = (_EDGE, _sampled(_openings(prompt), temperature, top_p, dice))
    said = [context[1]]
    while len(said) < min(max_tokens or _TOO_MUCH, _MOST):
        token = _sampled(_followers()[context], temperature, top_p, dice)
        if token != _EDGE:
            said.append(token if context[1] else f" {token}")
            context = (context[1], token)
        elif len(said) < _ENOUGH:
            context = (_EDGE, _EDGE)
        else:
            return _stopped(said, stop, "stop")
        if max_tokens is None and token == "." and len(said) >= _PLENTY:
            break
    return _stopped(said, stop, "length" if max_tokens else "stop")


def bounded(tokens: list[str], max_tokens: int | None, stop: Sequence[str] = ()) -> Babbled:
    """What of finished words is said, where they are too long or a sequence stops them."""
    is_cut = max_tokens is not None and len(tokens) > max_tokens
    return _stopped(tokens[:max_tokens], stop, "length" if is_cut else "stop")


def _stopped(said: list[str], stop: Sequence[str], reason: FinishReason) -> Babbled:
    text = "".join(said)
    cut = min((text.find(each) for each in stop if each and each in text), default=None)
    if cut is None:
        return Babbled(said, reason)
    return Babbled(tokens_of(text[:cut]), "stop")


def _openings(prompt: str) -> Counter[str]:
    """The words that begin a paragraph: those of the prompt, else all."""
    openings = _followers()[_EDGE, _EDGE]
    asked = {word.lower() for word in re.findall(r"\w{4,}", prompt)}
    return Counter({word: openings[word] for word in openings if word.lower() in asked}) or openings


def _sampled(choices: Counter[str], temperature: float, top_p: float, dice: random.Random) -> str:
    ranked = choices.most_common()
    if temperature == 0:
        return ranked[0][0]
    most = ranked[0][1]
    weights = [(count / most) ** (1 / temperature) for _, count in ranked]
    enough = top_p * sum(weights)
    kept = 1 + sum(total < enough for total in accumulate(weights))
    return dice.choices([token for token, _ in ranked[:kept]], weights[:kept])[0]


@functools.cache
def _followers() -> dict[Context, Counter[str]]:
    followers: defaultdict[Context, Counter[str]] = defaultdict(Counter)
    for paragraph in _prose(topics.values()):
        before, last = _EDGE, _EDGE
        for token in [*tokens_of(paragraph), _EDGE]:
            followers[before, last][token] += 1
            before, last = last, token
    return dict(followers)


def _prose(texts: Iterable[str]) -> Iterable[str]:
    """The paragraphs that are sentences: no code, tables, headings or lists."""
    for text in texts:
        for paragraph in text.split("\n\n"):
            words = " ".join(paragraph.split())
            if re.fullmatch(r"[A-Z][^*|=`_>\[\]{}\\+^~]{40,}\.", words):
                yield words
