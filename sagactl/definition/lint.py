"""Where a value would become code or an option although it is a word of its own; and what only a shell understands.

What runs as code is said by code_places.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sagactl.definition.code_places import code_places, past_code, program_places, reads_code_from_stdin
from sagactl.definition.diagnostics import LINE_SHOWN_MAX, Problem, Source, Span, shown
from sagactl.definition.faults import in_quotes
from sagactl.definition.param_rules import type_of
from sagactl.definition.references import output_names
from sagactl.definition.sites import Commands, Site
from sagactl.definition.tree import Node
from sagactl.model import Phase
from sagactl.template import Reference, TemplateError, parse, references

WORDS_MAX = 1000
"""That of schema.json; a longer argv is an error already, and would take long here."""
_SHELL_WORD = re.compile(r"(?<![$\\])\$(?P<name>[A-Z_][A-Z0-9_]*)\b|^(?:\||\|\||&&|&|;|>|>>|<|2>&1|2>|&>)$")
_FIND = {"-exec", "-execdir", "-ok", "-okdir"}
"""Options of `find` that are followed by a command, which ends with a `;` of its own."""
_PLACEHOLDER = re.compile(
    r"\$\{\{[^{}\n]{0,100}\}\}"
    r"|\{\{ ?\.?(?!(?:end|else|break|continue|nil) ?\})[a-z][a-z0-9_]* ?\}\}"
    r"|\{\{-? ?(?:item|inputs|steps|tasks|workflow|params|outputs|matrix|\.[A-Z_]{2,})\b[^{}\n]{0,100}\}\}",
)
_OWN_TEMPLATE = re.compile(r"""--format|template|(?:^|\s)-[fot](?:[ =]*'[^']*|[ =]*"[^"]*|[ =]+\S*)?\Z""")
"""What stands before a template that the program replaces by itself, as `docker inspect -f '{{.Id}}'`."""
_TEMPLATE_OPTION = re.compile(r"-[fot]|--(?:format|template)")
"""The word before such a template, where that is a word of its own."""
_BEFORE_MAX = 2000
_PLACEHOLDERS_MAX = 200
"""Characters before a placeholder, and placeholders in one text, that are looked at."""
_CUT = re.compile(r"[ \t]+(#[^\s#][^\r\n]*)")
"""A comment that may be none: most begin with `# `."""
_REFERENCE = re.compile(r"\$\{(?:params|steps|saga|env)\.[^{}\n]{0,200}\}")
_PIPE = re.compile(
    r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|(?<![^\s;])#[^\n]*|\|\||>\|"
    r"|^[ \t]*\(?[^\s()|'\"]+(?:[ \t]*\|[ \t]*[^\s()|'\"]+)+[ \t]*\)"
    r"|(?P<pipe>\|)",
    re.DOTALL | re.MULTILINE,
)
"""Quotes, comments, `||`, `>|` and patterns of `case` are passed over."""


def problems_of_lint(source: Source, root: Node, all_commands: Sequence[Commands]) -> Iterator[Problem]:
    """References in what interpreters run as code (errors), and warnings about the text of commands."""
    yield from _constants(source, root)
    described = (root, *root.under("params").values(), *root.under_items("steps"))
    yield from _cut_short(source, (node.get("description") for node in described))
    yield from _placeholders(source, root.under("env").values())
    for step, commands in zip(root.under_items("steps"), all_commands, strict=True):
        yield from _placeholders(source, step.under("env").values())
        yield from _cut_short(source, (step.under("undo").get("manual"),))
        for site in commands:
            yield from _cut_short(source, (site.run, *site.run.items))
            words = [item.text for item in site.run.items]
            if len(words) <= WORDS_MAX:
                yield from _code(source, site, words)
                yield from _options(root, site, words)
                yield from _shell_words(site, words)
            own = [*site.run.items, *step.under(site.phase).get("env", site.run).fields.values()]
            yield from _placeholders(source, [site.run, *own], site.run)
            yield from _stdin(source, site, words)
            yield from _pipelines(source, step, site)


def _code(source: Source, site: Site, words: Sequence[str]) -> Iterator[Problem]:
    if not any("${" in word for word in words):
        return
    programs = program_places(words)
    for at in sorted(programs | code_places(words)):
        from sagactl.definition.handing_over import safe_form  # Right files need it not.

        told = "would decide which program runs" if at in programs else "would be run as code"
        span_of = source.finder(site.run.items[at].span, words[at])
        for found in _references(words[at]):
            hint = "write a constant: what runs is not for a value to choose" if at in programs else \
                safe_form(words, at, str(found))
            yield Problem(code="SG408", span=span_of(found.text, found.offset), message=f"{found} {told}", help=hint)


def _stdin(source: Source, site: Site, words: Sequence[str]) -> Iterator[Problem]:
    """References in what an interpreter is given to run on its stdin."""
    stdin = site.settings.get("stdin")
    lines = site.run.string.strip().splitlines()
    if stdin is None or "${" not in stdin.string or not (words or len(lines) == 1):
        return
    if reads_code_from_stdin(words[:WORDS_MAX] or lines[0].split()[:WORDS_MAX]):
        span_of = source.finder(stdin.span, stdin.string)
        for found in _references(stdin.string):
            yield Problem(code="SG408", span=span_of(found.text, found.offset), message=f"{found} would be run as code",
                          help="the interpreter runs its stdin: hand the value over in `env`")


def _shell_words(site: Site, words: Sequence[str]) -> Iterator[Problem]:
    """`$NAME`, `|` and the like in an argv, which no shell reads. Not in code, where they are at home."""
    ends = ";" if _FIND.intersection(words) else None
    suspects = [at for at, word in enumerate(words) if at and word != ends and _SHELL_WORD.search(word)]
    code = code_places(words) | program_places(words) if suspects else set()
    for at in suspects:
        found = _SHELL_WORD.search(words[at])
        if found and at not in code and not words[at].startswith("${"):
            name = found["name"]
            hint = f'write a script, which is a text: `action: … "${name}"`' if name else \
                "write a script, which is a text and no list; or keep the word and disregard this"
            yield Problem(code="SG512", span=site.run.items[at].span, help=hint,
                          message=f"{shown(found[0])} reaches the program as it stands: no shell reads a list")


def _placeholders(source: Source, texts: Iterable[Node], script: Node | None = None) -> Iterator[Problem]:
    """`{{item}}` in any text of a command, and `${{ inputs.X }}` in a script: elsewhere that is an error already."""
    above = ""
    for node in texts:
        span_of = source.finder(node.span, node.string)
        for found in islice(_PLACEHOLDER.finditer(node.string), _PLACEHOLDERS_MAX) if "{{" in node.string else ():
            if re.match(r"\{\{ ?\.", found[0]) and (
                _OWN_TEMPLATE.search(node.string, max(0, found.start() - _BEFORE_MAX), found.start())
                or _TEMPLATE_OPTION.fullmatch(above)
            ):
                continue
            if node is script or not found[0].startswith("$"):
                span = span_of(found[0], found.start())
                name = (re.findall(r"[a-z][a-z0-9_]*", found[0].lower()) or ["name"])[-1]
                hint = f'write `env: {{{name.upper()}: "${{params.{name}}}"}}` and, in the script, within double ' \
                    f"quotes, ${name.upper()}"
                yield Problem(code="SG513", span=span, message=f"{shown(found[0])} is text here: nobody replaces it",
                              help=hint if node is script else f"if it is a parameter, write ${{params.{name}}}")
        above = node.string


def _constants(source: Source, root: Node) -> Iterator[Problem]:
    """References where a value is taken as it stands: in the default of a parameter and in a pointer."""
    outputs = (output for step in root.under_items("steps") for output in step.under("outputs").values())
    defaults = (rule.get("default") for rule in root.under("params").values())
    texts = [*defaults, *(output.get("pointer") for output in outputs)]
    for node in texts:
        for found in _REFERENCE.finditer(node.string if node and "${" in node.string else ""):
            if node:
                span = source.finder(node.span, node.string)(found[0], found.start())
                yield Problem(code="SG513", span=span, message=f"{shown(found[0])} is text here: nobody replaces it",
                              help="references stand in arguments, `env`, `cwd`, `stdin` and `manual`")


def _cut_short(source: Source, texts: Iterable[Node | None]) -> Iterator[Problem]:
    """Texts without quotes that a `#` ends, as `fixes #12`."""
    for node in texts:
        found = _CUT.match(source.text, node.span.end) if node and node.string else None
        if node and found and source.text[node.span.start] not in "'\"|>":
            written = source.text[node.span.start : found.end()].rstrip()
            short = len(written) <= LINE_SHOWN_MAX and written.isprintable()
            yield Problem(code="SG517", span=Span(start=found.start(1), end=found.end(1)),
                          message=f"the text ends before {shown(found[1])}, which is a comment to YAML",
                          help=f"{in_quotes(written) if short else 'put it in quotes'};\n"
                               "or, if it is one, write a space behind the #")


def _references(text: str) -> tuple[Reference, ...]:
    try:
        return references(text)
    except TemplateError:
        return ()


def _options(root: Node, site: Site, words: Sequence[str]) -> Iterator[Problem]:
    """Arguments that are wholly one string of anyone's choice: with `-` first, it would be read as an option. Not where
    it would be run, which is an error already.
    """
    options_end = words.index("--") if "--" in words else len(words)
    suspects = [at for at, word in enumerate(words[:options_end]) if at and word.startswith("${") and _references(word)]
    run = code_places(words) | program_places(words) if suspects else set()
    end = past_code(words) if suspects else 0
    for at in suspects:
        word = words[at]
        if at in run or at >= end:
            continue
        match parse(word):
            case [Reference(env="") as found] if _is_free(root, found):
                yield Problem(code="SG502", span=site.run.items[at].span,
                              message=f"a value of {found} that begins with `-` would be read as an option",
                              help=f"write `--option={found}`, or put `--` before it" if found.step else
                              f"write `--option={found}`, put `--` before it, or give the parameter a `pattern`")


def _is_free(root: Node, found: Reference) -> bool:
    """Is the value a string without `enum` and `pattern`?"""
    if found.step:
        return True
    rule = root.under("params").get(found.param)
    return rule is not None and type_of(rule) == "string" and not rule.get("enum") and not rule.get("pattern")


def _pipelines(source: Source, step: Node, site: Site) -> Iterator[Problem]:
    text = site.run.string
    counts = "retry_on" in site.settings or (site.phase is Phase.ACTION and output_names(step))
    if not counts or "|" not in text or "pipefail" in text:
        return
    pipe = next((found for found in _PIPE.finditer(text) if found["pipe"]), None)
    if pipe:
        span = source.finder(site.run.span, text)("|", pipe.start())
        what = "`retry_on`" if "retry_on" in site.settings else "`outputs`"
        yield Problem(code="SG503", span=span, message=f"a pipeline in a command with {what}: sh reports only the exit "
                                                       f"code of its last command",
                      help="write to a file in between, or run `bash` with `pipefail`")
