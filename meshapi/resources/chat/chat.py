"""`client.chat`: what is mounted below it."""

from __future__ import annotations

from meshapi._core.resource import AsyncResource, Resource
from meshapi._core.transport import AsyncTransport, Transport
from meshapi.resources.chat.compare import AsyncCompare, Compare
from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions


class Chat(Resource):
    """`client.chat`: conversations with a model, or with several."""

    def __init__(self, transport: Transport) -> None:
        """Mount what is below."""
        super().__init__(transport)
        self.completions = ChatCompletions(transport)
        self.compare = Compare(transport)


class AsyncChat(AsyncResource):
    """`client.chat`: conversations with a model, or with several."""

    def __init__(self, transport: AsyncTransport) -> None:
        """Mount what is below."""
        super().__init__(transport)
        self.completions = AsyncChatCompletions(transport)
        self.compare = AsyncCompare(transport)
