"""Its tests: no key, no network, no waiting."""

import pytest
from support import SupportDesk

from meshapi import MeshAPI, Timeout
from meshapi.local import FaultName, LocalGateway


def test_an_answer_comes_in_pieces(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello, how can I help?")

    pieces = list(SupportDesk(MeshAPI(), {}).answer("Hi"))

    assert len(pieces) > 1
    assert "".join(pieces) == "Hello, how can I help?"


def test_an_answer_is_part_of_the_next_question(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("Hello, how can I help?")
    mesh_gateway.reply("You are welcome.")
    desk = SupportDesk(MeshAPI(), {})

    list(desk.answer("Hi"))
    list(desk.answer("Thanks"))

    said = [each["content"] for each in mesh_gateway.requests[-1].messages]
    assert said == ["Hi", "Hello, how can I help?", "Thanks"]


def test_an_order_is_looked_up(mesh_gateway: LocalGateway) -> None:
    call = {"name": "find_order", "arguments": {"number": "42"}}
    mesh_gateway.reply(tool_calls=[call])
    mesh_gateway.reply("It is on its way.")

    answer = "".join(SupportDesk(MeshAPI(), {"42": "shipped"}).answer("Where is order 42?"))

    assert answer == "It is on its way."
    [asked] = mesh_gateway.requests[-1].tool_calls
    assert asked.function.parsed_arguments == {"number": "42"}
    assert mesh_gateway.requests[-1].text == "shipped"  # What the model was told.


def test_a_spent_budget_is_told_politely(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.limit(spend_cap_usd=0)

    assert "".join(SupportDesk(MeshAPI(), {}).answer("Hi")) == "We answer again tomorrow."


@pytest.mark.parametrize("cut", ["disconnect", "truncate", "stall", "error_mid_stream"])
def test_half_an_answer_is_marked_as_one(mesh_gateway: LocalGateway, cut: FaultName) -> None:
    mesh_gateway.fail(cut, after=3, reply="We ship on Monday.")
    client = MeshAPI(timeout=Timeout(idle=0.2))  # Give up after 0.2 s of silence.

    answer = "".join(SupportDesk(client, {}).answer("When?"))

    assert answer == "We ship (we were cut off)"


def test_what_was_said_before_a_cut_is_remembered(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply(tool_calls=[{"name": "find_order", "arguments": {"number": "42"}}])
    mesh_gateway.fail("disconnect", after=3, reply="It is on its way.")
    desk = SupportDesk(MeshAPI(), {"42": "shipped"})

    list(desk.answer("Where is order 42?"))
    list(desk.answer("Go on."))

    said = [each.get("content") for each in mesh_gateway.requests[-1].messages]
    assert said == ["Where is order 42?", None, "shipped", "It is (we were cut off)", "Go on."]


def test_an_error_that_stays_is_told_politely(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.fail(503, times=3)

    assert "".join(SupportDesk(MeshAPI(), {}).answer("Hi")) == "Please ask again later."
