"""Which words of an argv some program runs as code, as `sh -c CODE`, or as a program, as `sudo PROGRAM`.

A net above what holds by construction: it knows the usual interpreters by name, at any position, and reads their
options roughly; where that is not certain, a word counts as code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

_CODE_LETTERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "yash", "fish", "csh", "tcsh"), "c"),
    **dict.fromkeys(("su", "runuser", "sg", "script", "flock", "pwsh", "python", "pypy", "psql", "expect"), "c"),
    **dict.fromkeys(("lua", "luajit", "Rscript", "R", "julia", "osascript", "mysql", "mariadb", "bun", "elixir"), "e"),
    "perl": "eE", "ruby": "e", "node": "epr", "php": "rBRE",
}  # fmt: skip
"""The options of each interpreter whose argument is code."""
_CODE_OPTIONS = ("--eval", "--command", "--print", "--run", "--execute", "--session-command")
SHELLS = ("sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "yash", "fish", "csh", "tcsh")
_NOT_FROM_STDIN = ("su", "runuser", "sg", "script", "flock", "expect")

_PROGRAM_FIRST: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), ("vF", "e")), "sed": ("l", "e"),
}
"""The first argument that is no option is a program: (options with a value, options with a program)."""
_AFTER_FIRST: Final[Mapping[str, str]] = {"ssh": "BbcDEeFIiJLlmOopQRSWw", "mosh": "p", "sqlite3": "", "sqlite": ""}
"""All after the first argument that is no option is code: ssh joins it to one text for the shell over there."""
_ALL_PLAIN: Final[Mapping[str, str]] = {"watch": "n", "parallel": "jN", "eval": ""}
"""All that is no option is code."""
_WRAPPERS: Final[Mapping[str, tuple[str, int]]] = {
    "sudo": ("ughpCDRTrtU", 0), "doas": ("uC", 0), "env": ("uC", 0), "nice": ("n", 0), "timeout": ("ks", 1),
    "xargs": ("aEILnPsd", 0), "nohup": ("", 0), "setsid": ("", 0), "stdbuf": ("ioe", 0), "ionice": ("cnp", 0),
    "chroot": ("", 1), "time": ("fo", 0), "busybox": ("", 0), "taskset": ("", 1), "command": ("", 0),
    "exec": ("a", 0), "strace": ("eoups", 0), "unshare": ("", 0), "systemd-run": ("pu", 0), "chpst": ("ueo", 0),
}  # fmt: skip
"""Programs that run the program they are given: (options with a value, arguments before that program)."""
_KNOWN = frozenset({*_CODE_LETTERS, *_PROGRAM_FIRST, *_AFTER_FIRST, *_ALL_PLAIN})
PROGRAMS_MAX = 8
"""On one argv: nobody writes more, and each is compared with all words behind it."""
FIXED = re.compile(r"PATH|IFS|ENV|BASH_ENV|LD_.*|DYLD_.*|PYTHON.*|NODE_OPTIONS|PERL5OPT|GIT_SSH.*", re.DOTALL)
"""Variables that decide what code a program runs."""


def code_places(words: Sequence[str]) -> set[int]:
    """The places of an argv that some program on it runs as code; all, where more than PROGRAMS_MAX could."""
    found: set[int] = set()
    programs = [(place, name) for place, name in enumerate(map(program, words)) if name in _KNOWN]
    if len(programs) > PROGRAMS_MAX:
        return {*range(1, len(words))}
    for place, name in programs:
        rest = range(place + 1, len(words))
        if name in _CODE_LETTERS:
            found |= _of_interpreter(name, words, rest)
        elif name in _PROGRAM_FIRST:
            found |= _of_program_first(*_PROGRAM_FIRST[name], words, rest)
        elif name in _AFTER_FIRST:
            found |= set(_plain(words, rest, _AFTER_FIRST[name])[1:]) | _of_proxy(words, rest)
        elif name in _ALL_PLAIN:
            found |= set(_plain(words, rest, _ALL_PLAIN[name])[: 1 if name == "eval" else None])
    return found


def past_code(words: Sequence[str]) -> int:
    """The place from which on all words are arguments of the code of a shell or of python, which reads none of them as
    an option: `sh -c CODE sh ARGUMENT`. The end, where there is no such code.
    """
    programs = ((place, name) for place, name in enumerate(map(program, words)) if name in (*SHELLS, "python", "pypy"))
    codes = (_of_interpreter(name, words, range(place + 1, len(words))) for place, name in programs)
    return next((max(places) + 1 for places in codes if places), len(words))


def program(word: str) -> str:
    """The name of a program without folder and version."""
    name = word.rpartition("/")[2].rstrip("0123456789.")
    return {"nodejs": "node", "sqlite": "sqlite3"}.get(name, name)


def is_program(name: str) -> bool:
    """Is it one of those that run code?"""
    return name in _KNOWN


def reads_code_from_stdin(words: Sequence[str]) -> bool:
    """Does an interpreter run what comes on stdin, as `bash -s`, `python3 -`, `psql` or `ssh host`?"""
    for place, name in enumerate(map(program, words)):
        rest = range(place + 1, len(words))
        if name in _CODE_LETTERS and name not in _NOT_FROM_STDIN:
            plain = _plain(words, rest, "oO" if name in SHELLS else "hdUpPu")
            if name in SHELLS and any(re.fullmatch(r"-[a-zA-Z]*s[a-zA-Z]*", words[at]) for at in rest):
                return True
            nothing = not plain or words[plain[0]] in ("-", "/dev/stdin") or name in ("psql", "mysql", "mariadb")
            return nothing and not _of_interpreter(name, words, rest) and "-m" not in words and "-f" not in words
        if name in _AFTER_FIRST:
            return len(_plain(words, rest, _AFTER_FIRST[name])) == 1
    return False


def _plain(words: Sequence[str], rest: range, with_value: str) -> list[int]:
    """The places of the arguments that are neither options nor the values of those of `with_value`."""
    found: list[int] = []
    skip = over = False
    for at in rest:
        word = words[at]
        if skip or (word == "--" and not over):
            over, skip = over or not skip, False
        elif word.startswith("-") and word != "-" and not over:
            skip = len(word) == 2 and word[1] in with_value
        else:
            found.append(at)
    return found


def program_places(words: Sequence[str]) -> set[int]:
    """The places that decide which program runs: behind each wrapper from the first word on, and what `env` splits."""
    found: set[int] = set()
    place = 0
    for _ in range(PROGRAMS_MAX if words else 0):
        if (wrapper := program(words[place])) not in _WRAPPERS:
            return found
        with_value, before = _WRAPPERS[wrapper]
        rest = range(place + 1, len(words))
        plain = _plain(words, rest, with_value)[before:]
        if wrapper == "env":
            found |= _split_by_env(words, rest)
        while plain and (variable := re.match(r"([A-Za-z_]\w*)=", words[plain[0]])) and wrapper in ("env", "sudo"):
            found |= {plain[0]} if FIXED.fullmatch(variable[1]) else set()
            plain.pop(0)
        if not plain:
            return found
        place = plain[0]
        found.add(place)
    return {*range(1, len(words))}


def _split_by_env(words: Sequence[str], rest: range) -> set[int]:
    """`env -S TEXT` and `--split-string=TEXT`: the text becomes words, of which any may be a program or its code."""
    found = set()
    for at in rest:
        if re.match(r"-[a-zA-Z0]*S|--s(p.*)?(=|$)", words[at]):
            found |= {at, at + 1} & {*rest}
        elif not words[at].startswith("-") and "=" not in words[at]:
            break
    return found


def _of_interpreter(name: str, words: Sequence[str], rest: range) -> set[int]:
    found: set[int] = set()
    option_before = False
    for at in rest:
        word = words[at]
        if word.startswith("--") and word != "--":
            takes_code = word.split("=", 1)[0] in _CODE_OPTIONS
            found |= {at} if takes_code and "=" in word else _first_plain(words, at) if takes_code else set()
            option_before = "=" not in word
        elif word[:1] in ("-", "+") and len(word) > 1:
            found |= _of_cluster(name, words, at)
            option_before = not (name in SHELLS and re.fullmatch(r"[-+][aefhkmnuvx]+", word))
            if name in ("python", "pypy") and word == "-m":
                break  # A module: what follows is its own.
        elif program(word) in _CODE_LETTERS or not (option_before or name in ("su", "runuser", "sg", "flock")):
            break  # Another interpreter, or a script: what follows is its own.
        else:
            option_before = False
    return found


def _of_cluster(name: str, words: Sequence[str], at: int) -> set[int]:
    """Options in one word: `-euc`, `-lane`, `-eCODE`."""
    word = words[at]
    cluster = re.match(rf"-[A-Za-z]*?[{_CODE_LETTERS[name]}]", word)
    if cluster is None:
        return set()
    rest = word[cluster.end() :]
    attached = {at} if rest and name not in SHELLS else set()
    if rest and not rest.isalpha() and name not in SHELLS:
        return attached
    return attached | _first_plain(words, at, word.count("o") if name in SHELLS else 0)


def _first_plain(words: Sequence[str], option: int, skipped: int = 0) -> set[int]:
    """The argument of an option, with any options between (`sh -c -- CODE`), after `skipped` arguments of others."""
    found = set()
    for at in range(option + 1, len(words)):
        found.add(at)
        if words[at][:1] not in ("-", "+"):
            if not skipped:
                break
            skipped -= 1
    return found


def _of_program_first(with_value: str, with_program: str, words: Sequence[str], rest: range) -> set[int]:
    """Of awk and sed: the arguments of options with a program, or else the first that is no option."""
    found: set[int] = set()
    from_file = False
    for at in rest:
        word = words[at]
        if not word.startswith("-"):
            continue
        if word.startswith(("--expression", "--source")) or re.match(rf"-[nErsiz]*{with_program}", word):
            found |= {at} if "=" in word or len(word) > 2 else set()
            found |= {at + 1} & {*rest} if "=" not in word else set()
        from_file = from_file or word.startswith(("-f", "--file"))
    if found or from_file:
        return found
    return set(_plain(words, rest, with_value)[:1])


def _of_proxy(words: Sequence[str], rest: range) -> set[int]:
    """`ssh -o ProxyCommand=CODE`."""
    return {at for at in rest if re.match(r"(-o)?\s*(Proxy|Local|Remote|KnownHosts)Command", words[at], re.IGNORECASE)}
