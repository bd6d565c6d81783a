"""What one answer is booked with: once, whatever it tells of its usage, and however it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from meshapi._core.checks import fields_of
from meshapi._core.models import JSONObject
from meshapi.local.answers import text_of
from meshapi.local.babble import tokens_of
from meshapi.local.rules import Admitted, Rules


class Bill:
    """Follows an answer: the usage it told last counts, or else the tokens of its text."""

    def __init__(self, rules: Rules, asked: Admitted) -> None:
        """Begin with what was asked."""
        self._rules = rules
        self._asked = asked
        self._told: tuple[int, int] | None = None
        self._counted = 0
        self._lock = threading.Lock()
        self._is_paid = False

    def paid(self, document: JSONObject) -> JSONObject:
        """A whole answer, with its cost, and booked."""
        (priced,) = self.paid_at_the_end([document])
        return priced

    def paid_at_the_end(self, documents: Iterable[JSONObject]) -> Iterator[JSONObject]:
        """The pieces of an answer, with the cost beside the usage; booked after the last."""
        try:
            yield from map(self._priced, documents)
        finally:
            self.pay()

    def pay(self) -> None:
        """Book what came, unless that was done."""
        with self._lock:
            if not self._is_paid:
                self._is_paid = True
                prompt, completion = self._told or (self._asked.prompt_tokens, self._counted)
                self._rules.charge(self._asked, prompt, completion)

    def _priced(self, document: JSONObject) -> JSONObject:
        usage = fields_of(document.get("usage"))
        if not usage:
            self._counted += len(tokens_of(text_of(document)))
            return document
        self._told = _count(usage, "prompt"), _count(usage, "completion")
        cost = self._rules.cost(self._asked.model, *self._told)
        return {**document, "cost": f"{cost:f}"}


def _count(usage: JSONObject, kind: str) -> int:
    tokens = usage.get(f"{kind}_tokens")
    return tokens if isinstance(tokens, int) else 0
