"""Properties that hold for any input, tested by hypothesis. `make fuzz` gives each 30 seconds."""

from __future__ import annotations

import json
import math
import os
import pathlib
import string
import tempfile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cog.errors import CogError
from cog.internal.contract.exception_text import describe, trace
from cog.internal.contract.kinds import Files, Mismatch
from cog.internal.contract.type_reader import Reader, Unsupported
from cog.internal.runtime.output import FileTable, encode_output
from cog.internal.wire.json_text import decode, encode, text_json, utf8
from cog.internal.wire.spool import Spool, file_id

#: `make fuzz` asks for more.
EXAMPLES = int(os.environ.get("COGGO_FUZZ_EXAMPLES") or 15)

quick = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

TEXT = st.text(st.characters())  # lone surrogates too
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v) | st.dictionaries(TEXT, v), max_leaves=20)
PLAIN = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda v: st.lists(v) | st.dictionaries(PLAIN, v),
    max_leaves=20,
)


@given(st.binary() | VALUES.map(lambda v: json.dumps(v).encode()))
@quick
def test_a_request_file_of_any_bytes_is_read_or_refused(data):
    with tempfile.TemporaryDirectory() as path:
        spool = Spool(path, 0)
        (pathlib.Path(path) / "request-a.json").write_bytes(data)
        try:
            request = spool.request("a")
        except (ValueError, RecursionError):
            return
        assert request is not None and isinstance(request.input, dict)


@given(JSON)
@quick
def test_encoded_json_decodes_to_the_same_value(value):
    assert decode(encode(value)) == value
    assert json.loads(encode(value)) == value


@given(st.text())
@example("0\x0c")
@quick
def test_a_string_that_is_not_json_is_a_value_error(text):
    try:
        want = json.loads(text)
    except (ValueError, RecursionError):
        want = None
    try:
        got = decode(text)
    except (ValueError, RecursionError):
        return
    assert got == want or (math.isnan(got) and math.isnan(want))


@given(
    VALUES
    | st.sets(st.integers())
    | st.tuples(SCALARS, SCALARS)
    | st.decimals()
    | st.dates()
    | st.binary()
    | st.uuids()
)
@quick
def test_an_output_of_any_kind_is_json_or_refused_with_its_place(value):
    files = FileTable(lambda: "/nowhere")
    try:
        text = encode_output(value, files)
    except CogError as error:
        assert "output" in str(error) or "JSON" in str(error)
        return
    json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))
    text.decode("utf-8")
    assert files.entries == []


@given(JSON)
@quick
def test_an_output_of_plain_json_is_unchanged(value):
    assert json.loads(encode_output(value, FileTable(lambda: "/nowhere"))) == value


@given(TEXT)
@quick
def test_a_long_text_is_encoded_like_a_short_one(text):
    long = "é" * (0x10000 - len(text) // 2) + text  # around the border of two pieces
    assert text_json(long) == utf8(encode(long))


@pytest.mark.parametrize("text", ["\ud83d\ude00", "\ud83d", "\ude00\ud83d", '\n"\\\x00'])
def test_a_character_that_is_two_surrogates_stays_whole(text):
    for before in range(0xFFFB, 0x10003):
        long = "x" * before + text + "y"
        assert text_json(long) == utf8(encode(long))


@given(TEXT)
@quick
def test_the_file_name_of_an_id_stays_in_the_directory(id):
    name = file_id(id)
    assert (
        name
        and len(name) <= 128
        and not name.startswith(".")
        and not set(name) - set(string.ascii_letters + string.digits + "._-~")
    )


@given(st.text(st.characters()))
@quick
def test_utf8_of_any_text_is_valid(text):
    utf8(text).decode("utf-8")


ANNOTATIONS = [
    "int",
    "float",
    "bool",
    "str",
    "dict",
    "list",
    "Any",
    "List[int]",
    "Optional[float]",
    "Dict[str, bool]",
    "Union[int, str]",
]


@given(st.sampled_from(ANNOTATIONS), VALUES)
@quick
def test_an_input_is_converted_to_its_type_or_refused(annotation, value):
    scope: dict = {}
    exec("from typing import *", scope)
    try:
        kind, _ = Reader(scope).input(eval(annotation, scope))
    except Unsupported:
        return
    try:
        made = kind.decode(value, Files({}))
    except Mismatch as error:
        assert error.text
        with pytest.raises(Mismatch):
            kind.default(value)
        return
    assert repr(kind.default(value)) == repr(made), "a default is what a request gives"
    types = {"int": int, "float": float, "bool": bool, "str": str, "dict": dict, "list": list}
    if annotation in types:
        assert type(made) is types[annotation]
        assert annotation != "int" or not isinstance(value, float) or math.isfinite(value)


@given(
    TEXT, st.sampled_from([ValueError, KeyError, OSError, SystemExit, BaseException, StopIteration])
)
@quick
def test_an_exception_of_any_text_is_described_in_bounded_words(text, kind):
    try:
        raise kind(text)
    except BaseException as error:
        assert 0 < len(describe(error)) < 20_000
        assert len(trace(error) or "") < 100_000
