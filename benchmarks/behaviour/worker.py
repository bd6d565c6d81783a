"""One client in its own environment: `main(ADAPTER, COLOUR, URL)` prints an outcome per situation.

A client that does not come to an end is left behind in its thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import warnings
from dataclasses import asdict, replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from benchmarks.behaviour.failing import failed, shown_by
from benchmarks.behaviour.outcome import Outcome
from benchmarks.behaviour.readings import read_answer
from benchmarks.behaviour.situations import SITUATIONS
from benchmarks.wordings import QUESTION

if TYPE_CHECKING:
    from benchmarks.adapters import Adapter


def main(adapter: str, colour: str, url: str) -> None:
    """Meet all situations, one after the other."""
    warnings.simplefilter("ignore")  # What is left behind complains of it.
    module = cast("Adapter", import_module(f"benchmarks.adapters.{adapter}"))
    for name in SITUATIONS:
        found: list[Outcome] = []

        def work(name: str = name, found: list[Outcome] = found) -> None:
            found.append(met(module, colour, name, url))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(SITUATIONS[name].limit)
        outcome = found[0] if found else Outcome(name, SITUATIONS[name].limit, is_over=False)
        print(json.dumps(asdict(outcome)), flush=True)
    os._exit(0)


def met(module: Adapter, colour: str, name: str, url: str) -> Outcome:
    """What comes of one situation."""
    meet = _meet_async if colour == "async" else _meet
    begun = time.monotonic()
    try:
        outcome = meet(module, name, f"{url}/{name}")
    except Exception as error:  # noqa: BLE001  # Whatever a client raises is what came of it.
        outcome = failed(error, name)
    return replace(outcome, seconds=time.monotonic() - begun)


def _meet(module: Adapter, name: str, url: str) -> Outcome:
    asked = SITUATIONS[name]
    client = module.Sync(url, asked.token, asked.timeout)
    if asked.asks == "answer":
        return _answered(name, client.answer(QUESTION), client.client)
    if asked.asks == "stream":
        return Outcome(name, text="".join(client.stream(QUESTION)))
    return Outcome(name, text=client.ask(QUESTION))


def _meet_async(module: Adapter, name: str, url: str) -> Outcome:
    return asyncio.run(_awaited(module, name, url))


async def _awaited(module: Adapter, name: str, url: str) -> Outcome:
    asked = SITUATIONS[name]
    client = module.Async(url, asked.token, asked.timeout)
    if asked.asks == "answer":
        return _answered(name, await client.answer(QUESTION), client.client)
    if asked.asks == "stream":
        return Outcome(name, text="".join([each async for each in client.stream(QUESTION)]))
    return Outcome(name, text=await client.ask(QUESTION))


def _answered(name: str, answer: object, client: object) -> Outcome:
    shown = ["the client's repr"] if shown_by(client) else []
    return Outcome(name, text="an answer", facts=read_answer(answer), shown=shown)
