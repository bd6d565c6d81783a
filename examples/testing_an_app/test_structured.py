"""A structured answer: say it, or let the gateway make one that fits."""

import pytest
from pydantic import BaseModel

from meshapi import ChatCompletionParams, MeshAPI, OutputParseError
from meshapi.local import LocalGateway


class City(BaseModel):
    name: str
    inhabitants: int


def largest_city(client: MeshAPI, country: str) -> City:
    question = {"role": "user", "content": f"The largest city of {country}?"}
    params = ChatCompletionParams(messages=[question])
    return client.chat.completions.parse(params, City).parsed


def test_an_answer_is_read_as_a_city(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply({"name": "Rome", "inhabitants": 2_750_000})

    assert largest_city(MeshAPI(), "Italy") == City(name="Rome", inhabitants=2_750_000)


def test_any_city_will_do(mesh_gateway: LocalGateway) -> None:
    assert isinstance(largest_city(MeshAPI(), "Italy"), City)  # Not scripted: made from the schema.


def test_an_answer_that_does_not_fit_keeps_its_text(mesh_gateway: LocalGateway) -> None:
    mesh_gateway.reply("I do not know.")

    with pytest.raises(OutputParseError) as caught:
        largest_city(MeshAPI(), "Atlantis")

    assert caught.value.raw_text == "I do not know."
