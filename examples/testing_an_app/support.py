"""A small app: it answers its customers, looks up their orders, and stays polite when it cannot."""

from meshapi import (
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatMessage,
    MeshAPI,
    SpendLimitExceeded,
    StreamInterrupted,
    Tool,
    ToolFunction,
)

ORDER = Tool(function=ToolFunction(name="find_order", parameters={"type": "object"}))


class SupportDesk:
    """One conversation with one customer."""

    def __init__(self, orders: dict[str, str]) -> None:
        self.client = MeshAPI()
        self.orders = orders
        self.messages: list[ChatMessage] = []

    def answer(self, question: str) -> str:
        """What the customer reads."""
        self.messages.append(ChatMessage(role="user", content=question))
        try:
            said = self._said()
            for call in said.tool_calls or []:
                number = str(call.function.parsed_arguments["number"])
                found = self.orders.get(number, "unknown")
                result = ChatMessage(role="tool", tool_call_id=call.id, content=found)
                self.messages += [said, result]
                said = self._said()
        except SpendLimitExceeded:
            return "We answer again tomorrow."
        except StreamInterrupted as cut:
            return f"{cut.partial.text if cut.partial else ''} (we were cut off)"
        self.messages.append(said)
        return str(said.content)

    def _said(self) -> ChatCompletionMessage:
        params = ChatCompletionParams(messages=self.messages, tools=[ORDER])
        with self.client.chat.completions.stream(params) as stream:
            return stream.final().choices[0].message
