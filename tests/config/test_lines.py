"""Lines of settings in TOML files."""

import tomllib
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from orchestrator.config import lines

TEXT = '''a = 1
[pools.lab]
url = "https://[::1]"   # a comment with [brackets
text = """
[not.a.table]
b = 2 """
fingerprint = [
  "aa",
  "b]b", # ]
]
[pools."two words".x] # yes
"quo = ted" = 3
[[assign]]
tag = "x"
[[assign]]
tag = \'\'\'
[a]
\'\'\'
sub.key = { deep = [1, 2], more = "}" }
last = 1'''


@pytest.mark.parametrize(
    ("where", "line"),
    [
        (("a",), 1),
        (("pools", "lab"), 2),
        (("pools", "lab", "url"), 3),
        (("pools", "lab", "text"), 4),
        (("pools", "lab", "fingerprint", 1), 7),
        (("pools", "two words", "x"), 11),
        (("pools", "two words", "x", "quo = ted"), 12),
        (("assign", 0, "tag"), 14),
        (("assign", 1), 15),
        (("assign", 1, "tag"), 16),
        (("assign", 1, "sub", "key", "deep"), 19),
        (("assign", 1, "last"), 20),
        (("pools", "lab", "nothing"), 2),
        (("nothing",), None),
    ],
)
def test_a_setting_has_the_line_on_which_it_begins(where: tuple[str | int, ...], line: int | None) -> None:
    """What is not there has the line of what it would be in."""
    tomllib.loads(TEXT)
    assert lines.read(TEXT).of(*where) == line


def paths(value: Any, where: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [where]
    if isinstance(value, dict):
        found += [path for key, part in value.items() for path in paths(part, (*where, key))]
    return found


VALUES = st.sampled_from(
    ['"x"', "'[y]'", "1", '"""a\n[b]\nc = 1"""', "[1,\n 2]", "{ x = 1 }", "'''\n= ]\n'''", '"# no \\" comment"', "true # x = 1"]
)
KEYS = st.text("abc", min_size=1, max_size=3)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_every_setting_of_any_file_is_found_where_it_is(tables: dict[str, dict[str, str]]) -> None:
    """Whatever the values are: strings over several lines, arrays, comments."""
    written, at, number = [], {}, 1
    for table, keys in tables.items():
        for where, text in [((table,), f"[{table}]"), *(((table, key), f"{key} = {value}") for key, value in keys.items())]:
            at[where] = number
            written.append(text)
            number += text.count("\n") + 1
    text = "\n".join(written)
    tomllib.loads(text)
    found = lines.read(text)
    assert {where: found.of(*where) for where in at} == at
    assert all(len(where) < 3 for where in found.numbers)
