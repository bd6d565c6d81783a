"""A small app: it streams its answers, looks up orders, and stays polite."""

from collections.abc import Iterator

from meshapi import (
    ChatCompletionParams,
    ChatMessage,
    MeshAPI,
    MeshAPIError,
    SpendLimitExceeded,
)


class SupportDesk:
    """One conversation with one customer."""

    def __init__(self, orders: dict[str, str]) -> None:
        self.client = MeshAPI()
        self.orders = orders
        self.messages: list[ChatMessage] = []

    def find_order(self, number: str) -> str:
        """Tell where an order is."""
        return self.orders.get(number, "unknown")

    def answer(self, question: str) -> Iterator[str]:
        """What the customer reads, piece by piece."""
        asked = ChatMessage(role="user", content=question)
        params = ChatCompletionParams(messages=[*self.messages, asked])
        tools = [self.find_order]
        try:
            with self.client.chat.completions.run_stream(params, tools=tools) as run:
                yield from run.text_stream
                self.messages = list(run.final().messages)
        except SpendLimitExceeded:
            yield "We answer again tomorrow."
        except MeshAPIError as error:
            yield " (we were cut off)" if error.partial else "Please ask again later."
