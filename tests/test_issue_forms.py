"""The forms for issues are what a code host can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parent.parent / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path for path in FOLDER.glob("*.yml") if path.name != "config.yml")
NEEDED = {"markdown": "value", "input": "label", "textarea": "label"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_can_be_shown(path: Path) -> None:
    form: dict[str, Any] = yaml.safe_load(path.read_text())
    asked = [each for each in form["body"] if each["type"] != "markdown"]

    assert form.keys() == {"name", "description", "body"}
    assert all(each["attributes"][NEEDED[each["type"]]] for each in form["body"])
    assert len({each["id"] for each in asked}) == len(asked) > 0
    assert any(each["validations"]["required"] for each in asked if "validations" in each)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_warns_of_what_must_not_be_pasted(path: Path) -> None:
    first: dict[str, Any] = yaml.safe_load(path.read_text())["body"][0]

    assert first["type"] == "markdown"
    assert "Do not paste a key" in first["attributes"]["value"]


def test_there_are_forms_and_their_settings_can_be_read() -> None:
    settings = yaml.safe_load((FOLDER / "config.yml").read_text())

    assert [path.stem for path in FORMS] == ["bug", "wire"]
    assert settings == {"blank_issues_enabled": True}
