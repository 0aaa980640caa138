"""Why a text is no YAML, in our own words: what PyYAML found and where, told from the text around it.

PyYAML's two parsers word the same fault differently and name their own tokens; nothing of that is shown. What they say
only chooses the function below that looks at the text. A fault of which nothing better is known has one sentence too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sagactl.definition.diagnostics import Note, Problem, Span, shown
from sagactl.definition.faults import CLOSING, KEY_LINE, SEEN_MAX, Fault, as_value, in_quotes, problem, quoted, unknown
from sagactl.definition.slips import closed_below, comma_left_out, tight_bracket

_NUMBERED = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})")
_TIGHT_KEY = re.compile(r"(?P<before>[ ]*(?:-[ ]+)*)(?P<key>[A-Za-z_][\w-]*):(?P<value>[^\s/].*)$")


def explained(text: str, said: str, at: int, start: int) -> Problem:
    """The problem of a text in which a parser `said` something at `at`, reading what begins at `start`."""
    fault = Fault(text=text, at=min(at, len(text)), start=min(start, at, len(text)))
    if told := tight_bracket(fault) or (None if "quoted scalar" in said else closed_below(fault)):
        return told
    explain = next((function for pattern, function in _WORDS if re.search(pattern, said)), unknown)
    return explain(fault)


def _tab(fault: Fault) -> Problem:
    at = fault.at if fault.char == "\t" else fault.begin + max(0, fault.line(fault.begin).find("\t"))
    width = len(fault.text[at:]) - len(fault.text[at:].lstrip("\t")) if fault.text[at : at + 1] == "\t" else 1
    return problem(at, "a tab is no indentation in YAML", "write spaces in its place: two for each level", width=width)


def _first_character(fault: Fault) -> Problem:
    if fault.char == "\t":
        return _tab(fault)
    return _unquoted(fault, fault.at)


def _unquoted(fault: Fault, at: int) -> Problem:
    """A value that begins with a character which means something else to YAML."""
    if told := _after_the_end(fault, at):
        return told
    value = fault.line(at)
    if _in_brackets(fault.text[fault.begin : at]):
        value = re.split(r"[,\]}]", value)[0].rstrip()
    first = fault.text[at : at + 1]
    message = f"a value can't begin with {'a backquote' if first == '`' else shown(first)}"
    return problem(at, message, in_quotes(value), width=max(1, len(value)))


def _in_brackets(before: str) -> bool:
    return any(before.count(opening) > before.count(closing) for opening, closing in CLOSING.items())


def _after_the_end(fault: Fault, at: int) -> Problem | None:
    """More behind a value that is over: behind a closing quote or bracket."""
    begin = fault.text.rfind("\n", 0, at) + 1
    last = fault.text[begin:at].rstrip()[-1:]
    if not last or last not in "\"']}":
        return None
    what = "a quoted text ends" if last in "\"'" else "the brackets end"
    line = fault.line(begin)
    found = re.match(r"[ ]*(?:-[ ]+)*(?:[A-Za-z_][\w-]*:[ ]+)?", line)
    value = line[found.end() if found else 0 :]
    whole = re.fullmatch(r"""(["'])(?:(?!\1).)+\1(?!\s).*\1""", value)
    hint = f"put the whole value in quotes: {quoted(value[1:-1] if whole else value)[:200]}"
    return problem(at, f"{what} before this, so the value is over", hint if value[:1] in ("'", '"', "[", "{") else
                   "a quote or bracket above has no partner, or the whole value needs quotes")


def _tight_key(fault: Fault, begin: int) -> Problem | None:
    """`key:value`, which is one word to YAML; or `-key: value`."""
    line = fault.line(begin) if begin >= 0 else ""
    if found := _TIGHT_KEY.match(line):
        at = begin + found.start("value") - 1
        return problem(at, "a space is missing after the colon", f"write `{found['key']}: {found['value']}`")
    if found := re.match(r"([ ]*)-(?=[A-Za-z_][\w-]*:)", line):
        return problem(begin + len(found[1]), "a space is missing after the `-`", f"write `- {line.strip()[1:]}`")
    return None


def _second_colon(fault: Fault) -> Problem:
    """A `: ` where no key can be: one too many on the line, or the line above did not end as it looks."""
    found = re.match(r"([ ]*(?:-[ ]+)*)([^\s:#][^:]*?)[ ]*:[ ]+(?=\S)", fault.before)
    if found:
        value = fault.line(fault.begin)[found.end() :]
        return problem(fault.at, "a second `: ` in one line", as_value(found[2], value))
    above = fault.line_above
    if told := _tight_key(fault, above):
        return told
    if above < 0:
        return unknown(fault)
    line = fault.line(above)
    if not KEY_LINE.match(line) and line.strip()[:1] not in ("", '"', "'", "[", "{", "]", "}"):
        return _no_colon(above, line)
    found = re.match(r"[ ]*(?:-[ ]+)*", line)
    column = (found.end() if found else 0) + 1
    key = len(fault.before) - len(fault.before.lstrip())
    return problem(fault.begin + key, "this line is indented deeper than the one above, which has a value already",
                    f"begin it in column {column}, or leave the value of the line above out",
                    width=len(fault.before.strip()))


def _dashed(item: str) -> str:
    return f"write `- {item[1:]}`, or `- {item}` where the `-` is part of the value"


def _no_colon(begin: int, line: str) -> Problem:
    if found := re.match(r"[ ]*-(?=[^\s-])", line):
        return problem(begin + found.end() - 1, "a space is missing after the `-`", _dashed(line.strip()))
    words = line.lstrip("- ")
    key, _, value = words.partition(" ")
    hint = f"write `{key}: {value}`" if value else f"write `{key}: ` and its value"
    return problem(begin + len(line) - len(words), f"{shown(words)} has no colon", hint, width=len(words))


def _simple_key(fault: Fault) -> Problem:
    """A line that must be a key, and is none."""
    begin = fault.text.rfind("\n", 0, fault.start) + 1
    if told := _tight_key(fault, begin):
        return told
    line = fault.line(begin)
    if line.lstrip("- ")[:1] in ("", '"', "'", "[", "{", "}", "]"):
        return problem(fault.start, "a key is expected here, with a colon behind it", "write `key: value`")
    return _no_colon(begin, line)


def _list_beside_key(fault: Fault) -> Problem:
    value = fault.line(fault.at)[1:].strip()
    return problem(fault.at, "a list can't begin on the line of its key",
                    f"write each item on a line of its own below, or all in brackets: [{value}]")


def _question(fault: Fault) -> Problem:
    return problem(fault.at, "a value can't begin with `? `", in_quotes(fault.line(fault.at)))


def _brackets(fault: Fault) -> Problem:
    """Something within `[…]` or `{…}` that is neither `,` nor their end."""
    opening = fault.text[fault.start : fault.start + 1]
    if opening not in CLOSING:
        return _never_closed(fault)
    if fault.text[fault.at - 1 : fault.at + 1] == "${" or (fault.char == "{" and fault.before[-1:] not in " ,[{"):
        return _brace_in_brackets(fault)
    if fault.char in CLOSING.values() and fault.char:
        note = Note(span=Span(start=fault.start, end=fault.start + 1), message="opened here")
        return problem(fault.at, f"`{opening}` is closed with `{fault.char}`", f"write `{CLOSING[opening]}`",
                        notes=(note,))
    if fault.same_line() and fault.char == ":":
        if told := comma_left_out(fault):
            return told
        found = re.search(r"([^\s,{[:]+):[ ]+([^\s,{[:]+)$", fault.before)
        value = re.match(r":[ ]+[^,\]}]*", fault.line(fault.at))
        hint = as_value(found[1], found[2] + value[0].rstrip()) if found and value else "put the item in quotes"
        return problem(fault.at, "a second `: ` in one item", hint)
    if fault.same_line() and fault.at < len(fault.text) and fault.char not in "\r\n":
        return _beside(fault, opening)
    if fault.at >= len(fault.text) or KEY_LINE.match(fault.text, fault.begin) or fault.text.startswith("---", fault.at):
        return _open(fault, fault.start)
    return problem(fault.at, "a `,` is missing before this", "write a `,` at the end of the line above")


def _beside(fault: Fault, opening: str) -> Problem:
    """Two values with no comma between them, or a value such as `[a-z]+` that begins with a bracket of its own."""
    found = re.search(r": +(\[[^\[\]]*\])$", fault.before)
    if found and opening == "{":
        value = fault.line(fault.begin + found.start(1))
        return problem(fault.at, "the brackets end before this, so the value is over",
                       f"put the whole value in quotes: {quoted(re.split(r'[,} ]', value)[0])[:200]}")
    return problem(fault.at, "a `,` is missing before this", "write a `,` between two items, or put both in quotes")


def _open(fault: Fault, at: int) -> Problem:
    opening = fault.text[at : at + 1]
    notes = (Note(span=Span(start=fault.at, end=fault.at + 1), message="read up to here"),)
    return problem(at, f"`{opening}` is never closed", f"write `{CLOSING[opening]}` where it should end",
                    notes=notes if fault.char.strip() else ())


def _brace_in_brackets(fault: Fault) -> Problem:
    """`[echo, ${x}]`: to YAML, the brace opens a mapping."""
    start = max(fault.text.rfind(mark, fault.start, fault.at) for mark in (",", "[", "{", "\n", ": "))
    start += 2 if fault.text[start : start + 2] == ": " else 1
    start += len(fault.text[start : fault.at]) - len(fault.text[start : fault.at].lstrip())
    found = re.match(r"(?:\$?\{\{.*?\}\}|\{[^}\n]*\}|[^,\]}\n])*", fault.text[start : start + SEEN_MAX])
    value = found[0].rstrip() if found else fault.char
    return problem(start, "within brackets, a value with a brace needs quotes", f"write {quoted(value)}",
                    width=max(1, len(value)))


def _never_closed(fault: Fault) -> Problem:
    at = max(fault.text.rfind(opening, 0, fault.at) for opening in CLOSING)
    return _open(fault, at) if at >= 0 else unknown(fault)


def _quote(fault: Fault) -> Problem:
    quote = shown(fault.text[fault.start : fault.start + 1])
    hint = f"write {quote} where the text should end"
    if quote == "`'`":
        hint += "; an apostrophe within single quotes is written twice"
    return problem(fault.start, "this quote is never closed", hint)


def _misplaced(fault: Fault) -> Problem:
    """A token that fits neither the mapping nor the list that is being read: left over, or badly indented."""
    if found := _after_the_end(fault, fault.at) if fault.char not in "]}" or not fault.char else None:
        return found
    if fault.char and fault.char in "]}":
        opening = next(each for each, closing in CLOSING.items() if closing == fault.char)
        return problem(fault.at, f"this `{fault.char}` closes nothing", f"remove it, or write the `{opening}` it ends")
    if fault.before.strip():
        return unknown(fault)
    column = fault.start - fault.text.rfind("\n", 0, fault.start)
    note = Note(span=Span(start=fault.start, end=fault.start + 1), message="begins here")
    if fault.text[fault.start : fault.start + 1] == "-":
        if fault.char == "-":
            return problem(fault.at, "this `-` is not in line with its list", f"begin it in column {column}",
                            notes=(note,))
        return problem(fault.at, "a key stands where the next item of a list is expected",
                        f"begin it in column {column + 2}, to be part of the item above; or write `- ` before it",
                        notes=(note,))
    if fault.char == "-":
        return _stray_dash(fault)
    return problem(fault.at, "this line is not in line with any above", f"begin it in column {column}", notes=(note,))


def _stray_dash(fault: Fault) -> Problem:
    """A list item where the keys of a mapping are: the item above stands elsewhere, or no key was written."""
    above = [found.start(1) for found in re.finditer(r"^[ ]*(-)[ ]", fault.text[: fault.at], re.MULTILINE)]
    item = above[-1] if above else 0
    item_column = item - fault.text.rfind("\n", 0, item)
    if above and item_column != len(fault.before) + 1:
        return problem(fault.at, "this `-` is not in line with the item above", f"begin it in column {item_column}",
                        notes=(Note(span=Span(start=item, end=item + 1), message="the item above"),))
    return problem(fault.at, "a list item stands among the keys of a mapping",
                    "write the key that the list belongs to on the line above, as `steps:`")


def _no_content(fault: Fault) -> Problem:
    if fault.char == ",":
        inside = "," in fault.before or _in_brackets(fault.before)
        return problem(fault.at, "an item is missing before this `,`", "remove one of the two") if inside else \
            _unquoted(fault, fault.at)
    if fault.char and fault.char not in "\r\n":
        return _unquoted(fault, fault.at)
    return _never_closed(fault)


def _block_text(fault: Fault) -> Problem:
    if fault.char == "0":
        return problem(fault.at, "no text is indented by 0", "leave the digit out")
    value = fault.line(fault.start)
    return problem(fault.start, f"the text of {shown(value[:1])} begins on the next line",
                    f"move it there, indented; or, if that character belongs to it, {in_quotes(value)}",
                    width=len(value))


def _escape(fault: Fault) -> Problem:
    at = max(fault.text.rfind("\\", fault.start, fault.at + 1), fault.start)
    if found := _NUMBERED.match(fault.text, at):  # Written as it should be, so its number is at fault.
        return problem(at, f"{shown(found[0])} is no Unicode character", "write the character itself, or leave it out",
                       width=len(found[0]))
    written = fault.text[at : at + 2]
    return problem(at, f"{shown(written)} is no escape that YAML knows",
                    f"write `\\{written}` for a backslash, or use single quotes, in which it is itself", width=2)


def _directive(fault: Fault) -> Problem:
    at = fault.text.rfind("\n", 0, fault.start) + 1
    return problem(at, "a line that begins with `%` is a directive, and none is accepted", "remove the line",
                    width=max(1, len(fault.line(at))))


def _after_document(fault: Fault) -> Problem:
    found = re.search(r"^%.*$", fault.text[: fault.at], re.MULTILINE)
    if found:
        return _directive(Fault(text=fault.text, at=found.start(), start=found.start()))
    return problem(fault.at, "`...` ended the document, and something follows", "remove the line with `...`")


_WORDS: tuple[tuple[str, Callable[[Fault], Problem]], ...] = (
    (r"found a tab", _tab),
    (r"cannot start any token", _first_character),
    (r"mapping values are not allowed", _second_colon),
    (r"could not find expected ':'", _simple_key),
    (r"sequence entries are not allowed", _list_beside_key),
    (r"mapping keys are not allowed", _question),
    (r"expected ',' or", _brackets),
    (r"%YAML|%TAG|directive|incompatible YAML|duplicate tag", _directive),
    (r"document start>", _after_document),
    (r"unexpected (end of stream|document)", _quote),
    (r"(an alias|an anchor|a tag|tag handle)", lambda fault: _unquoted(fault, fault.start)),
    (r"block scalar", _block_text),
    (r"quoted scalar", _escape),
    (r"node content", _no_content),
    (r"expected (key|'-' indicator|<block end>)", _misplaced),
)
"""What either parser says, by a part of its words that is its own."""
