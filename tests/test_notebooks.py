"""What a notebook shows of an answer, and `await` at the top of its cells: in a real IPython."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from meshapi import (
    ChatCompletionMessage,
    ChatCompletionParams,
    ChatCompletionResponse,
    ChatMessage,
    ComparisonParams,
    ComparisonResponse,
)
from meshapi.local import LocalGateway
from tests.colours import Sync
from tests.terminal import environment

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "tests" / "wire" / "samples"
QUESTION = ChatCompletionParams(messages=[{"role": "user", "content": "Hi"}])

# Runs the cells of stdin in the shell it is in; its last line is what each shows, by media type.
NOTEBOOK = """
import json, sys

shell, shown = get_ipython(), []
shell.display_formatter.active_types = shell.display_formatter.format_types  # As a kernel has it.
for cell in json.load(sys.stdin):
    outcome = shell.run_cell(cell, store_history=True)
    outcome.raise_error()
    shown.append(shell.display_formatter.format(outcome.result)[0])
print("\\n" + json.dumps(shown))
"""


class Notebook:
    """A shell of its own, in which a warning is an error, and nothing goes to stderr."""

    def __init__(self, folder: Path, url: str) -> None:
        self._environment = {**environment(url), "IPYTHONDIR": str(folder), "PYTHONPATH": str(ROOT)}

    def run(self, *cells: str) -> list[dict[str, str]]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "IPython", "-c", NOTEBOOK],
            input=json.dumps(cells),
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        shown: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return shown


@pytest.fixture
def notebook(tmp_path: Path, echo: LocalGateway) -> Notebook:
    return Notebook(tmp_path, echo.base_url)


SETUP = """
from meshapi import AsyncMeshAPI, ChatCompletionParams, MeshAPI
from meshapi.local import LocalGateway

def ask(text):
    return ChatCompletionParams(messages=[{"role": "user", "content": text}])
