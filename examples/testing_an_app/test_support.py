"""Its tests: no key, no network, no waiting."""

from support import SupportDesk

from meshapi.local import LocalGateway


def test_an_answer_is_part_of_the_next_question(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello, how can I help?")
    mesh_gateway.reply("You are welcome.")
    desk = SupportDesk({})

    desk.answer("Hi")
    assert desk.answer("Thanks") == "You are welcome."

    said = [each["content"] for each in mesh_gateway.requests[-1].messages]
    assert said == ["Hi", "Hello, how can I help?", "Thanks"]


def test_an_order_is_looked_up(mesh_gateway: LocalGateway) -> None:
    call = {"name": "find_order", "arguments": {"number": "42"}}
    mesh_gateway.reply(tool_calls=[call])
    mesh_gateway.reply("It is on its way.")

    assert SupportDesk({"42": "shipped"}).answer("Where is order 42?") == "It is on its way."
    assert mesh_gateway.requests[-1].text == "shipped"


def test_a_spent_budget_is_told_politely(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.limit(spend_cap_usd=0)

    assert SupportDesk({}).answer("Hi") == "We answer again tomorrow."


def test_a_full_minute_is_waited_for(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(429, retry_after=60)
    mesh_gateway.reply("Sorry for the wait.")

    assert SupportDesk({}).answer("Hi") == "Sorry for the wait."  # After milliseconds.


def test_half_an_answer_is_marked_as_one(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail("disconnect", after=3, reply="We ship on Monday.")

    assert SupportDesk({}).answer("When?") == "We ship (we were cut off)"
