"""Its tests: no key, no network, no waiting."""

from support import SupportDesk

from meshapi.local import LocalGateway


def test_an_answer_comes_in_pieces(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello, how can I help?")

    pieces = list(SupportDesk({}).answer("Hi"))

    assert len(pieces) > 1
    assert "".join(pieces) == "Hello, how can I help?"


def test_an_answer_is_part_of_the_next_question(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello, how can I help?")
    mesh_gateway.reply("You are welcome.")
    desk = SupportDesk({})

    list(desk.answer("Hi"))
    list(desk.answer("Thanks"))

    said = [each["content"] for each in mesh_gateway.requests[-1].messages]
    assert said == ["Hi", "Hello, how can I help?", "Thanks"]


def test_an_order_is_looked_up(mesh_gateway: LocalGateway) -> None:
    call = {"name": "find_order", "arguments": {"number": "42"}}
    mesh_gateway.reply(tool_calls=[call])
    mesh_gateway.reply("It is on its way.")

    answer = "".join(SupportDesk({"42": "shipped"}).answer("Where is order 42?"))

    assert answer == "It is on its way."
    assert mesh_gateway.requests[-1].text == "shipped"  # What the model was told.


def test_a_spent_budget_is_told_politely(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.limit(spend_cap_usd=0)

    assert "".join(SupportDesk({}).answer("Hi")) == "We answer again tomorrow."


def test_half_an_answer_is_marked_as_one(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail("disconnect", after=3, reply="We ship on Monday.")

    assert "".join(SupportDesk({}).answer("When?")) == "We ship (we were cut off)"