"""


@pytest.mark.parametrize(
    ("client", "wait"), [("MeshAPI()", ""), ("AsyncMeshAPI()", "await ")], ids=["sync", "async"]
)
def test_a_cell_that_ends_in_an_answer_shows_it_as_markdown(
    notebook: Notebook, client: str, wait: str
) -> None:
    _, completion, message, sent, _ = notebook.run(
        f"{SETUP}\nclient = {client}",
        f"completion = {wait}client.chat.completions.create(ask('**Hi** ' * 100))\ncompletion",
        "completion.choices[0].message",
        "ask('*Hi*').messages[0]",
        f"{wait}client.close()",
    )

    assert completion["text/markdown"].startswith("**Hi** **Hi**")
    assert "tokens in" in completion["text/markdown"].splitlines()[-1]
    assert completion["text/plain"].startswith("ChatCompletionResponse(")
    assert "characters)" in completion["text/plain"]
    assert message["text/markdown"].strip() == ("**Hi** " * 100).strip()
    assert sent["text/markdown"] == "*Hi*"


@pytest.mark.parametrize(
    "client", ["AsyncMeshAPI()", "LocalGateway(answers='echo').async_client()"]
)
def test_cells_await_one_client_after_another(notebook: Notebook, client: str) -> None:
    shown = notebook.run(
        f"{SETUP}\nclient = {client}\nfirst = await client.chat.completions.create(ask('one'))",
        "second = await client.chat.completions.create(ask('two'))\n[first.text, second.text]",
        "texts = [chunk.text async for chunk in client.chat.completions.stream(ask('a b c'))]",
        "stream = client.chat.completions.stream(ask('d e f'))\n"
        "async for text in stream.text_stream:\n    texts.append(text)",
        "completion = await stream.final()\n''.join(texts) + completion.text",
        "await client.close()",
    )

    assert shown[1]["text/plain"] == "['one', 'two']"
    assert shown[4]["text/plain"] == "'a b cd e fd e f'"


@pytest.mark.parametrize("client", ["MeshAPI()", "LocalGateway(answers='echo').client()"])
def test_the_sync_client_works_in_a_cell_whose_loop_runs(notebook: Notebook, client: str) -> None:
    shown = notebook.run(
        f"{SETUP}\nimport asyncio\nclient = {client}",
        "await asyncio.sleep(0)\nclient.chat.completions.create(ask('one')).text",
        "await asyncio.sleep(0)\n"
        "with client.chat.completions.stream(ask('a b')) as stream:\n"
        "    texts = list(stream.text_stream)\n"
        "[''.join(texts), asyncio.get_running_loop().is_running()]",
        "client.close()",
    )

    assert shown[1]["text/plain"] == "'one'"
    assert shown[2]["text/plain"] == "['a b', True]"


def test_the_cells_of_the_page_run(notebook: Notebook) -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text()
    cells = re.findall(r"```ipython\n(.*?)```", page, re.DOTALL)

    shown = notebook.run(*cells)

    assert len(cells) >= 3
    assert "text/markdown" in shown[0]


def test_an_answer_and_its_facts(colour: Sync) -> None:
    gateway = LocalGateway()
    gateway.reply("It *rains*.", reasoning="Look\n```\nout", finish_reason="length")
    client = colour.in_process(gateway)
    completion = colour.settle(client.chat.completions.create(QUESTION))
    colour.settle(client.close())

    shown = completion._repr_markdown_()

    assert shown.startswith(
        "<details><summary>Reasoning</summary>\n\n"
        "> Look\n> ```\n> out\n\n</details>\n\nIt *rains*.\n\n<sub>"
    )
    facts = text_of(shown.splitlines()[-1])
    assert completion.usage is not None
    assert facts == (
        f"{completion.model} · {completion.usage.prompt_tokens} tokens in, "
        f"{completion.usage.completion_tokens} out · {completion.cost} USD"
        f" · {completion.meta.request_id} · finish_reason: length"
    )


def test_a_comparison_is_shown_by_model(colour: Sync) -> None:
    client = colour.in_process(LocalGateway(answers="echo"))
    params = ComparisonParams(
        models=["openai/gpt-4o", "openai/gpt-4o-mini"], messages=QUESTION.messages
    )
    comparison = colour.settle(client.chat.compare.create(params))
    colour.settle(client.close())

    tokens = parsed(comparison._repr_markdown_())

    assert under("heading", tokens) == [
        "openai\\/gpt\\-4o",
        "openai\\/gpt\\-4o\\-mini",
        "Comparison by openai\\/gpt\\-4o\\-mini",
    ]
    assert under("paragraph", tokens)[:2] == ["Hi", "Hi"]


def test_a_models_failure_is_a_quote_in_the_comparison() -> None:
    payload = json.loads((SAMPLES / "x01_compare_partial.json").read_bytes())
    payload["results"][1]["error"] = {"message": "<b>late</b>"}

    shown = ComparisonResponse.model_validate(payload)._repr_markdown_().split("\n\n")

    assert shown[1] == "Four"
    assert text_of(shown[3].removeprefix("> ")) == "gateway_timeout: <b>late</b>"


def read(payload: object) -> ChatCompletionResponse:
    return ChatCompletionResponse.model_validate(payload)


def said(**message: object) -> str:
    """A message as a notebook shows it."""
    return ChatCompletionMessage.model_validate(message)._repr_markdown_()


def parsed(text: str) -> list[Token]:
    return MarkdownIt("commonmark").parse(text)


def under(kind: str, tokens: list[Token]) -> list[str]:
    """What stands in each block of a kind."""
    return [after.content for at, after in pairwise(tokens) if at.type == f"{kind}_open"]


def text_of(line: str) -> str:
    """What is read, of a line that is Markdown."""
    children = parsed(line)[1].children or []
    return "".join(each.content for each in children if each.type.startswith("text"))


def test_a_refusal_is_a_quote() -> None:
    assert said(content=None, refusal="I can not.\nNo.") == "> I can not.\n> No."


def test_a_tool_call_is_its_name_and_its_arguments() -> None:
    weather = {"function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}

    shown = said(tool_calls=[weather, {"type": "custom"}], function_call={"name": "f"})

    assert shown.split("\n\n") == [
        "**Tool call:** get\\_weather",
        '```json\n{"city": "Paris"}\n```',
        "**Tool call:** custom",
        "**Tool call:** f",
    ]


def test_images_are_shown_and_nothing_else_is_taken_for_one() -> None:
    urls = ["data:image/png;base64,iVBO", "https://a.example/i(1).png", "javascript:alert(1)"]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]

    shown = said(content="Look:", images=[*images, {"type": "b64_json"}])

    assert shown.split("\n\n") == [
        "Look:",
        "![image](data:image/png;base64,iVBO)",
        "![image](https://a.example/i%281%29.png)",
        "*(image\\_url)*",
        "*(b64\\_json)*",
    ]


def test_a_question_shows_its_text_and_images_and_names_the_rest() -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "What "},
        {"type": "text", "text": "is it?"},
        {"type": "image_url", "image_url": {"url": "https://a.example/i.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "new", "text": "new words"},
    ]

    shown = ChatMessage(role="user", content=parts)._repr_markdown_()

    assert re.sub(r"\n{2,}", "\n", shown).split("\n") == [
        "What is it?",
        "![image](https://a.example/i.png)",
        "*(image\\_url)*",
        "*(input\\_audio)*",
        "new words",
    ]


def test_audio_is_shown_by_its_words() -> None:
    shown = said(content=None, audio={"data": "UklG", "transcript": "Hello."})

    assert shown == "**Audio:**\n\nHello."


def test_citations_are_links_where_they_lead_to_a_page() -> None:
    pages = [
        {"url": "https://a.example/?q=(x) y", "title": "An [odd] <b>title</b>"},
        {"url": "https://a.example/?q=(x) y", "title": "An [odd] <b>title</b>"},
        {"url": "javascript:alert(1)", "title": "A trap"},
        {"url": "https://b.example"},
    ]
    notes = [{"type": "url_citation", "url_citation": page} for page in pages]

    tokens = parsed(said(content="So.", annotations=[*notes, {"type": "file"}]))

    items = [token.children or [] for token in tokens if token.type == "inline"][1:]
    links = [child.attrs["href"] for item in items for child in item if child.type == "link_open"]
    words = ["".join(c.content for c in item if c.type.startswith("text")) for item in items]
    assert links == ["https://a.example/?q=%28x%29%20y", "https://b.example"]
    assert words == ["An [odd] <b>title</b>", "A trap", "https://b.example"]


def test_several_choices_stand_under_headings() -> None:
    choices = [
        {"message": {"content": "One\n```py\nx = 1"}, "finish_reason": "length"},
        {"message": None},
    ]

    shown = read({"choices": choices})._repr_markdown_()

    assert shown == (
        "##### Choice 0 · finish\\_reason\\: length\n\nOne\n\n```py\nx = 1\n```\n\n"
        "##### Choice 1\n\n*(empty)*"
    )


@pytest.mark.parametrize(
    "text",
    [
        "```py\nx",
        "~~~\n```\nx",
        "````\n```\nx",
        "1. So:\n   ```py\n   x",
        " ```py\n x",
        "```\nx\n```",
        "```x```",
        "    ```",
        "- ```\n  x\n  ```",
    ],
)
def test_a_code_block_that_was_cut_off_swallows_nothing(text: str) -> None:
    answer = {"message": {"content": text}, "finish_reason": "length"}
    tokens = parsed(read({"choices": [answer], "model": "m"})._repr_markdown_())

    assert under("paragraph", tokens)[-1] == "<sub>m · finish\\_reason\\: length</sub>"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_name_reads_as_it_is(name: str) -> None:
    shown = read({"choices": [], "model": f"a{name}"})._repr_markdown_()

    facts = parsed(shown.removeprefix("*(empty)*"))
    assert [each.type for each in facts] == ["paragraph_open", "inline", "paragraph_close"]
    children = facts[1].children or []
    assert [each.content for each in children if each.type == "html_inline"] == ["<sub>", "</sub>"]
    assert {each.type for each in children} <= {"html_inline", "text", "text_special"}
    assert text_of(shown.splitlines()[-1]) == " ".join(f"a{name}".split())


@given(st.lists(st.sampled_from(["```", "`", "~~~", "{}", "\n"]), min_size=1).map("".join))
def test_arguments_stay_in_their_block(arguments: str) -> None:
    call = {"function": {"name": "f", "arguments": arguments}}

    tokens = parsed(said(tool_calls=[call]))

    assert [token.type for token in tokens][3:] == ["fence"]
    assert re.sub(r"\\u(\w{4})", lambda sign: chr(int(sign[1], 16)), tokens[-1].content) == (
        f"{arguments}\n"
    )


@given(st.text(min_size=1))
def test_a_url_stays_in_its_link(rest: str) -> None:
    page = {"url": f"https://a.example/{rest}", "title": "x"}

    tokens = parsed(said(content="", annotations=[{"url_citation": page}]))

    (inline,) = [token for token in tokens if token.type == "inline"]
    assert [each.type for each in inline.children or []] == ["link_open", "text", "link_close"]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("r*.json")), ids=lambda path: path.stem)
def test_every_sample_is_shown(path: Path) -> None:
    payload = json.loads(path.read_bytes())
    completion = read({"choices": None, **payload})

    shown = completion._repr_markdown_()

    assert shown
    assert completion.text in shown


ANY: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def wire(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these fields, any of them null, and one that nobody knows."""
    known = {name: st.none() | each for name, each in fields.items()}
    return st.fixed_dictionaries({}, optional={**known, "new": ANY})


