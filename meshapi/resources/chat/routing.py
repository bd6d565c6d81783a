"""Who answers, and how hard it thinks: the objects that OpenRouter's dialect adds to a request.

The gateway drops fields that it does not know, so on Mesh these are not confirmed to be passed on.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field

from meshapi._core.models import Flag, Number, Params, Text, Whole

ReasoningEffort: TypeAlias = (
    Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | str
)
"""How hard a model thinks. Mesh takes none, low, medium and high; OpenRouter all of them."""


ProviderSort: TypeAlias = Literal["price", "throughput", "latency", "exacto"] | Text
"""What to prefer among providers."""


class ProviderPreferences(Params):
    """Which providers may answer, and which first (OpenRouter)."""

    order: list[Text] | None = None
    """Providers to try, in this order."""

    only: list[Text] | None = None
    """Providers to use, and no others."""

    ignore: list[Text] | None = None
    """Providers never to use."""

    allow_fallbacks: Flag | None = None
    """Whether others may step in; true on the server."""

    require_parameters: Flag | None = None
    """Whether only providers may answer that support every parameter sent; false on the server."""

    data_collection: Literal["allow", "deny"] | Text | None = None
    """Whether providers that may keep the data are allowed."""

    zdr: Flag | None = None
    """Whether only providers with zero data retention may answer."""

    enforce_distillable_text: Flag | None = None
    """Whether only models may answer whose text may be used to train others."""

    quantizations: list[Text] | None = None
    """Which quantizations are allowed, such as `fp8`."""

    sort: ProviderSort | Mapping[str, object] | None = None
    """What to prefer; turns load balancing off."""

    max_price: Mapping[str, object] | None = None
    """The most to pay in US dollars: `prompt`, `completion` (a million tokens), `request`, ..."""

    preferred_max_latency: Number | Mapping[str, object] | None = None
    """A soft limit on latency, in seconds, or by percentile."""

    preferred_min_throughput: Number | Mapping[str, object] | None = None
    """A soft limit on throughput, in tokens per second, or by percentile."""

    options: Mapping[str, object] | None = None
    """Settings of single providers, by their slug."""


class Plugin(Params):
    """A plugin to run for this request, with its own settings (OpenRouter)."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    id: Text
    """Which one: `web`, `file-parser`, `response-healing`, `context-compression`, ..."""

    enabled: Flag | None = None
    """Whether it runs; true on the server."""


class Reasoning(Params):
    """How hard to think, and what to tell of it (OpenRouter)."""

    effort: ReasoningEffort | None = None
    """How hard; must not disagree with `reasoning_effort`."""

    summary: Text | None = None
    """How much of a summary to give."""

    max_tokens: Whole | None = Field(default=None, ge=1)
    """How many tokens to think with: at least 1."""

    exclude: Flag | None = None
    """Whether to think in silence."""

    enabled: Flag | None = None
    """Whether to think at all."""


class StreamOptions(Params):
    """What a stream carries besides the answer (OpenAI, OpenRouter)."""

    include_usage: Flag | None = None
    """Whether the last chunk brings the usage; today it does anyway."""


class DebugOptions(Params):
    """What to show of the request on its way; streams only (OpenRouter)."""

    echo_upstream_body: Flag | None = None
    """Whether the first chunk shows the body that went to the provider."""
