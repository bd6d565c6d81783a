"""The endpoints: a request in, the rules asked, a reply out.

It decides everything and waits for nothing; only an upstream makes it wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from meshapi._core.checks import fields_of
from meshapi.local.answers import Answer, Said, Spoken
from meshapi.local.catalogue import catalogue
from meshapi.local.comparison import compared, comparison_events
from meshapi.local.faults import Fault, fault_asked
from meshapi.local.refusal import JSONObject, Refusal
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
        return endpoint(self, request, key, headers)

    def complete(self, request: RecordedRequest, key: Key, headers: Mapping[str, str]) -> Reply:
        """`POST /v1/chat/completions`."""
        asked = self.rules.admit(key, request.body)
        turn = self._turn(request)

        def answered() -> Reply:
            answer = self._answer(asked, turn.canned)
            if not asked.request.stream:
                return whole(200, self._booked(asked, answer.whole()), headers)
            chunks = (self._booked(asked, chunk) for chunk in answer.chunks())
            # What a model of ours says is paid now, whether or not somebody reads it to the end.
            said = chunks if self.forward else list(chunks)
            return streamed(events(said, headers["x-request-id"]), headers, self.pause)

        return _spoilt(turn.fault, headers, answered, streams=asked.request.stream)

    def compare(self, request: RecordedRequest, key: Key, headers: Mapping[str, str]) -> Reply:
        """`POST /v1/chat/compare`."""
        comparison, messages = self.rules.admit_comparison(key, request.body)
        turn = self._turn(request)

        def ask(model: str, question: ChatRequest) -> JSONObject:
            asked = Admitted(key, question, self.rules.routed([model]), question.messages)
            return self._booked(asked, self._answer(asked, turn.canned).whole())

        def answered() -> Reply:
            document = compared(comparison, messages, ask, self._now())
            if not comparison.stream:
                return whole(200, document, headers)
            return streamed(comparison_events(document), headers, self.pause)

        return _spoilt(turn.fault, headers, answered, streams=comparison.stream)

    def models(self, request: RecordedRequest, _key: Key, headers: Mapping[str, str]) -> Reply:
        """`GET /v1/models`: a bare array."""
        return whole(200, catalogue(self.rules.models, request.query), headers)

    def _turn(self, request: RecordedRequest) -> Turn:
        fault = fault_asked(request.headers)
        return Turn(fault=fault) if fault else self.script.next()

    def _answer(self, asked: Admitted, canned: Canned | None) -> Answer:
        if canned is None and self.forward:
            return self.forward(asked)
        said = canned.said(asked) if canned else self.speak(asked)
        return Spoken(asked, said, self._now())

    def _booked(self, asked: Admitted, document: JSONObject) -> JSONObject:
        """Book the usage that a document tells, and add its cost."""
        usage = fields_of(document.get("usage"))
        counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        prompt, completion = (each if isinstance(each, int) else 0 for each in counts)
        if not usage:
            return document
        session = asked.request.session_id
        cost = self.rules.charge(asked.key, asked.model, session, prompt, completion)
        return {**document, "cost": f"{cost:f}"}

    def _now(self) -> int:
        return int(self.rules.clock.time())


_ENDPOINTS = {
    ("POST", "/v1/chat/completions"): Service.complete,
    ("POST", "/v1/chat/compare"): Service.compare,
    ("GET", "/v1/models"): Service.models,
}

_Endpoint: TypeAlias = Callable[[Service, RecordedRequest, Key, Mapping[str, str]], Reply]


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


def _spoilt(
    fault: Fault | None, headers: Mapping[str, str], answered: Callable[[], Reply], *, streams: bool
) -> Reply:
    if fault is None:
        return answered()
    return fault.instead(headers, streams=streams) or fault.spoil(answered())
