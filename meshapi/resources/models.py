"""`GET /v1/models`: which models there are, what they can do and what they cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import model_validator
from typing_extensions import Unpack

from meshapi._core.call import Call, CallOptions
from meshapi._core.checks import is_mapping
from meshapi._core.models import Answer, Flag, NullableText, Params, Payload, Text, null_reads_as
from meshapi._core.resource import AsyncResource, Resource, get

_PATH = "/v1/models"


class ModelListParams(Params):
    """Which models to list: all of them, unless something is set (Mesh's docs).

    Raises:
        pydantic.ValidationError: a field is unknown or of a wrong type.
    """

    free: Flag | None = None
    """True lists those that cost nothing, False those that cost something."""

    type: Text | None = None
    """Lists those of one kind: `text`, `embedding`, `image`, `audio` or `video`."""

    provider: Text | None = None
    """Lists those of one provider; few models name theirs."""


class ModelPricing(Payload):
    """What a model costs in US dollars; prices of other kinds are kept as they came."""

    prompt_usd_per_1m: Decimal | None = None
    """US dollars for a million tokens of the request."""

    completion_usd_per_1m: Decimal | None = None
    """US dollars for a million tokens of the answer."""

    prompt_usd_per_1k: Decimal | None = None
    """US dollars for a thousand tokens of the request."""

    completion_usd_per_1k: Decimal | None = None
    """US dollars for a thousand tokens of the answer."""

    pricing_unit: str | None = None
    """What is counted where it is not tokens, as the server names it."""


class ModelInfo(Payload):
    """A model; what a newer gateway tells of it is kept as it came (Mesh's docs)."""

    id: NullableText = ""
    """What to ask for in `model`, such as `openai/gpt-4o-mini`."""

    name: NullableText = ""
    """What people call it."""

    description: str | None = None
    """What it is good for."""

    context_length: int | None = None
    """How many tokens a request and its answer may have together."""

    context_window: int | None = None
    """The same; some models have only this one."""

    is_free: bool | None = None
    """Whether it costs nothing."""

    pricing: ModelPricing | None = None
    """What it costs."""

    model_type: str | None = None
    """What it makes: `text`, `embedding`, `image`, `audio` or `video`."""

    input_modalities: list[str] | None = None
    """What it reads, such as `text` and `image`."""

    output_modalities: list[str] | None = None
    """What it answers with."""

    brand: str | None = None
    """Who made it."""

    provider: str | None = None
    """Who serves it; mostly None."""

    supports_tools: bool | None = None
    """Whether it can call tools."""

    supports_structured_output: bool | None = None
    """Whether its answer can follow a schema."""

    supports_system_prompt: bool | None = None
    """Whether it heeds a system message; None means that it does."""


class ModelList(Answer):
    """The models there are."""

    data: Annotated[list[ModelInfo], null_reads_as(list)]
    """One entry per model."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, document: object) -> object:
        # Mesh answers a bare array, OpenAI and OpenRouter an object around it.
        return document if document is None or is_mapping(document) else {"data": document}


class Models(Resource):
    """`client.models`: which models there are."""

    def list(
        self, params: ModelListParams | None = None, **options: Unpack[CallOptions]
    ) -> ModelList:
        """List the models.

        Raises:
            InvalidRequest: the params cannot be sent, or an option that only a POST has was given.
            MeshAPIError: the call failed, as in `client.chat.completions.create`.
        """
        return self._with(options).send(_listed(params, options))


class AsyncModels(AsyncResource):
    """`client.models`: which models there are."""

    async def list(
        self, params: ModelListParams | None = None, **options: Unpack[CallOptions]
    ) -> ModelList:
        """List the models.

        Raises:
            InvalidRequest: the params cannot be sent, or an option that only a POST has was given.
            MeshAPIError: the call failed, as in `client.chat.completions.create`.
        """
        return await self._with(options).send(_listed(params, options))


def _listed(params: ModelListParams | None, options: CallOptions) -> Call[ModelList]:
    return get(_PATH, params, ModelListParams, ModelList, options)