SCRAPS = ["```", "~~~\n", "<!--", "https://a.example", "\r> ", "text", "image_url"]
TEXT = st.text(max_size=12) | st.sampled_from(SCRAPS)
COST = st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.just("1E999999999")
PART = wire(type=TEXT, text=TEXT, image_url=wire(url=TEXT))
FUNCTION = wire(name=TEXT, arguments=TEXT | ANY)
MESSAGE = wire(
    content=TEXT | st.lists(PART, max_size=3),
    refusal=TEXT,
    reasoning=TEXT,
    images=st.lists(PART, max_size=2),
    audio=wire(transcript=TEXT),
    annotations=st.lists(wire(url_citation=wire(url=TEXT, title=TEXT)), max_size=3),
    tool_calls=st.lists(wire(type=TEXT, function=FUNCTION), max_size=2),
    function_call=FUNCTION,
)
CHOICE = wire(message=MESSAGE, index=st.integers(), finish_reason=TEXT)
COMPLETION = wire(
    choices=st.lists(CHOICE, max_size=3),
    model=TEXT,
    cost=COST,
    usage=wire(total_tokens=st.integers(), cost=COST),
)
RESULT = wire(
    model=TEXT,
    content=TEXT | st.lists(PART, max_size=2),
    error=TEXT | wire(message=ANY),
    error_code=TEXT | st.integers(),
)
COMPARISON = wire(results=st.lists(RESULT, max_size=3), comparison=TEXT, comparison_model=TEXT)


