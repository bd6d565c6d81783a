r"""Markdown that nobody vouches for, made safe for a renderer that passes HTML on.

Outside of code no `<` opens a tag. Code is given as it was written only where marked, markdown-it
and their mathematics cannot but take it for code; what is not plain counts as text:

- A block of code stands between blank lines, which no mathematics of JupyterLab's crosses, and the
  text around it can swallow none of its lines: it has no other fence, no `$$` or `\begin` that
  opens a block but the closed ones, and no label of a link that goes on.
- A span of code stands in a paragraph that has nothing but words and such spans.
- JupyterLab puts mathematics back unescaped, in attributes too, and the language of a fence with
  it: where either could be, there are no quotation marks.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_FENCE = re.compile(
    r"^(?P<opening>(?P<indent> *)(?P<fence>`{3,})[^`$\\\n]*)\n"
    r"(?P<code>(?:(?:(?P=indent)(?![ \t]*(?:```|~~~)).+)?\n)*?)"
    r"(?P<closing>(?P=indent)(?P=fence))$",
    re.MULTILINE,
)
_MARK = re.compile("```|~~~")
_BEGINS_MATHS = re.compile(r"\\begin|\\\\[(\[]")
_MATHS_BLOCK = re.compile(r"^\$\$(?:[^$`~\n]*|\n(?:[^$`~\n]*\n)+)\$\$$", re.MULTILINE)
_COULD_SWALLOW_A_FENCE = re.compile(
    r"```|~~~|^[^a-zA-Z\\\n]*(?:\$\$|\\begin|\[[^\[\]\\\n]*(?:\\|\]:|$))", re.MULTILINE
)
_WORDS_AND_SPANS = re.compile(r"(?:(?!www\.)[^`\\|$~<\[\]/]|`[^`\\|\n]+`(?!`))*", re.IGNORECASE)
_JSON_FOR_MARKDOWN = re.compile(r"[<$]|(?<=``)`|(?<=~~)~|(?<=begin)\{|(?<=\\\\)[(\[]")


class InDoubt(Exception):  # No error: it asks for the text without its code.
    """A renderer could take code of this text, or of the text after it, for Markdown."""


def with_code(text: str) -> str:
    """The text, its blocks of code as they were written.

    Raises:
        InDoubt: Not every renderer takes them for code.
    """
    rest = _MATHS_BLOCK.sub(
        lambda maths: re.sub(r"\$\$|\\begin", "", maths[0]), _FENCE.sub("", text)
    )
    if _COULD_SWALLOW_A_FENCE.search(rest):
        raise InDoubt
    pieces, end = list[str](), 0
    for block in _FENCE.finditer(text):
        pieces += [inert(text[end : block.start()].strip("\n")), _block(block)]
        end = block.end()
    return "\n\n".join(filter(None, [*pieces, inert(text[end:].strip("\n"))]))


def _block(block: re.Match[str]) -> str:
    opening, code = block["opening"], block["code"]
    # JupyterLab sees dollars in a block that is indented, and the other signs in any.
    if _BEGINS_MATHS.search(code) or (block["indent"] and "$" in code):
        code = _quoteless(code)
    return f"{_quoteless(opening)}\n{code}{block['closing']}"


def inert(text: str) -> str:
    """The text, with no HTML that lives, whatever a renderer takes for code or mathematics."""
    if _MARK.search(text):
        return _quoteless(text)
    return "\n\n".join(map(_inert_paragraph, text.split("\n\n")))


def _inert_paragraph(paragraph: str) -> str:
    if _WORDS_AND_SPANS.fullmatch(paragraph):
        return paragraph
    if "$" in paragraph or _BEGINS_MATHS.search(paragraph):
        return _quoteless(paragraph)
    return _TAG.sub("< " if "`" in paragraph else "&lt;", paragraph)


def _quoteless(text: str) -> str:
    # Code and mathematics show an entity as it is; a space is one in both.
    return _TAG.sub("< ", text).replace('"', "&quot;")


def json_inert(text: str) -> str:
    """JSON that is the same, with nothing in it that Markdown or mathematics could begin with."""
    return _JSON_FOR_MARKDOWN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
