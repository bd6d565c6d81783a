"""A run of tools without the waiting: what is called, what is asked, and when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from meshapi._core.call import CallOptions
from meshapi._core.checks import is_whole
from meshapi._core.models import JSONObject
from meshapi._core.resource import checked
from meshapi.errors import InvalidRequest, MaxTurnsExceeded, MeshAPIError, StreamInterrupted
from meshapi.resources.chat.messages import ChatMessage
from meshapi.resources.chat.params import ChatCompletionParams
from meshapi.resources.chat.replies import ChatCompletionChoice, ChatCompletionResponse
from meshapi.resources.chat.runs import ToolResult, ToolRun
from meshapi.resources.chat.toolbox import PreparedCall, Toolbox, ToolLike
from meshapi.resources.chat.tools import Tool, ToolCall

_CUT = {"length", "content_filter"}
"""What ends an answer in its middle, so that its calls may be half of what was meant."""

_OF_THE_RUN = ("messages", "tools", "tool_choice")
_OF_A_QUESTION = ("extra_body", "idempotency_key")


class Running:
    """Either calls are due, or a question is, until it is over."""

    def __init__(
        self,
        params: ChatCompletionParams[bool],
        tools: Sequence[ToolLike],
        max_turns: int,
        options: CallOptions,
    ) -> None:
        """Begin where the conversation ends: with its calls that nobody has answered, if any.

        Raises:
            InvalidRequest: an argument cannot work, a call in the middle has no answer, or one at
                the end is the caller's to answer.
        """
        self._params = checked(params, ChatCompletionParams)
        self._own = list(self._params.tools or [])
        self._toolbox = Toolbox(tools, self._own)
        _check(max_turns, options)
        self._max_turns = max_turns
        of_each = {name: value for name, value in options.items() if name in _OF_A_QUESTION}
        self._options = cast("CallOptions", of_each)
        self._messages = cast("list[ChatMessage]", list(self._params.messages))
        self._given = len(self._messages)
        self._completions: list[ChatCompletionResponse] = []
        self._due = unanswered(self._messages)
        self._kept: list[ToolResult] = []
        self._is_last = False
        if left := [each for each in self._due if not self._toolbox.runs(each)]:
            raise InvalidRequest(
                f"The conversation ends with a call of {left[0].function.name}, which is yours to "
                f"answer: add a tool message whose tool_call_id is {left[0].id!r}"
            )

    @property
    def over(self) -> bool:
        """Whether there is nothing left to call or to ask."""
        return self._is_last and not self._due

    def prepared(self) -> list[PreparedCall | ToolResult]:
        """The calls to run next, together; those that cannot be run have their result."""
        return [self._toolbox.prepared(each) for each in self._due]

    def keep(self, result: ToolResult) -> ToolResult:
        """Remember that a call ended well, should the run fail before it is answered."""
        self._kept.append(result)
        return result

    def answer(self, result: ToolResult) -> ToolResult:
        """Put the result of a call that is due into the conversation."""
        self._due = [each for each in self._due if each is not result.call]
        self._messages.append(_message(result))
        return result

    def question(self) -> tuple[ChatCompletionParams, CallOptions]:
        """What to ask next, and with which options of its own."""
        update: JSONObject = {"messages": self._messages, "tools": [*self._own, *self._tools]}
        if self._has_called and _is_forced(self._params.tool_choice):
            update["tool_choice"] = "auto"  # Else it would call for ever.
        params = self._params.model_copy(update=update)
        return cast("ChatCompletionParams", params), self._numbered()

    @property
    def _tools(self) -> list[Tool]:
        return [*self._toolbox.tools]

    @property
    def _has_called(self) -> bool:
        return bool(self._messages) and self._messages[-1].role == "tool"

    def _numbered(self) -> CallOptions:
        key: object = self._options.get("idempotency_key")
        if not isinstance(key, str):
            return self._options
        answers = sum(each.role == "assistant" for each in self._messages)
        return {**self._options, "idempotency_key": f"{key}-{answers + 1}"}

    def hear(self, completion: ChatCompletionResponse) -> None:
        """Take the answer to a question.

        Raises:
            MaxTurnsExceeded: it needs another question, and there may be none.
        """
        self._completions.append(completion)
        choice = next(iter(completion.choices), None)
        if choice:
            self._messages.append(choice.message)
        calls = [] if self._params.tool_choice == "none" else _calls_of(choice)
        ours = [each for each in calls if self._toolbox.runs(each)]
        self._is_last = not ours or len(ours) < len(calls)
        if not self._is_last and len(self._completions) >= self._max_turns:
            raise MaxTurnsExceeded(
                f"The model still calls {ours[0].function.name} in its last turn: "
                f"max_turns is {self._max_turns}; `error.run` can be gone on with",
                partial=completion,
                meta=completion.meta,
            )
        self._due, self._kept = ours, []

    def result(self) -> ToolRun:
        """The conversation so far."""
        kept = [_message(each) for each in self._kept if any(each.call is it for it in self._due)]
        messages = [*self._messages, *kept]
        return ToolRun(
            params=self._params.model_copy(update={"messages": messages}),
            messages=tuple(messages),
            completions=tuple(self._completions),
            pending=tuple(unanswered(messages)),
        )

    def tell(self, error: MeshAPIError) -> None:
        """Let an error carry what was done before it."""
        run = self.result()
        if len(run.messages) > self._given or run.completions:
            error.run = run

    def left_half_way(self, cause: StreamInterrupted | None) -> StreamInterrupted:
        """The error for a run that was closed before it was over: that of the answer it was in."""
        error = cause or StreamInterrupted("The run is not over: it was left half-way")
        self.tell(error)
        return error


def _message(result: ToolResult) -> ChatMessage:
    return ChatMessage(
        role="tool",
        tool_call_id=result.call.id,
        name=result.call.function.name,
        content=result.content,
    )


def unanswered(messages: Sequence[ChatMessage]) -> list[ToolCall]:
    """The calls at the end of a conversation that no `tool` message answers yet.

    Raises:
        InvalidRequest: another message stands where the answer of a call should.
    """
    left: list[ToolCall] = []
    for message in messages:
        if message.role == "tool":
            left = _without(left, message.tool_call_id)
        elif left:
            raise InvalidRequest(
                f"The call {left[0].id!r} of {left[0].function.name} has no answer before the next "
                f"message: add a tool message whose tool_call_id is {left[0].id!r} behind it, or "
                "take the call out"
            )
        else:
            left = list(message.tool_calls or [])
    return left


def _without(calls: Sequence[ToolCall], answered: str | None) -> list[ToolCall]:
    # One answer for each: a server may give two calls the same id.
    place = next((place for place, call in enumerate(calls) if call.id == answered), len(calls))
    return [*calls[:place], *calls[place + 1 :]]


def _calls_of(choice: ChatCompletionChoice | None) -> list[ToolCall]:
    if choice is None or choice.finish_reason in _CUT:
        return []
    return choice.message.tool_calls or []


def _is_forced(tool_choice: object) -> bool:
    return tool_choice == "required" or not isinstance(tool_choice, str | None)


def _check(max_turns: int, options: CallOptions) -> None:
    if not is_whole(max_turns, least=1):
        raise InvalidRequest("max_turns must be a whole number, 1 or more")
    extra = options.get("extra_body")
    taken = [name for name in _OF_THE_RUN if isinstance(extra, Mapping) and name in extra]
    if taken:
        raise InvalidRequest(
            f"Set {taken[0]} on the params, not in extra_body: it changes in a run"
        )
