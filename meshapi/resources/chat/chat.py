"""`client.chat`: what is mounted below it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from meshapi._core.resource import AsyncResource, Resource
from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions

if TYPE_CHECKING:
    from meshapi._core.transport import AsyncTransport, Transport
    from meshapi.resources.chat.compare import AsyncCompare, Compare


class Chat(Resource):
    """`client.chat`: conversations with a model, or with several."""

    def __init__(self, transport: Transport) -> None:
        """Mount what is below."""
        super().__init__(transport)
        self.completions: ChatCompletions = ChatCompletions(transport)
        """One question to one model, in many ways."""

    @cached_property
    def compare(self) -> Compare:
        """One question to several models."""
        from meshapi.resources.chat.compare import Compare  # Its models cost what nobody may use.

        return Compare(self._transport)


class AsyncChat(AsyncResource):
    """`client.chat`: conversations with a model, or with several."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Mount what is below."""
        super().__init__(transport)
        self.completions: AsyncChatCompletions = AsyncChatCompletions(transport)
        """One question to one model, in many ways."""

    @cached_property
    def compare(self) -> AsyncCompare:
        """One question to several models."""
        from meshapi.resources.chat.compare import AsyncCompare  # Its models cost, too.

        return AsyncCompare(self._transport)
