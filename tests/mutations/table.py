"""The promises of `docs/reliability.md`, each with a fault that breaks it."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

RETRY = "_core/retry.py"
TRANSPORT = "_core/transport.py"
INCOMING = "_core/incoming.py"
READER = "_core/reader.py"
EXCHANGE = "_core/exchange.py"
TOKEN = "_core/token.py"
EVENTS = "_core/events.py"
STREAMS = "_core/streams.py"
CONNECTIONS = "_core/connections/"
WATCH = "_core/watch.py"
TELLING = "_core/telling.py"
LOCAL = "local/"
CHAT = "resources/chat/"
RELAY = "resources/chat/relay.py"

BILLING = [
    Mutation(
        "Codes that stand for a failed job are final",
        RETRY,
        "    if code in FINAL_CODES:\n",
        "    if False:\n",
        "test_faults.py -k 503",
    ),
    Mutation(
        "What never left is not sent",
        INCOMING,
        '(httpx.ConnectError, ConnectionFailed, "not_sent"',
        '(httpx.ConnectError, ConnectionFailed, "ambiguous"',
        "test_network.py -k lent",
    ),
    Mutation(
        "A proxy that fails has sent nothing on",
        INCOMING,
        'if safety == "ambiguous" and not has_left:',
        "if False:",
        "test_proxies.py -k tunnel",
    ),
    Mutation(
        "A deadline that passes before the request left is not sent",
        INCOMING,
        '"ambiguous" if has_left else "not_sent"',
        '"ambiguous"',
        "test_proxies.py -k stalls",
    ),
    Mutation(
        "A request to a kept connection that was closed is not sent",
        CONNECTIONS + "sync_line.py",
        "            self._line.broke(error.__cause__)\n",
        "",
        "test_pool.py -k closed_as",
    ),
    Mutation(
        "So it is where the end crosses the request",
        CONNECTIONS + "sync_line.py",
        "            self._look_for_refusal()\n",
        "            pass\n",
        "test_pool.py -k closed_as",
    ),
    Mutation(
        "So it is on asyncio",
        CONNECTIONS + "async_line.py",
        "            await self._look_for_refusal()\n",
        "",
        "test_pool.py -k closed_as",
    ),
    Mutation(
        "A kept connection that ends later may have been billed",
        CONNECTIONS + "line.py",
        "_CROSSING_SECONDS = 0.05",
        "_CROSSING_SECONDS = 5.0",
        "test_pool.py -k ends_in_another_way",
    ),
    Mutation(
        "After an event, a stream may have been billed",
        READER,
        '                error.retry_safety = "ambiguous"\n',
        "                pass\n",
        "test_faults.py -k after -k streams",
    ),
    Mutation(
        "An error in a 200 is that error",
        "_core/call.py",
        "    if error := in_band_error(answer, reply.meta, reply.token):\n",
        "    if error := None:\n",
        "test_faults.py -k answers",
    ),
    Mutation(
        "4xx and 501 are final",
        RETRY,
        "    if status < 500 or status == 501:\n",
        "    if status < 500:\n",
        "test_faults.py -k 501",
    ),
    Mutation(
        "A bad 200 is final",
        "_core/call.py",
        "    return InvalidResponse(message, retry_after=wait, meta=reply.meta)\n",
        "    return InvalidResponse(message, retry_after=wait, meta=reply.meta,"
        ' retry_safety="refused")\n',
        "test_faults.py -k answers",
    ),
    Mutation(
        "A bad first event is a bad 200",
        READER,
        '        return "ambiguous" if self.events else "final"\n',
        '        return "ambiguous"\n',
        "test_faults.py -k first -k streams",
    ),
    Mutation(
        "529 is refused",
        RETRY,
        "    if status in {408, 429, 502, 503, 529}:\n",
        "    if status in {408, 429, 502, 503}:\n",
        "test_faults.py -k 529",
    ),
    Mutation(
        "A 5xx that names a wait is refused",
        RETRY,
        '    return "refused" if names_wait else "ambiguous"\n',
        '    return "ambiguous"\n',
        "test_faults.py -k names",
    ),
    Mutation(
        "Any other lost answer may have been billed",
        INCOMING,
        '    (Exception, ConnectionFailed, "ambiguous",',
        '    (Exception, ConnectionFailed, "not_sent",',
        "test_faults.py -k hung",
    ),
    Mutation(
        "What may have been billed is sent once",
        RETRY,
        "            return self.retry_ambiguous\n",
        "            return True\n",
        "test_faults.py -k hung",
    ),
    Mutation(
        "One key for all attempts",
        EXCHANGE,
        '            "x-meshapi-attempt": str(self.attempts.count),\n',
        '            "x-meshapi-attempt": str(self.attempts.count),\n'
        '            "idempotency-key": os.urandom(16).hex(),\n',
        "test_retries.py -k attempts_share",
    ),
    Mutation(
        "Attempts are numbered",
        EXCHANGE,
        '"x-meshapi-attempt": str(self.attempts.count)',
        '"x-meshapi-attempt": "1"',
        "test_retries.py -k attempts_share",
    ),
    Mutation(
        "The longest wait counts",
        RETRY,
        "    return max((wait for wait in waits if wait is not None), default=None)\n",
        "    return min((wait for wait in waits if wait is not None), default=None)\n",
        "test_faults.py -k wait",
    ),
    Mutation(
        "Never earlier than told",
        RETRY,
        "            return error.retry_after * (1 + jitter / 10)\n",
        "            return error.retry_after * (1 - jitter / 10)\n",
        "test_retries.py -k never_shorter",
    ),
    Mutation(
        "Half of our own wait is fixed",
        RETRY,
        "        return longest * (1 + jitter) / 2\n",
        "        return longest * jitter\n",
        "test_retries.py -k doubles",
    ),
    Mutation(
        "A hint is made of ASCII digits",
        RETRY,
        'r"[0-9]{1,12}(\\.[0-9]{1,6})?"',
        'r"\\d{1,12}(\\.[0-9]{1,6})?"',
        "test_retries.py -k means_nothing",
    ),
    Mutation(
        "A wait that is longer than the deadline is not slept",
        RETRY,
        "        if wait >= self.left:\n            return True\n",
        "",
        "test_retries.py",
    ),
    Mutation(
        "A wait that is longer than max_retry_after is not slept",
        RETRY,
        "            return error.retry_after > self.policy.max_retry_after\n",
        "            return False\n",
        "test_faults.py -k wait",
    ),
    Mutation(
        "A dead gateway sees ten repeats",
        RETRY,
        "            if self._tenths < 10:\n                return False\n",
        "",
        "test_retries.py -k dead",
    ),
    Mutation(
        "A named wait costs no budget",
        RETRY,
        "        if error.retry_after is not None:\n            return error.retry_after > ",
        "        if not self.budget.spend():\n            return True\n"
        "        if error.retry_after is not None:\n            return error.retry_after > ",
        "test_retries.py -k costs_no_budget",
    ),
]

TIME = [
    Mutation(
        "One deadline over all reads",
        "_core/deadline.py",
        "        return min(max(0.0, self._until - self._clock()), _LONGEST_WAIT)\n",
        "        return 60.0\n",
        "test_deadlines.py -k ends_at",
    ),
    Mutation(
        "Async: an alarm is set earlier where the deadline is",
        CONNECTIONS + "async_line.py",
        "        if self._alarm and self._alarm.when() <= until:\n            return\n",
        "        if self._alarm:\n            return\n",
        "test_streams.py -k stalls",
    ),
    Mutation(
        "Comments and single bytes are no event",
        TRANSPORT,
        "            if event is not None:\n                exchange.heard()\n"
        "                event = None\n            if reader.done:\n                break\n"
        "        for event in reader.end():\n            yield event\n"
        "        if reader.done and drains:\n            drain",
        "            exchange.heard()\n            if reader.done:\n                break\n"
        "        for event in reader.end():\n            yield event\n"
        "        if reader.done and drains:\n            drain",
        "test_faults.py -k ever",
    ),
    Mutation(
        "A small body that stands for much is held to the deadline",
        INCOMING,
        "        for piece in inflater.push(data):\n            _check_time(exchange)\n"
        "            yield piece\n\n\nasync",
        "        for piece in inflater.push(data):\n            yield piece\n\n\nasync",
        "test_deadlines.py -k stands_for_much",
    ),
    Mutation(
        "Async: what was cancelled before it connected was not sent",
        CONNECTIONS + "connection.py",
        "            if not self._line.has_written:\n                departure.happened = False\n",
        "",
        "test_deadlines.py -k before_connecting",
    ),
    Mutation(
        "An upload is held to the deadline",
        CONNECTIONS + "sync_line.py",
        "            seconds = self._line.left(httpcore.WriteTimeout)\n",
        "            seconds = 60.0\n",
        "test_network.py -k upload",
    ),
    Mutation(
        "All addresses of a host share the limit",
        CONNECTIONS + "line.py",
        "min(left, _SECONDS_PER_ADDRESS)",
        "limit",
        "test_pool.py -k leaves_time",
    ),
    Mutation(
        "An idle limit keeps what had come",
        READER,
        "            error.partial = self.partial\n",
        "            pass\n",
        "test_faults.py -k silence",
    ),
]

COMPLETE = [
    Mutation(
        "A stream that ends too early is no success",
        "resources/chat/fold.py",
        "        return bool(choices) and all(choice.finished for choice in choices)\n",
        "        return True\n",
        "test_faults.py -k streams",
    ),
    Mutation(
        "A complete answer that is cut is a success",
        READER,
        "        if self._fold.complete:\n            return None\n",
        "",
        "test_streams.py -k complete",
    ),
    Mutation(
        "NaN is no JSON",
        READER,
        "        if says_nan(text):\n",
        "        if False:\n",
        "test_faults.py -k NaN",
    ),
    Mutation(
        "An event that is no UTF-8 is not repaired",
        EVENTS,
        '            data = b"\\n".join(self._data).decode()\n',
        '            data = b"\\n".join(self._data).decode("utf-8", "replace")\n',
        "test_faults.py -k UTF",
    ),
    Mutation(
        "A byte-order mark is ignored",
        EVENTS,
        "            line = line.removeprefix(_BOM)\n",
        "            pass\n",
        "test_streams.py -k mark",
    ),
    Mutation(
        "CR and LF may be cut apart",
        EVENTS,
        '        if after_cr and data.startswith(b"\\n"):\n',
        "        if False:\n",
        "test_events.py",
    ),
    Mutation(
        "A block without data is no event",
        READER,
        "                if text:\n",
        "                if True:\n",
        "test_streams.py -k complete",
    ),
    Mutation(
        "Every member of a gzip body is read",
        "_core/inflate.py",
        "        return piece, inflater.unused_data\n",
        '        return piece, b""\n',
        "test_faults.py -k member",
    ),
]

BROWSERS = [
    Mutation(
        "A browser that leaves ends the call where nobody listens for it",
        RELAY,
        "        if self._next and not self._next.done():\n            self._let_go()\n",
        "        pass\n",
        "test_sse.py -k newer_server",
    ),
    Mutation(
        "A browser that leaves ends the call while it is written to",
        RELAY,
        "                relay._let_go()\n",
        "                pass\n",
        "test_sse.py -k while_it_writes",
    ),
    Mutation(
        "A browser that leaves ends the call of a plain client, too",
        RELAY,
        "        self._close()\n",
        "        pass\n",
        "test_sse.py -k leaves",
    ),
    Mutation(
        "A browser is not told that half an answer is whole",
        "resources/chat/streams.py",
        "        yield from self\n        self._finish()\n",
        "        yield from self\n",
        "test_sse.py -k passed_off",
    ),
    Mutation(
        "A silent stream holds up no exit",
        RELAY,
        "daemon=True",
        "daemon=False",
        "test_sse.py -k holds_up",
    ),
]

BOUNDS = [
    Mutation(
        "An answer is bounded",
        EXCHANGE,
        "        return self._size <= self._most\n",
        "        return True\n",
        "test_faults.py -k allowed -k answers",
    ),
    Mutation(
        "An error page is read so far",
        EXCHANGE,
        "_MAX_ERROR_BYTES if exchange.failed else settings.max_response_bytes",
        "settings.max_response_bytes",
        "test_memory.py -k error",
    ),
    Mutation(
        "An event is bounded",
        EVENTS,
        "        if self._size > self._max_event_bytes:\n",
        "        if False:\n",
        "test_events.py -k bound",
    ),
    Mutation(
        "A bomb is inflated in pieces",
        "_core/inflate.py",
        "inflater.decompress(data, _PIECE)",
        "inflater.decompress(data)",
        "test_memory.py -k inflated",
    ),
    Mutation(
        "Bytes that stand for nothing are bounded",
        "_core/inflate.py",
        "        if self._without_output > _MOST_WITHOUT_OUTPUT:\n",
        "        if False:\n",
        "test_faults.py -k stands",
    ),
]

SECRETS = [
    Mutation(
        "A token has no repr",
        TOKEN,
        '        return "Token(***)"\n',
        '        return f"Token({self._value})"\n',
        "test_errors.py test_settings.py",
    ),
    Mutation(
        "A malformed token is refused",
        TOKEN,
        "    if not is_token(token):\n",
        "    if False:\n",
        "test_errors.py -k token",
    ),
    Mutation(
        "An echo in a body is masked",
        TOKEN,
        '        return text.replace(self._value, "***")\n',
        "        return text\n",
        "test_faults.py -k token",
    ),
    Mutation(
        "An echo in a header is not logged",
        TOKEN,
        "                text = token.hide_in_text(text)\n",
        "                pass\n",
        "test_faults.py -k header",
    ),
    Mutation(
        "What a stream said is in no traceback",
        TRANSPORT,
        "        raise failure.with_traceback(None)\n\n\nasync def _async_events",
        "        raise failure\n\n\nasync def _async_events",
        "test_faults.py -k after",
    ),
    Mutation(
        "A status line is in no repr",
        TRANSPORT,
        'response.extensions.pop("reason_phrase", None)  # A server\'s own words, for our repr.\n'
        "            exchange.answered(response.status_code, response.headers.raw)\n"
        "            return response\n        raise failure\n\n    def _whole",
        "exchange.answered(response.status_code, response.headers.raw)\n"
        "            return response\n        raise failure\n\n    def _whole",
        "test_faults.py -k line",
    ),
    Mutation(
        "A redirect is not followed",
        CONNECTIONS + "pool.py",
        "        return self._lent.send(request, stream=True, auth=None, follow_redirects=False)\n",
        "        return self._lent.send(request, stream=True, auth=None, follow_redirects=True)\n",
        "test_settings.py test_faults.py -k redirect",
    ),
]

PROCESS = [
    Mutation(
        "A child process has a pool of its own",
        "_core/fork.py",
        "    os.register_at_fork(after_in_child=_renew_all)\n",
        "    pass\n",
        "test_lifecycle.py -k fork",
    ),
    Mutation(
        "A child does not read its parent's streams",
        STREAMS,
        "            raise self._opened.reader.interrupted(_NOT_OURS)\n        with self._one",
        "            pass\n        with self._one",
        "test_lifecycle.py -k parent",
    ),
    Mutation(
        "Connections are closed with their event loop",
        CONNECTIONS + "async_pool.py",
        "            await anext(guard)\n",
        "",
        "test_lifecycle.py -k loop",
    ),
    Mutation(
        "Event loops are let go",
        CONNECTIONS + "async_pool.py",
        "            _forget_closed_loops(self._by_loop)\n",
        "",
        "test_pool.py -k loops",
    ),
    Mutation(
        "A cancelled call gives its place back",
        CONNECTIONS + "limit.py",
        "            self._give_up(turn)\n            if isinstance",
        "            if isinstance",
        "test_pool.py -k first_among_tasks",
    ),
    Mutation(
        "A place that comes too late is passed on",
        CONNECTIONS + "limit.py",
        "    def _give_up(self, turn: asyncio.Event) -> None:\n"
        "        if not self._turns.give_up(turn):\n            self.leave()\n",
        "    def _give_up(self, turn: asyncio.Event) -> None:\n        self._turns.give_up(turn)\n",
        "test_pool.py -k passed_on",
    ),
    Mutation(
        "Who comes first is served first",
        CONNECTIONS + "limit.py",
        "self._waiting.popitem(last=False)[0]",
        "self._waiting.popitem(last=True)[0]",
        "test_pool.py -k served_first",
    ),
    Mutation(
        "There are no more connections than allowed",
        CONNECTIONS + "limit.py",
        "        if not self._free:\n            return False\n",
        "",
        "test_pool.py -k all_served",
    ),
    Mutation(
        "A collected stream waits for no lock",
        CONNECTIONS + "guard.py",
        "self._lock.acquire(blocking=False)",
        "self._lock.acquire(timeout=300)",
        "test_pool.py -k collected",
    ),
    Mutation(
        "A connection that its server closed is not used",
        CONNECTIONS + "connection.py",
        "return in_time and inner is not None and not inner.has_expired()",
        "return in_time and inner is not None",
        "test_pool.py -k closed_in_between",
    ),
    Mutation(
        "Idle connections expire",
        CONNECTIONS + "shelf.py",
        "        while idle[0].idle_until < now:\n            self._drop_oldest(place)\n",
        "",
        "test_pool.py -k half_a_minute",
    ),
    Mutation(
        "A request is sent in one piece",
        CONNECTIONS + "sync_line.py",
        "        if is_head(buffer) and not self._head:\n            self._head = buffer\n"
        "            return\n",
        "",
        "test_costs.py -k one_piece",
    ),
    Mutation(
        "A start loads nothing that it does not need",
        "resources/chat/chat.py",
        "from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions\n",
        "from meshapi.resources.chat.compare import AsyncCompare, Compare\n"
        "from meshapi.resources.chat.completions import AsyncChatCompletions, ChatCompletions\n",
        "test_costs.py -k start",
    ),
    Mutation(
        "A stream gives its connection back",
        TRANSPORT,
        "            drain(exchange, pieces)\n",
        "            pass\n",
        "test_pool.py -k every_kind",
    ),
    Mutation(
        "The drain is bounded in time",
        INCOMING,
        "    exchange.deadline.restart(_DRAIN_SECONDS)\n    with suppress(*FOREIGN):\n"
        "        for _ in islice",
        "    with suppress(*FOREIGN):\n        for _ in islice",
        "test_pool.py -k stays_open",
    ),
    Mutation(
        "The drain is bounded in size",
        INCOMING,
        "        for _ in islice(pieces, _DRAIN_PIECES):\n",
        "        for _ in pieces:\n",
        "test_pool.py -k goes_on",
    ),
    Mutation(
        "A closed client sends nothing more",
        CONNECTIONS + "shelf.py",
        "        if self._closed:\n            raise ConfigurationError(CLOSED)\n",
        "",
        "test_pool.py -k ends_the_wait",
    ),
    Mutation(
        "A stream outlives its client",
        TRANSPORT,
        "lambda: self.pool.cut_off(response)",
        "lambda: None",
        "test_pool.py -k outlives",
    ),
    Mutation(
        "A client that is dropped closes its connections",
        CONNECTIONS + "pool.py",
        "        self._finalizer = weakref.finalize(self, self._transport.close)\n",
        "        self._finalizer = weakref.finalize(self, str)\n",
        "test_lifecycle.py -k sync",
    ),
    Mutation(
        "Closing ends an async stream that is opening",
        STREAMS,
        "                self._opening.reschedule(0)\n",
        "                pass\n",
        "test_streams.py -k first_event",
    ),
    Mutation(
        "Certificates are loaded when they are needed",
        CONNECTIONS + "connection.py",
        "            trust = routes.trust_for(origin.scheme.decode())\n"
        "            super().__init__(httpcore.HTTPConnection",
        "            trust = routes.trust()\n            super().__init__(httpcore.HTTPConnection",
        "test_pool.py -k certificates",
    ),
    Mutation(
        "NO_PROXY takes IPv6",
        CONNECTIONS + "routes.py",
        'forms = [f"[{host}]", host, f"[{host}]:{port}"] if is_ipv6 else [host, f"{host}:{port}"]',
        'forms = [host, f"{host}:{port}"]',
        "test_proxies.py -k no_proxy",
    ),
]

GATEWAY = [
    Mutation(
        "A window ends at a whole multiple of its length",
        LOCAL + "rules.py",
        "(number + 1) * self.seconds - now",
        "self.seconds",
        "test_local_gateway.py -k windows",
    ),
    Mutation(
        "A request that is refused later does not count",
        LOCAL + "rules.py",
        "        self._let_through(key)\n        return Admitted(",
        "        return Admitted(",
        "test_local_gateway.py -k order",
    ),
    Mutation(
        "A template is filled before limits are asked",
        LOCAL + "rules.py",
        "        messages = _messages(template, request)\n        asked =",
        "        messages = request.messages\n        asked =",
        "test_local_gateway.py -k template",
    ),
    Mutation(
        "A stream is paid also when nobody reads on",
        LOCAL + "service.py",
        "chunks if self.forward else list(chunks)",
        "chunks",
        "test_local_gateway.py -k nobody_reads",
    ),
    Mutation(
        "The spend cap is soft",
        LOCAL + "rules.py",
        "self.spent_usd >= self.spend_cap_usd",
        "self.spent_usd > self.spend_cap_usd",
        "test_local_gateway.py -k held",
    ),
    Mutation(
        "The version is checked before the key",
        LOCAL + "service.py",
        '        headers["x-mesh-version"] = _version(request.headers.get("x-mesh-version"))\n',
        "",
        "test_local_gateway.py -k contract",
    ),
    Mutation(
        "A seed decides",
        LOCAL + "answers.py",
        "    request = asked.request\n    dice = random.Random(request.seed)",
        "    request = asked.request\n    dice = random.Random()",
        "test_local_answers.py -k seed",
    ),
    Mutation(
        "A fault comes after as many events as asked",
        LOCAL + "faults.py",
        'wanted = self.options.get("after", 1)',
        "wanted = 1",
        "test_local_faults.py -k as_many",
    ),
    Mutation(
        "A fault instead of an answer costs nothing",
        LOCAL + "service.py",
        "        substitute = turn.fault.instead(headers, streams=work.streams)\n",
        "        work.answer(turn.canned)\n"
        "        substitute = turn.fault.instead(headers, streams=work.streams)\n",
        "test_local_faults.py -k costs_nothing",
    ),
    Mutation(
        "Skipped waits move the deadline as well",
        LOCAL + "clock.py",
        "    return time.monotonic() + max((clock.ahead for clock in _open), default=0.0)\n",
        "    return time.monotonic()\n",
        "test_local_gateway.py -k skipped",
    ),
    Mutation(
        "Those who wait at the same time wait together",
        LOCAL + "clock.py",
        "max(0.0, ahead - self.ahead)",
        "ahead",
        "test_local_gateway.py -k together",
    ),
    Mutation(
        "Clients wait again once nobody skips",
        LOCAL + "clock.py",
        "_SKIPPING if _open else _WAITING",
        "_SKIPPING",
        "test_local_gateway.py -k stops_skipping",
    ),
    Mutation(
        "Who leaves a stream ends it at the upstream",
        LOCAL + "waiting.py",
        "        reply.leave()\n",
        "        pass\n",
        "test_local_answers.py -k leaves",
    ),
    Mutation(
        "A stream of an upstream is booked once",
        LOCAL + "bill.py",
        "            if not self._is_paid:\n",
        "            if True:\n",
        "test_local_answers.py -k booked",
    ),
    Mutation(
        "An upstream keeps nobody waiting",
        LOCAL + "waiting.py",
        "    if service.forward is None:\n",
        "    if True:\n",
        "test_local_answers.py -k nobody_else",
    ),
    Mutation(
        "An error of the upstream's stream names its request",
        LOCAL + "replies.py",
        "        yield event(refusal.envelope(request_id))\n",
        "        yield event({'error': refusal.error})\n",
        "test_local_answers.py -k breaks",
    ),
    Mutation(
        "What is Mesh's own is not sent on",
        LOCAL + "upstream.py",
        '    "session_id",\n',
        "",
        "test_local_answers.py -k rules",
    ),
]

COMMAND_LINE = [
    Mutation(
        "A terminal obeys no control character of a model's",
        "cli/printing.py",
        "    return text.translate(_SHOWN_AS)\n",
        "    return text\n",
        "test_cli.py -k steer",
    ),
    Mutation(
        "Into a pipe goes no colour",
        "cli/printing.py",
        "    return stream.isatty() and not is_plain\n",
        "    return not is_plain\n",
        "test_cli.py -k pipe_gets_the_text",
    ),
    Mutation(
        "A question that failed is not sent again",
        "cli/conversation.py",
        '        asked = ChatMessage(role="user", content=question)\n',
        '        asked = ChatMessage(role="user", content=question)\n'
        "        self._messages.append(asked)\n",
        "test_cli.py -k forgotten",
    ),
]

OUTPUTS = [
    Mutation(
        "A refusal is not read as a value",
        CHAT + "outputs.py",
        "        if refusal:\n",
        "        if False:\n",
        "test_structured_output.py -k refus",
    ),
    Mutation(
        "An answer that was cut is no value, even where it can be read",
        CHAT + "outputs.py",
        "        if failure := _cut(completion) or _nan(completion):\n",
        "        if failure := _nan(completion):\n",
        "test_structured_output.py -k cut",
    ),
    Mutation(
        "NaN is no number of JSON",
        CHAT + "outputs.py",
        "        if failure := _cut(completion) or _nan(completion):\n",
        "        if failure := _cut(completion):\n",
        "test_structured_output.py -k json_does_not_have",
    ),
    Mutation(
        "A rule of the type's own does not blame the model",
        CHAT + "outputs.py",
        "    if not is_broken or ",
        "    if ",
        "test_structured_output.py -k blame",
    ),
    Mutation(
        "A strict object has all its fields",
        CHAT + "strict.py",
        '        "required": list(fields),\n',
        '        "required": schema.get("required", []),\n',
        "test_structured_output.py -k strict",
    ),
    Mutation(
        "A strict object can be finite",
        CHAT + "strict.py",
        "    return strict if _has_an_end(strict) else None\n",
        "    return strict\n",
        "test_structured_output.py -k never_end",
    ),
    Mutation(
        "What no provider enforces is told in words",
        CHAT + "strict.py",
        "    if not unsaid:\n",
        "    if True:\n",
        "test_structured_output.py -k strict",
    ),
    Mutation(
        "A growing document is not read at each of its pieces",
        CHAT + "partial_json.py",
        " if self._length >= self._due else []\n",
        "\n",
        "test_structured_output.py -k quadratic",
    ),
    Mutation(
        "A type that was used once is not kept",
        CHAT + "answer_form.py",
        " = WeakKeyDictionary()\n",
        " = {}\n",
        "test_structured_output.py -k on_the_fly",
    ),
]

TOOLS = [
    Mutation(
        "What a model wrote wrongly never reaches a function",
        CHAT + "signatures.py",
        'ConfigDict(extra="forbid", defer_build=True)',
        'ConfigDict(extra="ignore", defer_build=True)',
        "test_functions.py -k field_by_field",
    ),
    Mutation(
        "A default that has no form in JSON is in no schema",
        CHAT + "signatures.py",
        "return {} if says_nan(document) else",
        "return",
        "test_functions.py -k annotation",
    ),
    Mutation(
        "No word of a docstring is lost",
        CHAT + "docstrings.py",
        "            return entry[0]\n",
        '            return ""\n',
        "test_functions.py -k docstring",
    ),
    Mutation(
        "An iterable is read before the function is called",
        CHAT + "signatures.py",
        'schema = {**schema, "type": "list"}',
        "pass",
        "test_functions.py -k iterable",
    ),
    Mutation(
        "Arguments with NaN are no JSON",
        CHAT + "tools.py",
        "allow_inf_nan=False",
        "allow_inf_nan=True",
        "test_functions.py -k no_object",
    ),
    Mutation(
        "A run is bounded",
        CHAT + "running.py",
        "len(self._completions) >= self._max_turns",
        "len(self._completions) > self._max_turns",
        "test_runs.py -k bounded",
    ),
    Mutation(
        "A forced choice does not force for ever",
        CHAT + "running.py",
        '            update["tool_choice"] = "auto"',
        '            update["tool_choice"] = self._params.tool_choice',
        "test_runs.py -k forced",
    ),
    Mutation(
        "Each question of a run has an idempotency key of its own",
        CHAT + "running.py",
        'f"{key}-{answers + 1}"',
        "key",
        "test_runs.py -k idempotency",
    ),
    Mutation(
        "The calls of an answer that was cut are not run",
        CHAT + "running.py",
        "choice is None or choice.finish_reason in _CUT",
        "choice is None",
        "test_runs.py -k was_cut",
    ),
    Mutation(
        "What was done before an error is not done again",
        CHAT + "running.py",
        "            error.run = run\n",
        "            pass\n",
        "test_runs.py -k not_done_again",
    ),
    Mutation(
        "A call that ended well is not run again",
        CHAT + "running.py",
        "        self._kept.append(result)\n",
        "        pass\n",
        "test_runs.py -k ended_well",
    ),
    Mutation(
        "Only the calls without an answer are taken up",
        CHAT + "running.py",
        "if call.id == answered), len(calls))",
        "if call.id != answered), len(calls))",
        "test_runs.py -k taken_up",
    ),
    Mutation(
        "A call in the middle of a conversation wants its answer",
        CHAT + "running.py",
        "        elif left:\n",
        "        elif not messages:\n",
        "test_runs.py -k in_the_middle",
    ),
    Mutation(
        "A model that must not call runs nothing",
        CHAT + "running.py",
        '[] if self._params.tool_choice == "none" else ',
        "",
        "test_runs.py -k must_not",
    ),
    Mutation(
        "What cannot be sent is refused before a function runs",
        CHAT + "completions.py",
        "    _whole(*running.question())  #",
        "    #",
        "test_runs.py -k looked_at_before",
    ),
    Mutation(
        "A function that is cancelled alone has failed",
        CHAT + "run_calls.py",
        "if task.cancelled() and isinstance(due, PreparedCall):",
        "if not due:",
        "test_runs.py -k cancelled_alone",
    ),
    Mutation(
        "An abandoned function does not hold up the loop",
        CHAT + "run_calls.py",
        "self._threads.shutdown(wait=False, cancel_futures=True)",
        "self._threads.shutdown(wait=True, cancel_futures=True)",
        "test_runs.py -k abandoned",
    ),
    Mutation(
        "A run that was closed gives no chunk",
        CHAT + "run_streams.py",
        "            if self._closed:  # While it was waited for.\n",
        "            if not step:\n",
        "test_runs.py -k nothing_of_it",
    ),
    Mutation(
        "A whole question says nothing of streams",
        CHAT + "params.py",
        '- {"stream", "stream_options"}',
        '- {"stream"}',
        "test_runs.py -k nothing_of_streams",
    ),
    Mutation(
        "Calls of one answer run at the same time",
        CHAT + "run_calls.py",
        "ThreadPoolExecutor(min(len(due), _MOST_THREADS))",
        "ThreadPoolExecutor(1)",
        "test_runs.py -k same_time",
    ),
    Mutation(
        "A function sees the context of its run",
        CHAT + "run_calls.py",
        "threads.submit(copy_context().run, _result, running, each)",
        "threads.submit(_result, running, each)",
        "test_runs.py -k context",
    ),
    Mutation(
        "A plain function sees the context of its async run",
        CHAT + "run_calls.py",
        "lambda: run(_attempt, due)",
        "lambda: _attempt(due)",
        "test_runs.py -k context",
    ),
    Mutation(
        "A run that ends leaves no task",
        CHAT + "run_calls.py",
        "            task.cancel()\n        await asyncio.gather(*tasks, return_exceptions=True)\n",
        "            pass\n",
        "test_runs.py -k no_task",
    ),
    Mutation(
        "A run that is closed closes its stream",
        CHAT + "run_streams.py",
        "                self._in_flight.stream.close()\n",
        "                pass\n",
        "test_runs.py -k another_thread",
    ),
]

WATCHING = [
    Mutation(
        "Who watches: a stream's end is told however it ends",
        WATCH,
        "        if not self._is_handed_over:\n",
        "        if True:\n",
        "test_logging.py -k one_line_when_it_is_over",
    ),
    Mutation(
        "Who watches: a stream that is left is no failure",
        "_core/reader.py",
        "if self._fold.complete or self.is_left:",
        "if self._fold.complete:",
        "test_logging.py -k another_thread",
    ),
    Mutation(
        "Who watches: a repeated attempt has its line before the wait",
        WATCH,
        "        attempt, self._attempt = self._attempt, None\n",
        "        attempt = self._attempt\n",
        "test_logging.py -k cancelled_between",
    ),
    Mutation(
        "Who watches: a call that is cancelled has its line",
        WATCH,
        "if self._attempt and log.is_on():\n            response",
        "if self._attempt and isinstance(error, MeshAPIError):\n            response",
        "test_logging.py -k cancelled_is_one_line",
    ),
    Mutation(
        "Who watches: a child process writes nothing of its parent's streams",
        WATCH,
        "        if self._process != Process.generation:\n",
        "        if False:\n",
        "test_logging.py -k child",
    ),
    Mutation(
        "Who watches: the last line of a program imports nothing",
        WATCH,
        "            attempt.response = attempt.response or self._response(attempt, meta, None)\n"
        "            log.opening(attempt.response)\n",
        "            pass\n",
        "test_logging.py -k asks_for_lines",
    ),
    Mutation(
        "Who watches: a handler of the log breaks no call",
        "_core/log.py",
        "    except Exception:",
        "    except LookupError:",
        "test_logging.py -k handler_that_raises",
    ),
    Mutation(
        "Who watches: what a server sends is a word in the log",
        "_core/log.py",
        'return str(sent) if re.fullmatch("[!-~]{1,100}", str(sent)) else "?"',
        "return str(sent)",
        "test_logging.py -k is_a_word",
    ),
    Mutation(
        "Who watches: the log of a hook quotes no failure of the call",
        TELLING,
        "    last.__context__ = None\n",
        "",
        "test_hooks.py -k quote",
    ),
    Mutation(
        "Who watches: a hook that raises breaks no call",
        TELLING,
        "        _refuse(hook(info))\n    except Exception as error:",
        "        _refuse(hook(info))\n    except LookupError as error:",
        "test_hooks.py -k breaks_no_call",
    ),
    Mutation(
        "Who watches: so it is on asyncio",
        TELLING,
        "                await answer\n    except Exception as error:",
        "                await answer\n    except LookupError as error:",
        "test_hooks.py -k breaks_no_call",
    ),
    Mutation(
        "Who watches: a hook that hangs ends with the deadline",
        TELLING,
        "async with within(seconds):",
        "async with within(None):",
        "test_hooks.py -k hangs_before",
    ),
    Mutation(
        "Who watches: what a hook awaits may be cancelled alone",
        TELLING,
        "        if not was_cancelled_alone(error):\n            raise\n",
        "        raise\n",
        "test_hooks.py -k may_be_cancelled",
    ),
    Mutation(
        "Who watches: cancelling a call cancels its hook",
        "_core/waiting.py",
        "and not (task and task.cancelling())",
        "and task is not None",
        "test_hooks.py -k cancels_its_hook",
    ),
    Mutation(
        "Who watches: an async hook is closed where nobody awaits it",
        TELLING,
        "        answer.close()\n",
        "        pass\n",
        "test_hooks.py -k turns_out",
    ),
    Mutation(
        "Who watches: a sync client refuses async hooks",
        "_client.py",
        "        check_plain(transport.settings.hooks)\n",
        "",
        "test_hooks.py -k refuses_async",
    ),
    Mutation(
        "Who watches: hooks are told of the same objects",
        WATCH,
        "if self._request is None or self._request.attempt != number:",
        "if True:",
        "test_hooks.py -k every_attempt",
    ),
    Mutation(
        "Who watches: the time of a hook is part of the wait",
        TRANSPORT,
        "            tell(self.settings.hooks.on_retry, retry)\n            wait = pause.left\n",
        "            tell(self.settings.hooks.on_retry, retry)\n",
        "test_hooks.py -k part_of_the_wait",
    ),
    Mutation(
        "Who watches: a header that echoes the token is masked",
        EXCHANGE,
        "return [(hide(name), hide(value)) for name, value in pairs]",
        "return pairs",
        "test_secrets.py -k create",
    ),
]

MUTATIONS = [
    *BILLING,
    *TIME,
    *COMPLETE,
    *BROWSERS,
    *BOUNDS,
    *SECRETS,
    *PROCESS,
    *GATEWAY,
    *COMMAND_LINE,
    *OUTPUTS,
    *TOOLS,
    *WATCHING,
]
