"""A small app: it streams its answers, looks up orders, and stays polite."""

from collections.abc import Iterator, Sequence

from meshapi import (
    ChatCompletionParams,
    ChatMessage,
    MeshAPI,
    MeshAPIError,
    SpendLimitExceeded,
)

CUT = " (we were cut off)"


class SupportDesk:
    """One conversation with one customer; all customers share the client."""

    def __init__(self, client: MeshAPI, orders: dict[str, str]) -> None:
        self.client = client
        self.orders = orders
        self.messages: Sequence[ChatMessage] = []

    def find_order(self, number: str) -> str:
        """Tell where an order is."""
        return self.orders.get(number, "unknown")

    def answer(self, question: str) -> Iterator[str]:
        """What the customer reads, piece by piece."""
        messages = [*self.messages, ChatMessage(role="user", content=question)]
        params = ChatCompletionParams(messages=messages)
        tools = [self.find_order]
        try:
            with self.client.chat.completions.run_stream(params, tools=tools) as run:
                yield from run.text_stream
                self.messages = run.final().messages
        except SpendLimitExceeded:
            yield "We answer again tomorrow."
        except MeshAPIError as error:
            if error.partial:
                done = error.run.messages if error.run else messages
                half = ChatMessage(role="assistant", content=error.partial.text + CUT)
                self.messages = [*done, half]
                yield CUT
            else:
                yield "Please ask again later."
