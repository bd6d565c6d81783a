"""`POST /v1/chat/compare`: ask several models at once, and let one judge their answers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import Unpack

from meshapi._core.call import Call, CallOptions
from meshapi._core.meta import Meta
from meshapi._core.models import (
    Answer,
    Event,
    Flag,
    JSONObject,
    NullableText,
    Number,
    Params,
    Payload,
    Text,
    Timestamp,
    Whole,
    null_reads_as,
)
from meshapi._core.resource import AsyncResource, Resource, post
from meshapi._core.streams import AsyncStream, Stream
from meshapi._core.usage import Used, together
from meshapi.resources.chat.params import History
from meshapi.resources.chat.replies import UsageInfo, counted

_PATH = "/v1/chat/compare"


class ComparisonModelOverride(Params):
    """What one of the models is asked with, instead of what all are."""

    model: Text
    """Which model."""

    temperature: Number | None = Field(default=None, ge=0, le=2)
    """How freely it samples: 0 to 2."""

    max_tokens: Whole | None = Field(default=None, ge=1)
    """How many tokens its answer may have: at least 1."""

    system_prompt: Text | None = None
    """Its own system prompt."""


class ComparisonParams(Params):
    """The body of `POST /v1/chat/compare` (Mesh's docs); every answer is billed, the judge's too.

    Raises:
        pydantic.ValidationError: a field is unknown, of a wrong type, or out of its bounds.
    """

    models: list[Text] = Field(min_length=1, max_length=10)
    """The models to ask: 1 to 10; the server drops doubles."""

    messages: History
    """The conversation so far, oldest first."""

    model_overrides: Sequence[ComparisonModelOverride | Mapping[str, object]] | None = None
    """What single models are asked with instead."""

    comparison_model: Text | None = None
    """The model that judges; unset, the server chooses."""

    comparison_instructions: Text | None = None
    """How it judges."""

    skip_comparison: Flag = False
    """Whether nobody judges; False on the server."""

    temperature: Number | None = Field(default=None, ge=0, le=2)
    """How freely the models sample: 0 to 2."""

    max_tokens: Whole | None = Field(default=None, ge=1)
    """How many tokens an answer may have: at least 1."""

    cache: Flag | None = None
    """Whether the gateway may answer from its response cache."""

    template: Text | None = None
    """A stored prompt template to expand, by name or UUID."""

    variables: Mapping[str, Text] | None = None
    """Values for the template's `{{placeholders}}`."""


class ComparisonResult(Payload):
    """What one of the models said, or why it did not: its failure is data, not an exception."""

    model: NullableText = ""
    """Which model."""

    content: str | list[JSONObject] | None = None
    """Its answer; None where it failed."""

    response_body: JSONObject | None = None
    """Its whole answer, as the provider sent it."""

    error: str | JSONObject | None = None
    """Why it failed."""

    error_code: str | int | None = None
    """The same as one of the wire's codes."""

    usage: UsageInfo | None = None
    """Tokens used."""

    latency_ms: int | float | None = None
    """How long it took, in milliseconds."""

    request_id: str | None = None
    """The id of this model's own request."""


class ComparisonResponse(Answer):
    """What all models said, and what the judge made of it (Mesh's docs)."""

    results: Annotated[list[ComparisonResult], null_reads_as(list)]
    """One entry per model."""

    comparison_id: NullableText = ""
    """Names this comparison."""

    object: NullableText = ""
    """The kind of object, as the server names it."""

    created: Timestamp | None = None
    """When it was made, in seconds since 1970, UTC."""

    models: Annotated[list[str], null_reads_as(list)] = Field(default_factory=list[str])
    """The models that were asked."""

    comparison: str | None = None
    """What the judge said; None where nobody judged."""

    comparison_model: str | None = None
    """Who judged."""

    comparison_usage: UsageInfo | None = None
    """Tokens the judge used."""

    comparison_fallback_used: bool | None = None
    """Whether another judge had to step in."""

    total_latency_ms: int | float | None = None
    """How long it took in all, in milliseconds."""

    partial: bool | None = None
    """Whether some model failed."""

    skip_comparison: bool | None = None
    """Whether the judging was skipped."""

    def _repr_markdown_(self) -> str:
        """What a notebook shows: what each model said, and the judge."""
        from meshapi.resources.chat.markdown import comparison_markdown  # For notebooks alone.

        return comparison_markdown(self)


class ComparisonEvent(Event):
    """One event of a streamed comparison; `event` names it.

    Documented names are `model_chunk`, `model_stream_done`, `comparison_chunk` and `done`. Which
    field comes with which event is not published, so every field may be None.
    """

    model: str | None = None
    """Whose event it is; None for the judge's."""

    delta: str | JSONObject | None = None
    """The next piece of text."""

    finish_reason: str | None = None
    """Why the model stopped."""

    error: str | None = None
    """Why this model failed; the stream goes on."""

    error_code: str | int | None = None
    """The same as one of the wire's codes."""

    usage: UsageInfo | None = None
    """Tokens used."""

    latency_ms: int | float | None = None
    """How long the model took, in milliseconds."""

    total_latency_ms: int | float | None = None
    """How long it took in all, in milliseconds."""

    comparison_id: str | None = None
    """Names this comparison."""

    partial: bool | None = None
    """Whether some model failed."""


class _ComparisonFold:
    """Complete with `done`; adds nothing up, as it is not published what each event holds."""

    def __init__(self) -> None:
        self.complete = False
        self._usages: dict[str | None, UsageInfo] = {}

    @property
    def used(self) -> Used:
        return _sum_of(self._usages.values())

    def add(self, event: ComparisonEvent, /) -> None:
        self.complete = event.event == "done"
        # The last event may add up what others said before: it counts where none of them did.
        if event.usage and not (self.complete and self._usages):
            self._usages[event.model] = event.usage

    def partial(self, meta: Meta) -> None:
        """No part of a comparison is an answer."""


def _used_by(comparison: ComparisonResponse) -> Used:
    said = [*(each.usage for each in comparison.results), comparison.comparison_usage]
    return _sum_of(usage for usage in said if usage)


def _sum_of(usages: Iterable[UsageInfo]) -> Used:
    return together(counted(usage) for usage in usages)


class Compare(Resource):
    """`client.chat.compare`: ask several models at once."""

    def create(
        self, params: ComparisonParams, **options: Unpack[CallOptions]
    ) -> ComparisonResponse:
        """Ask all models, and read all their answers.

        Raises:
            APIStatusError: the gateway refused, or every model failed (`all_models_failed`).
            MeshAPIError: the call failed, as in `client.chat.completions.create`.
        """
        return self._with(options).send(_whole(params, options))

    def stream(
        self, params: ComparisonParams, **options: Unpack[CallOptions]
    ) -> Stream[ComparisonEvent]:
        """Ask all models, and read their answers as they come.

        Raises:
            MeshAPIError: the call failed, as in `client.chat.completions.stream`.
        """
        return Stream(self._with(options), _streamed(params, options), _ComparisonFold())


class AsyncCompare(AsyncResource):
    """`client.chat.compare`: ask several models at once."""

    async def create(
        self, params: ComparisonParams, **options: Unpack[CallOptions]
    ) -> ComparisonResponse:
        """Ask all models, and read all their answers.

        Raises:
            APIStatusError: the gateway refused, or every model failed (`all_models_failed`).
            MeshAPIError: the call failed, as in `client.chat.completions.create`.
        """
        return await self._with(options).send(_whole(params, options))

    def stream(
        self, params: ComparisonParams, **options: Unpack[CallOptions]
    ) -> AsyncStream[ComparisonEvent]:
        """Ask all models, and read their answers as they come.

        Raises:
            MeshAPIError: the call failed, as in `client.chat.completions.stream`.
        """
        return AsyncStream(self._with(options), _streamed(params, options), _ComparisonFold())


def _whole(params: ComparisonParams, options: CallOptions) -> Call[ComparisonResponse]:
    return post(_PATH, params, ComparisonParams, ComparisonResponse, options, used=_used_by)


def _streamed(params: ComparisonParams, options: CallOptions) -> Call[ComparisonEvent]:
    return post(_PATH, params, ComparisonParams, ComparisonEvent, options, streams=True)
