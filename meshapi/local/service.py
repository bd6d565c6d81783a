"""The endpoints: a request in, the rules asked, a reply out.

It decides everything and waits for nothing; only an upstream makes it wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from meshapi._core.models import JSONObject
from meshapi.local.answers import Answer, Said, Spoken
from meshapi.local.bill import Bill
from meshapi.local.catalogue import catalogue
from meshapi.local.comparison import compared, comparison_events
from meshapi.local.faults import fault_asked
from meshapi.local.refusal import Refusal
from meshapi.local.replies import Reply, events, new_request_id, page, refused, streamed, whole
from meshapi.local.requests import ChatRequest, RecordedRequest
from meshapi.local.rules import Admitted, Key, Rules
from meshapi.local.script import Canned, Script, Turn

_OLDEST, _NEWEST = "2026-08", "2026-09"
_MOST_BYTES = 32 * 1024 * 1024
_KEPT_REQUESTS = 1000

Speak: TypeAlias = Callable[[Admitted], Said]
"""A model of this process."""

Forward: TypeAlias = Callable[[Admitted], Answer]
"""A server behind this one."""


@dataclass(slots=True)
class Service:
    """The gateway without its sockets."""

    rules: Rules
    speak: Speak
    forward: Forward | None = None
    script: Script = field(default_factory=Script)
    pause: float = 0.0
    log: Callable[[str], None] | None = None
    requests: deque[RecordedRequest] = field(
        default_factory=lambda: deque[RecordedRequest](maxlen=_KEPT_REQUESTS)
    )

    def respond(self, request: RecordedRequest) -> Reply:
        """Answer a request, or refuse it."""
        self.requests.append(request)
        headers = {"x-request-id": new_request_id(), "x-mesh-version": _OLDEST}
        try:
            reply = self._answered(request, headers)
        except Refusal as refusal:
            reply = refused(refusal, headers)
        except Exception as bug:  # noqa: BLE001  # A bug of ours is told in the envelope, too.
            message = f"The local gateway failed: {bug!r}"
            reply = refused(Refusal(500, "internal_error", message), headers)
        if self.log:
            request_id = reply.headers.get("x-request-id", "")
            self.log(f"{request.method} {request.path} {reply.status} {request_id}")
        return reply

    def _answered(self, request: RecordedRequest, headers: dict[str, str]) -> Reply:
        if len(request.body) > _MOST_BYTES:
            return page(413, b"<html><body>413 Payload Too Large</body></html>", "text/html", {})
        endpoint = _endpoint(request)
        headers["x-mesh-version"] = _version(request.headers.get("x-mesh-version"))
        key = self.rules.authorize(request.headers.get("authorization"))
        fault = fault_asked(request.headers)
        work = endpoint(self, request, key, headers)
        turn = self.script.next(request) if work.is_scripted and not fault else Turn(fault=fault)
        if turn.fault is None:
            return work.answer(turn.canned)
        substitute = turn.fault.instead(headers, streams=work.streams)
        return substitute or turn.fault.spoil(work.answer(turn.canned))

    def complete(self, request: RecordedRequest, key: Key, headers: Mapping[str, str]) -> Work:
        """`POST /v1/chat/completions`."""
        asked = self.rules.admit(key, request.body)

        def answer(canned: Canned | None) -> Reply:
            said, bill = self._answer(asked, canned), Bill(self.rules, asked)
            if not asked.request.stream:
                return whole(200, bill.paid(said.whole()), headers)

            def leave() -> None:
                said.leave()
                bill.pay()

            chunks = bill.paid_at_the_end(said.chunks())
            # What a model of ours says is paid now, whether or not somebody reads it to the end.
            made = chunks if self.forward else list(chunks)
            frames = events(made, headers["x-request-id"])
            return streamed(frames, headers, self.pause, leave if self.forward else None)

        return Work(asked.request.stream, answer)

    def compare(self, request: RecordedRequest, key: Key, headers: Mapping[str, str]) -> Work:
        """`POST /v1/chat/compare`."""
        comparison, messages = self.rules.admit_comparison(key, request.body)

        def answer(canned: Canned | None) -> Reply:
            def ask(model: str, question: ChatRequest) -> JSONObject:
                asked = Admitted(key, question, self.rules.routed([model]), question.messages)
                return Bill(self.rules, asked).paid(self._answer(asked, canned).whole())

            document = compared(comparison, messages, ask, self._now())
            if not comparison.stream:
                return whole(200, document, headers)
            return streamed(comparison_events(document), headers, self.pause)

        return Work(comparison.stream, answer)

    def models(self, request: RecordedRequest, _key: Key, headers: Mapping[str, str]) -> Work:
        """`GET /v1/models`: a bare array."""
        reply = whole(200, catalogue(self.rules.models, request.query), headers)
        return Work(streams=False, answer=lambda _canned: reply, is_scripted=False)

    def _answer(self, asked: Admitted, canned: Canned | None) -> Answer:
        if canned is None and self.forward:
            return self.forward(asked)
        said = canned.said(asked) if canned else self.speak(asked)
        return Spoken(asked, said, self._now())

    def _now(self) -> int:
        return int(self.rules.clock.time())


@dataclass(frozen=True, slots=True)
class Work:
    """A request that passed its checks: whether it streams, and what answers it."""

    streams: bool
    answer: Callable[[Canned | None], Reply]
    is_scripted: bool = True


_ENDPOINTS = {
    ("POST", "/v1/chat/completions"): Service.complete,
    ("POST", "/v1/chat/compare"): Service.compare,
    ("GET", "/v1/models"): Service.models,
}

_Endpoint: TypeAlias = Callable[[Service, RecordedRequest, Key, Mapping[str, str]], Work]


def _endpoint(request: RecordedRequest) -> _Endpoint:
    method, path = request.route
    methods = [each for each, known in _ENDPOINTS if known == path]
    if not methods:
        raise Refusal(404, "not_found", f"{path} is not served here")
    if method not in methods:
        message = f"{path} takes {methods[0]}, not {method}"
        raise Refusal(405, "bad_request", message, headers={"allow": methods[0]})
    return _ENDPOINTS[method, path]


def _version(pinned: str | None) -> str:
    """The contract that a request pins; the oldest unless it says."""
    labels = _OLDEST if pinned is None else pinned
    versions = {each.strip() for each in labels.split(",")}
    if len(versions) > 1 or not versions <= {_OLDEST, _NEWEST}:
        message = f"X-Mesh-Version must be {_OLDEST} or {_NEWEST}, and be sent once"
        raise Refusal(400, "invalid_api_version", message)
    return versions.pop()
