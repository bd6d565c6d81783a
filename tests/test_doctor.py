"""`meshapi doctor`: what it finds wrong with a set-up, and what it never shows."""

from __future__ import annotations

import re
import socket
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from meshapi import __version__
from meshapi.cli import main, network
from meshapi.local import LocalGateway
from tests.terminal import aim
from tests.wire_server import WireServer, response


def found(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """What the doctor said: the mark and the detail of each look."""
    lines = capsys.readouterr().out.splitlines()
    rows = [re.fullmatch(r"(ok|!!|\?\?|--)  (\S+)\s+(.*)", each) for each in lines]
    return {row[2]: (row[1], row[3]) for row in rows if row}


def marks(looks: dict[str, tuple[str, str]]) -> str:
    return " ".join(mark for mark, _ in looks.values())


def test_the_doctor_finds_nothing_wrong_with_a_good_set_up(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--model", "local/babble"]) == 0

    looks = found(capsys)
    assert list(looks) == ["versions", "key", "URL", "proxy", "DNS", "connection", "call", "clock"]
    assert marks(looks).startswith("ok ok ok ok ok ok ok ")
    assert f"meshapi {__version__}" in looks["versions"][1]
    assert "req_" in looks["call"][1]
    sent = echo.requests[-1].json()
    assert (sent["max_tokens"], sent["model"]) == (1, "local/babble")


def test_the_doctor_makes_no_call_unless_it_may(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--no-call"]) == 0
    assert marks(found(capsys)) == "ok ok ok ok ok ok -- --"
    assert not echo.requests


def test_the_doctor_misses_a_key(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MESHAPI_TOKEN")

    assert main(["doctor"]) == 10
    assert marks(found(capsys)) == "ok !! ok ok ok ok -- --"


def test_the_doctor_sees_a_key_that_cannot_be_sent_and_does_not_show_it(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHAPI_TOKEN", "rsk_se cret\n")

    assert main(["doctor"]) == 10
    assert "cret" not in capsys.readouterr().out


def test_the_doctor_tells_a_key_that_is_not_known_and_does_not_show_it(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHAPI_TOKEN", "rsk_not_this_one")

    assert main(["doctor"]) == 24

    out = capsys.readouterr().out
    assert "(Unauthorized)" in out
    assert "does not know this key" in out
    assert "not_this" not in out


def test_the_doctor_doubts_an_admin_key(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHAPI_TOKEN", "mak_0123456789")

    main(["doctor", "--no-call"])

    out = capsys.readouterr().out
    assert "??  key" in out
    assert "0123456789" not in out


@pytest.mark.parametrize("url", ["nonsense", "ftp://x.invalid", "http://u:secret@x.invalid"])
def test_the_doctor_sees_a_url_that_is_none(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, url)

    assert main(["doctor"]) == 10

    looks = found(capsys)
    assert marks(looks) == "ok ok !! -- -- -- -- --"
    assert "secret" not in str(looks)


def test_the_doctor_sees_a_port_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, "http://127.0.0.1:1")

    assert main(["doctor"]) == 12
    assert marks(found(capsys)) == "ok ok ok ok ok !! -- --"


def test_the_doctor_sees_a_name_without_address_and_a_line_without_tls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, "http://nothing.invalid")

    assert main(["doctor"]) == 12
    assert marks(found(capsys)) == "ok ok ?? ok !! -- -- --"


def find_nothing_slowly(*_: object, **__: object) -> list[object]:
    time.sleep(0.3)
    return []


def test_the_doctor_does_not_wait_for_a_name_for_ever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, "https://slow.invalid")
    monkeypatch.setattr(network, "_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", find_nothing_slowly)

    assert main(["doctor"]) == 13
    assert found(capsys)["DNS"] == ("!!", "slow.invalid was not resolved within 0.05 s")


def test_the_doctor_sees_a_certificate_that_nobody_trusts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    authority: Any = trustme.CA()  # Its types are not whole.
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    with WireServer(response("{}"), tls=server_side) as server:
        aim(monkeypatch, server.url)

        assert main(["doctor"]) == 12

    looks = found(capsys)
    assert marks(looks) == "ok ok ok ok ok !! -- --"
    assert "certificate is not trusted" in looks["connection"][1]


def test_the_doctor_tells_how_long_a_certificate_lasts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    authority: Any = trustme.CA()  # Its types are not whole.
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    with WireServer(response("{}"), tls=server_side) as server:
        port = int(server.url.rpartition(":")[2])
        said = network.connect("127.0.0.1", port, trusting)

    assert re.search(r"TLSv1\.3, its certificate is valid for \d+ more days", said)


def test_the_doctor_names_the_proxy_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, "http://gateway.invalid")
    monkeypatch.setenv("HTTP_PROXY", "http://someone:hunter2@127.0.0.1:1")

    assert main(["doctor"]) == 12

    out = capsys.readouterr().out
    assert "http://127.0.0.1:1 (from the environment, with a user and password)" in out
    assert "hunter2" not in out
    assert "someone" not in out
    assert "!!  connection  No connection to 127.0.0.1, port 1: " in out
    assert "Correct HTTPS_PROXY" in out
    assert "--  call" in out


def test_a_password_that_is_not_escaped_is_not_shown_in_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    aim(monkeypatch, "http://gateway.invalid")
    monkeypatch.setenv("HTTP_PROXY", "http://someone:hun@ter2/x@127.0.0.1:1")

    assert main(["doctor"]) == 10
    assert "ter2" not in capsys.readouterr().out


def test_a_proxy_before_this_machine_is_doubtful(
    echo: LocalGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HTTP_PROXY", echo.base_url)

    main(["doctor"])

    assert "add its host to NO_PROXY" in capsys.readouterr().out


def test_the_doctor_compares_the_clocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = '{"choices": [], "model": "m"}'
    for ahead, status, mark, words in [
        (0, 200, "ok", "within"),
        (600, 200, "??", "behind"),
        (-600, 200, "??", "ahead"),
        (-600, 500, "??", "ahead"),
    ]:
        date = formatdate(time.time() + ahead, usegmt=True)
        with WireServer(response(answer, status=status, headers={"date": date})) as server:
            aim(monkeypatch, server.url)

            assert main(["doctor"]) == (0 if status == 200 else 34)

        looks = found(capsys)
        assert looks["clock"][0] == mark
        assert words in looks["clock"][1]


def test_the_doctor_says_what_to_do_about_a_refusal(
    echo: LocalGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--model", "no/such-model"]) == 28
    assert "`meshapi models` lists" in capsys.readouterr().out