@given(COMPLETION)
def test_any_completion_is_shown(payload: dict[str, Any]) -> None:
    completion = read({"choices": None, **payload})

    assert completion._repr_markdown_()


@given(COMPARISON)
def test_any_comparison_is_shown(payload: dict[str, Any]) -> None:
    comparison = ComparisonResponse.model_validate({"results": None, **payload})

    assert comparison._repr_markdown_()


FRAGMENTS = [
    "```", "````", "~~~", "`", "\n", "\n\n", "\r", "\u2028", " ", "   ", "    ", "\t", "> ", "- ",
    "1. ", "html", "<img src=x>", "<!--", "-->", "</details>", "<script>", "\\", "[a](", ")",
    "word", "$", "$$", "\\begin{a}", "\\end{a}", "\\\\(", "\\\\)", "\\\\[", "\\\\]", "![", "](x:)",
    "[a]: ", "|", "|-|-|", "'", '"', ' onerror=alert(1) x="', "<!", "\n```\n<b>\n```\n", "`<b>`",
    "\n   ```py\n   <b>\n   ```\n",
]  # fmt: skip
MODELS_TEXT = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


@given(MODELS_TEXT, MODELS_TEXT, MODELS_TEXT)
def test_no_html_of_a_models_is_alive(text: str, refusal: str, arguments: str) -> None:
    calls = [{"function": {"name": text, "arguments": arguments}}]
    message = ChatCompletionMessage.model_validate(
        {"content": text, "refusal": refusal, "tool_calls": calls}
    )
    thought = ChatCompletionMessage(reasoning=f"word {text}")

    assert html_in(message) == []
    assert html_in(thought) == ["<details><summary>Reasoning</summary>", "</details>"]


def html_in(message: ChatMessage) -> list[str]:
    """The HTML that a renderer which trusts its text would pass on."""
    tokens = MarkdownIt("commonmark", {"html": True}).parse(message._repr_markdown_())
    every = [each for token in tokens for each in [token, *(token.children or [])]]
    return [each.content.strip() for each in every if each.type.startswith("html")]


@pytest.mark.parametrize(
    "answer",
    [
        "Call `List<String>` or `print(\"hi\")`, *not* `<b>`.",
        "Run `echo \"$HOME\"` or `cat <in >$OUT`.",
        "```cpp\nstd::vector<int> v;\n```",
        '```java title=x\nList<String> a = "b";\n```',
        "1. First:\n\n   ```py\n   if a<b:\n\n       print(\"<b>\")\n   ```\n\n2. Then `x<y>`.",
        "- One\n\n  ```py\n  a<b\n  ```\n\n- Two\n\n  ```py\n  a<b\n  ```",
        'Run:\n\n```sh\necho "$HOME" <in "$(ls)"\n```\n\nIt costs $5 and $10.',
        "It costs $5 and $10, so $x < y$ and $a_1 = \\frac{1}{2}$.",
        "So:\n\n$$\n\\begin{a}\nx\n\\end{a}\n$$\n\n```cpp\nvector<int> a(\"b\");\n```",
        "$$x + y$$\n\n```cpp\nvector<int> v;\n```",
        'She said "yes": [a page](https://a.example "Its title").',
        "| a | b |\n|---|---|\n| 1 | `x` |",
    ],
)  # fmt: skip
def test_an_ordinary_answer_is_shown_as_it_was_written(answer: str) -> None:
    assert said(content=answer) == answer


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Use <b>this</b> and <that>.", "Use &lt;b>this&lt;/b> and &lt;that>."),
        ("So $x<y$.", "So $x< y$."),
        ("www.a.example`<b>`", "www.a.example`< b>`"),
        ("https://a.example`<b>`", "https://a.example`< b>`"),
        ("`a``<b>`", "`a``< b>`"),
        ('\\\\(a"b\\\\)', "\\\\(a&quot;b\\\\)"),
        ("```\\begin{a}\n<b>\n```", "```\\begin{a}\n< b>\n```"),
        ("| `List<T>` |", "| `List< T>` |"),
        ("\\\\(\n```\n\\\\)\n<b>\n```", "\\\\(\n\n```\n\\\\)\n<b>\n```"),
        ("\\\\[\n```\n\\\\]\n<b>\n```", "\\\\[\n\n```\n\\\\]\n<b>\n```"),
        ("One\n```py\na<b\n```\ntwo <b>", "One\n\n```py\na<b\n```\n\ntwo &lt;b>"),
        ('```py title="x"\n"<b>"\n```', '```py title=&quot;x&quot;\n"<b>"\n```'),
        ('1. a\n\n   ```sh\n   "$A" <b\n   ```', "1. a\n\n   ```sh\n   &quot;$A&quot; < b\n   ```"),
        ('```tex\n\\begin{a}"\n<b>\n```\n\n`<b>`', "```tex\n\\begin{a}&quot;\n< b>\n```\n\n`<b>`"),
    ],
)
def test_code_stands_by_itself_and_what_could_be_a_tag_is_none(answer: str, shown: str) -> None:
    assert said(content=answer) == shown


@pytest.mark.parametrize(
    "answer",
    [
        '![$" onerror=alert(1) x="$](x:)',
        '\\begin{a}\n```\n\\end{a}\n<img src="x:" onerror="a">\n```',
        '$$\n```\n$$\n<img src="x:" onerror="a">\n```',
        '[a\n\n```\n]: x\n<img src="x:" onerror="a">\n```',
        '[a]: x "\n\n```\n"\n<img src="x:" onerror="a">\n```',
        '```x"onmouseover="alert(1)\n```',
        '> ```x"onmouseover="alert(1)\n> y',
        '~~~x"onmouseover="alert(1)\ny\n~~~',
        '```\n\\begin{a} " onerror=alert(1) x="\\end{a}\n```\n\n![@\\@0@@](x:)',
    ],
)
@pytest.mark.parametrize("field", ["content", "reasoning", "refusal"])
def test_where_a_renderer_could_be_misled_are_no_tags_and_no_quotes(
    field: str, answer: str
) -> None:
    shown = said(**{"content": "", field: answer})

    models = shown.removeprefix("<details><summary>Reasoning</summary>").removesuffix("</details>")
    assert not re.search(r"<[a-zA-Z/!?]", models)
    assert '"' not in models


@pytest.mark.parametrize("answer", ["$$", "[a", "[a]: x '", "~~~", "> ```", "- \\begin{a}"])
def test_no_text_takes_the_code_of_another(answer: str) -> None:
    choices = [{"message": {"content": each}} for each in [answer, "```\n<b>\n```"]]

    assert "\n\n```\n< b>\n```\n\n" in read({"choices": choices})._repr_markdown_() + "\n\n"


def test_arguments_are_the_same_json_and_nothing_else() -> None:
    texts = ["$$ <img src=x>", "\\(", "\\begin{a}", "```x\n~~~"]
    call = {"function": {"name": "f", "arguments": json.dumps(texts)}}

    block = said(tool_calls=[call]).split("\n\n")[1]

    written = block.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(written) == texts
    assert not re.search(r"[<$]|```|~~~|\\begin\{|\\\\[(\[]", written)


def test_a_title_begins_no_formula() -> None:
    page = {"url": "https://a.example/$", "title": '\\(" onerror=alert(1) x="\\)'}
    shown = said(content="", annotations=[{"url_citation": page}])

    assert '"' not in shown
    assert "\\\\" not in shown
    assert "$" not in shown
    assert text_of(shown.removeprefix("- ")) == page["title"]


def test_code_is_shown_as_it_was_written() -> None:
    code = "```cpp\nstd::vector<int> v;\n```"
    message = ChatCompletionMessage(content=f"Use <b>this</b>:\n\n{code}\n\nand <that>.")

    assert message._repr_markdown_() == f"Use &lt;b>this&lt;/b>:\n\n{code}\n\nand &lt;that>."
