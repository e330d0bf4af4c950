"""Write Exeat plugins in Python: transforms and adapters, row by row.

A transform changes rows: it maps, anonymizes, filters. An adapter renders rows in the import
format of a destination. Both run in a sandbox without clock, randomness, files or network, and
see only the columns that they ask for.

A row is a tuple, read with the handles that the plan gave; a missing value is None. `out` is a
list, written with handles. README.md has the rest.
"""

import builtins
import enum
import io
import json
import os
import sys
import time
import warnings  # noqa: F401: hmac asks for it when it is first used, and then it is too late
from array import array
from collections import namedtuple
from itertools import accumulate, pairwise, repeat

# ---- Saying no --------------------------------------------------------------------------------


class Reject(Exception):
    """This row cannot go out. The message must not quote the row's values."""

    def __init__(self, code, message, *, field=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class Fault(Exception):
    """The job cannot start, or cannot go on, for a reason of the plugin's own."""

    def __init__(self, message):
        super().__init__(message)
        self.message = message


class ConfigError(Fault):
    """The configuration is wrong at this JSON pointer (RFC 6901), `""` for the whole."""

    def __init__(self, pointer, message):
        super().__init__(message)
        self.pointer = pointer


class SchemaError(Fault):
    """A column is missing or has another type."""

    def __init__(self, field, message):
        super().__init__(message)
        self.field = field


class Fate(enum.Enum):
    """What becomes of a row."""

    KEEP = "keep"
    DROP = "drop"
    WRITTEN = "written"
    DROPPED = "dropped"


KEEP = Fate.KEEP  # a transform's row stays
DROP = Fate.DROP  # it is filtered out, and counted
WRITTEN = Fate.WRITTEN  # an adapter's row is in the output, or will be when its buffer is flushed
DROPPED = Fate.DROPPED  # it is left out on purpose, and counted


# ---- Configuration ----------------------------------------------------------------------------

_KINDS = {
    "string": ("a text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "number": ("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "array": ("a list", lambda value: isinstance(value, list)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "null": ("null", lambda value: value is None),
}

_CHECKED = {"type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "items"}
_CHECKED |= {"properties", "required", "additionalProperties"}
_FOR_READERS = {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"}


def _parse_config(text, schema):
    """The configuration, checked. An empty text is an empty object."""

    def no_twins(pairs):
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ConfigError("", "an object has a key twice")
        return members

    def no_constant(_):
        raise ValueError

    try:
        config = json.loads(text.strip() or "{}", object_pairs_hook=no_twins, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise ConfigError("", "is not JSON") from None
    if not isinstance(config, dict):
        raise ConfigError("", "must be an object")
    return _checked(config, schema, "")


def _require_known(schema):
    """A keyword that would not be checked fails the build."""
    if not isinstance(schema, dict):
        return
    unknown = schema.keys() - _CHECKED - _FOR_READERS
    if unknown:
        raise TypeError("config_schema: exeat does not check " + ", ".join(sorted(unknown)))
    for inner in [schema.get("items"), schema.get("additionalProperties"), *schema.get("properties", {}).values()]:
        _require_known(inner)


def _checked(value, schema, pointer):
    """The value, checked, with the defaults of the schema."""
    if not isinstance(schema, dict):
        return value
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_KINDS[kind][1](value) for kind in kinds):
        raise ConfigError(pointer, "must be " + " or ".join(_KINDS[kind][0] for kind in kinds))
    if "enum" in schema and value not in schema["enum"]:
        raise ConfigError(pointer, "must be one of " + json.dumps(schema["enum"])[1:-1])
    if _KINDS["number"][1](value):
        _check_bounds(value, schema, pointer, "minimum", "maximum", "")
    elif isinstance(value, str):
        _check_bounds(len(value), schema, pointer, "minLength", "maxLength", " characters")
    elif isinstance(value, list):
        _check_bounds(len(value), schema, pointer, "minItems", "maxItems", " items")
        items = schema.get("items", True)
        return [_checked(item, items, f"{pointer}/{index}") for index, item in enumerate(value)]
    elif isinstance(value, dict):
        return _checked_object(value, schema, pointer)
    return value


def _check_bounds(size, schema, pointer, least, most, unit):
    if size < schema.get(least, size):
        raise ConfigError(pointer, f"must be at least {schema[least]}{unit}")
    if size > schema.get(most, size):
        raise ConfigError(pointer, f"must be at most {schema[most]}{unit}")


def _checked_object(value, schema, pointer):
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    checked = {}
    for key, member in value.items():
        at = pointer + "/" + key.replace("~", "~0").replace("/", "~1")
        if key not in known and others is False:
            raise ConfigError(at, "is not a key that this plugin knows")
        checked[key] = (at, member)
    for key in schema.get("required", []):
        if key not in value:
            raise ConfigError(pointer, f'the key "{key}" is missing')
    checked = {key: _checked(member, known.get(key, others), at) for key, (at, member) in checked.items()}
    for key, property_schema in known.items():
        if key not in checked and isinstance(property_schema, dict) and "default" in property_schema:
            checked[key] = json.loads(json.dumps(property_schema["default"]))
    return checked


# ---- The plan ---------------------------------------------------------------------------------

# The types of columns, as the contract names them, and what they hold.
_TYPES = {
    "boolean": "true or false",
    "int64": "whole numbers",
    "float64": "numbers",
    "timestamp_us": "timestamps",
    "utf8": "text",
    "json": "JSON",
    "utf8_list": "lists of text",
}

_TYPE_OF = {bool: "boolean", int: "int64", float: "float64", str: "utf8", type(None): "utf8"}

Field = namedtuple("Field", ["name", "type", "nullable", "selected"])
Field.__doc__ = """One column on offer. A selected one is part of the export unless the plugin leaves it
out; any other is to be had for the asking. `type` is boolean, int64, float64, timestamp_us, utf8, json or
utf8_list."""


class Job:
    """What a plugin may know of its job: `id`, `snapshot_at_us` (the only clock), `seed` (the same for every
    job of the tenant, the only randomness), `pseudonym_key` (32 bytes, the tenant's and the plugin's own)."""

    def __init__(self, id="", snapshot_at_us=0, seed=0, pseudonym_key=bytes(32)):
        self.id = id
        self.snapshot_at_us = snapshot_at_us
        self.seed = seed
        self.pseudonym_key = pseudonym_key


class Column(int):
    """The handle of a column: its place in the row, or in `out`. Has `name` and `type`."""

    def __new__(cls, place, name, column_type):
        column = super().__new__(cls, place)
        column.name = name
        column.type = column_type
        return column


class AdapterPlan:
    """What a plugin reads. Each call gives a handle. Where the column is not on offer or of another type, it
    faults: on the column itself, or at the part of the configuration that named it, given as `at`."""

    def __init__(self, input=()):
        self.input = list(input)
        self._reads = []

    def find(self, name):
        """The column of this name, or None."""
        return next((field for field in self.input if field.name == name), None)

    def read_text(self, name, *, at=None):
        return self._read(name, "utf8", at)

    def read_json(self, name, *, at=None):
        """The row has the JSON text: `json.loads` it."""
        return self._read(name, "json", at)

    def read_int(self, name, *, at=None):
        return self._read(name, "int64", at)

    def read_float(self, name, *, at=None):
        return self._read(name, "float64", at)

    def read_bool(self, name, *, at=None):
        return self._read(name, "boolean", at)

    def read_timestamp(self, name, *, at=None):
        """The row has microseconds since 1970-01-01T00:00:00Z."""
        return self._read(name, "timestamp_us", at)

    def read_list(self, name, *, at=None):
        return self._read(name, "utf8_list", at)

    def read_any(self, name, *, at=None):
        return self._read(name, None, at)

    def _index(self, name, at):
        for index, field in enumerate(self.input):
            if field.name == name:
                return index
        raise _column_error(name, "is not among those that this export can hold", at)

    def _read(self, name, wanted, at):
        index = self._index(name, at)
        found = self.input[index].type
        if wanted not in (None, found):
            raise _column_error(name, f"holds {_TYPES[found]}, not {_TYPES[wanted]}", at)
        if index not in self._reads:
            self._reads.append(index)
        return Column(self._reads.index(index), name, found)


def _column_error(name, what, at):
    return SchemaError(name, what) if at is None else ConfigError(at, f'the column "{name}" {what}')


class TransformPlan(AdapterPlan):
    """What a transform reads and puts out. The order of the calls is the order of the output's columns."""

    def __init__(self, input=()):
        super().__init__(input)
        self._output = []
        self._computed = []

    def pass_(self, name, *, at=None):
        """The column comes out untouched."""
        self.pass_as(name, name, at=at)

    def pass_as(self, name, new_name, *, at=None):
        """The column comes out untouched, under another name."""
        self._output.append(("pass", self._index(name, at), new_name))

    def pass_selected_except(self, names):
        """Every selected column comes out but these."""
        for index, field in enumerate(self.input):
            if field.selected and field.name not in names:
                self._output.append(("pass", index, field.name))

    def constant(self, name, value, *, type=None):
        """The same value in every row. The type is that of the value, None is a missing text; `type="json"`
        and `type="timestamp_us"` say otherwise."""
        self._output.append(("constant", name, type or _TYPE_OF[value.__class__], value))

    def compute_text(self, name):
        return self._compute(name, "utf8")

    def compute_json(self, name):
        """Write JSON texts: `json.dumps(…)`."""
        return self._compute(name, "json")

    def compute_int(self, name):
        return self._compute(name, "int64")

    def compute_float(self, name):
        return self._compute(name, "float64")

    def compute_bool(self, name):
        return self._compute(name, "boolean")

    def compute_timestamp(self, name):
        return self._compute(name, "timestamp_us")

    def _compute(self, name, column_type):
        column = Column(len(self._computed), name, column_type)
        self._computed.append(column)
        self._output.append(("computed", name, column_type))
        return column


# ---- Columns ----------------------------------------------------------------------------------
# Whole columns at a time: Python is slow for each value, not for each column.


def _flags(bitmap, count):
    """The bits of a bitmap as a text of 0 and 1, the first row first."""
    return f"{int.from_bytes(bitmap, 'little'):0{count}b}"[::-1][:count]


def _bitmap(flags):
    """The bitmap of a text of 0 and 1."""
    return int(flags[::-1] or "0", 2).to_bytes((len(flags) + 7) // 8, "little")


def _decode_texts(values):
    data = values.bytes
    # Latin-1 makes a character of every byte: one text to cut by offsets, and few pieces to decode again.
    text = data.decode("latin-1")
    pieces = [text[start:end] for start, end in pairwise(values.offsets)]
    if text.isascii():
        return pieces
    return [piece if piece.isascii() else piece.encode("latin-1").decode() for piece in pieces]


def _decode(column_type, validity, values, rows):
    """The values of one column as a list."""
    if column_type == "boolean":
        decoded = [flag == "1" for flag in _flags(values, rows)]
    elif column_type in ("utf8", "json"):
        decoded = _decode_texts(values)
    elif column_type == "utf8_list":
        texts = _decode_texts(values.values)
        decoded = [texts[start:end] for start, end in pairwise(values.offsets)]
    else:
        decoded = values
    if validity is None:
        return decoded
    return [value if flag == "1" else None for value, flag in zip(decoded, _flags(validity, rows))]


_DEFAULTS = {"boolean": False, "int64": 0, "float64": 0.0, "timestamp_us": 0, "utf8": "", "json": ""}


def _encode(column, values):
    """The validity bitmap (or None) and the values of a computed column; texts as offsets and bytes."""
    validity = None
    if None in values:
        validity = _bitmap("".join(["0" if value is None else "1" for value in values]))
        default = _DEFAULTS[column.type]
        values = [default if value is None else value for value in values]
    try:
        if column.type == "boolean":
            if not all(value.__class__ is bool for value in values):
                raise TypeError
            return validity, _bitmap("".join(["1" if value else "0" for value in values]))
        if column.type in ("int64", "timestamp_us"):
            return validity, array("q", values).tolist()
        if column.type == "float64":
            return validity, array("d", values).tolist()
        return validity, _encode_texts(values)
    except (TypeError, ValueError, OverflowError):
        raise Fault(
            f'the plugin wrote a value to the column "{column.name}" that does not fit: it holds {_TYPES[column.type]}'
        ) from None


def _encode_texts(values):
    text = "".join(values)
    lengths = map(len, values)
    if not text.isascii():
        lengths = [len(value) if value.isascii() else len(value.encode()) for value in values]
    return list(accumulate(lengths, initial=0)), text.encode()


# ---- Plugins ----------------------------------------------------------------------------------


class _Plugin:
    name = ""
    version = ""
    summary = ""
    config_schema = {"type": "object", "additionalProperties": False}

    def open(self, config, job, plan):
        """Declares what is read and what comes out, before any row is seen."""
        raise NotImplementedError

    def row(self, row, out):
        raise NotImplementedError


class Transform(_Plugin):
    """Changes rows. Write `open`, and `row`, which returns KEEP or DROP or raises Reject.

    Set `stateless = False` where the result for a batch depends on earlier batches.
    """

    stateless = True


class Adapter(_Plugin):
    """Renders rows in the import format of a destination. Write `open`; `row`, which returns WRITTEN or
    DROPPED or raises Reject; and `finish`, which writes what is left after the last row."""

    def finish(self, out):
        pass


class Sink:
    """Where an adapter writes."""

    def __init__(self):
        self.chunks = []  # (name, media type) where a file begins, else bytes
        self.losses = {}  # (field, reason): rows
        self.side_lines = []  # (file, line)
        self._pieces = []

    def begin_file(self, name, media_type):
        """Ends the file at hand and begins the next. The name is one path segment of ASCII letters, digits,
        `.`, `_` and `-`, unique in the export."""
        self._flush()
        self.chunks.append((name, media_type))

    def write(self, piece):
        """Appends a text or bytes to the file at hand."""
        self._pieces.append(piece.encode() if isinstance(piece, str) else piece)

    def loss(self, field, reason):
        """Counts a value that the destination cannot hold."""
        self.losses[field, reason] = self.losses.get((field, reason), 0) + 1

    def id_map(self, line):
        """Writes a line (one JSON object) to the map from old ids to new ones."""
        self.side_lines.append(("id_map", line))

    def action(self, line):
        """Writes a line (one JSON object) to the list of what must be done after the import."""
        self.side_lines.append(("actions", line))

    def _flush(self):
        data = b"".join(self._pieces)
        self._pieces = []
        if data:
            self.chunks.append(data)


def _run_transform(transform, computed, rows):
    """Runs the rows: the computed columns, the `keep` bitmap (or None), and the rejects by row."""
    run, keeps, blank = transform.row, KEEP, [None] * len(computed)
    written, gone, rejects = [], [], []
    add = written.append
    for row in rows:
        out = blank.copy()
        try:
            fate = run(row, out)
        except Reject as reject:
            rejects.append((len(written), reject))
            fate = DROP
        if fate is not keeps:
            if fate is not DROP:
                raise Fault("row must return exeat.KEEP or exeat.DROP")
            gone.append(len(written))
            out = blank
        add(out)
    columns = zip(*written) if written else repeat((), len(computed))
    encoded = [_encode(column, values) for column, values in zip(computed, columns)]
    keep = None
    if gone:
        keep = bytearray(_bitmap("1" * len(written)))
        for index in gone:
            keep[index // 8] &= ~(1 << index % 8)
    return encoded, keep and bytes(keep), rejects


def _run_adapter(adapter, rows, sink):
    """Runs the rows: how many are written, how many dropped, and the rejects by row."""
    counts = {WRITTEN: 0, DROPPED: 0}
    rejects = []
    for index, row in enumerate(rows):
        try:
            fate = adapter.row(row, sink)
        except Reject as reject:
            rejects.append((index, reject))
            continue
        if fate is not WRITTEN and fate is not DROPPED:
            raise Fault("row must return exeat.WRITTEN or exeat.DROPPED")
        counts[fate] += 1
    return counts[WRITTEN], counts[DROPPED], rejects


# ---- Errors in the author's code --------------------------------------------------------------

# Their texts name types and names of the code, not values.
_CODE_ERRORS = (
    AttributeError, ImportError, LookupError, NameError, NotImplementedError, TypeError, ZeroDivisionError
)  # fmt: skip


def _sentence(error, home, rows_seen):
    """Type, text and place of an error, such as "ValueError: boom (app.py:22)".

    Once the plugin has seen rows, the text is left out unless it cannot quote one: it is written out in the
    function that raised it, or is of a kind that names only code. The module `traceback` is no use here: it
    reads the source, and there are no files.
    """
    place = raiser = None
    step = error.__traceback__
    while step is not None:
        raiser = step.tb_frame.f_code
        if os.path.dirname(raiser.co_filename) == home and raiser.co_filename != __file__:
            place = f" ({os.path.basename(raiser.co_filename)}:{step.tb_lineno})"
        step = step.tb_next
    text = str(error)
    safe = not rows_seen or type(error) in _CODE_ERRORS or (raiser is not None and text in raiser.co_consts)
    return type(error).__name__ + (f": {text}" if safe and text else "") + (place or "")


# ---- Between the contract and the classes above -----------------------------------------------


def _clean(text):
    """Half a surrogate pair cannot cross the wall."""
    return text.encode("utf-8", "replace").decode()


class _NoImports:
    """Modules are loaded when the component is built; afterwards there are no files to load them from."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        raise ImportError(f'import "{name}" at the top of the plugin: there are no files when it runs')


class _LogStream:
    """What is printed goes to the log, a line at a time."""

    def __init__(self, level):
        self.level = level
        self.line = ""

    def write(self, text):
        *lines, self.line = (self.line + text).split("\n")
        for line in lines:
            log(self.level, line)
        return len(text)

    def flush(self):
        pass


def _refuse(module, function, message):
    def refused(*_, **__):
        raise NotImplementedError(message)

    setattr(module, function, refused)


def _enter_sandbox():
    """What would stop the plugin without a word becomes an error or a log line."""
    if isinstance(sys.stdout, _LogStream):
        return
    sys.stdout, sys.stderr = _LogStream("info"), _LogStream("warn")
    sys.meta_path[:] = [_NoImports]
    _refuse(builtins, "open", "a plugin has no files")
    _refuse(io, "open", "a plugin has no files")
    _refuse(os, "urandom", "a plugin has no randomness: use job.seed")
    for clock in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
        _refuse(time, clock, "a plugin has no clock: use job.snapshot_at_us")


def log(level, message):
    """Writes a line for whoever looks after the plugin: trace, debug, info, warn or error. Never a user's
    values. In tests it is printed."""
    if _wit is None:
        print(f"{level}: {message}", file=sys.stderr)
    else:
        _wit.log.write(_wit.types.Level[level.upper()], _clean(message))


def log_enabled(level):
    """Whether anybody will see lines of this level."""
    return _wit is None or _wit.log.enabled(_wit.types.Level[level.upper()])


_wit = None


class _Wit:
    """The bindings that componentize-py makes; only there in a component."""

    def __init__(self, transform):
        from componentize_py_types import Err
        from wit_world.imports import log, types

        if transform:
            from wit_world.exports import transform as world
        else:
            from wit_world.exports import adapter as world
        self.Err, self.log, self.types, self.world = Err, log, types, world

    def fault(self, error, home, rows_seen):
        types = self.types
        message = _clean(error.message if isinstance(error, Fault) else _sentence(error, home, rows_seen))
        if isinstance(error, ConfigError):
            return self.Err(types.Fault_InvalidConfig(types.ConfigError(_clean(error.pointer), message)))
        if isinstance(error, SchemaError):
            return self.Err(types.Fault_UnsupportedSchema(types.SchemaError(_clean(error.field), message)))
        return self.Err(types.Fault_Internal(message))

    def rejects(self, rejects):
        return [
            self.types.Reject(row, reject.field and _clean(reject.field), _clean(reject.code), _clean(reject.message))
            for row, reject in rejects
        ]

    def column(self, column, validity, values):
        types = self.types
        if column.type in ("utf8", "json"):
            values = types.Utf8Values(*values)
        return types.Column(validity, getattr(types, "Values_" + _camel(column.type))(values))

    def scalar(self, column_type, value):
        if value is None:
            return self.world.Scalar_Null(self.types.ColumnType[column_type.upper()])
        return getattr(self.world, "Scalar_" + _camel(column_type))(value)

    def plan(self, plan, plugin):
        if isinstance(plan, TransformPlan):
            output = [self.output_column(column) for column in plan._output]
            return self.world.Plan(plan._reads, output, plugin.stateless)
        return self.world.Plan(plan._reads)

    def output_column(self, column):
        world, types = self.world, self.types
        kind, *rest = column
        if kind == "pass":
            return world.OutputColumn_Pass(world.PassedColumn(*rest))
        if kind == "constant":
            name, column_type, value = rest
            return world.OutputColumn_Constant(world.ConstantColumn(name, self.scalar(column_type, value)))
        name, column_type = rest
        return world.OutputColumn_Computed(types.Field(name, types.ColumnType[column_type.upper()], True))

    def encoded(self, sink, written=0, dropped=0, rejects=()):
        world = self.world
        sink._flush()
        chunks = [
            world.Chunk_Bytes(chunk) if isinstance(chunk, bytes) else world.Chunk_BeginFile(world.File(*chunk))
            for chunk in sink.chunks
        ]
        losses = [world.Loss(field, reason, rows) for (field, reason), rows in sink.losses.items()]
        sides = [world.SideLine(world.SideFile[file.upper()], _clean(line)) for file, line in sink.side_lines]
        return world.Encoded(chunks, written, dropped, self.rejects(rejects), losses, sides)


def _camel(column_type):
    return "".join(part.capitalize() for part in column_type.split("_"))


def export(plugin):
    """Makes the plugin the one of this component. The name on the left says what it is:

    Transform = exeat.export(MyTransform)
    Adapter = exeat.export(MyAdapter)
    """
    is_transform = issubclass(plugin, Transform)
    if is_transform == issubclass(plugin, Adapter):
        raise TypeError("a plugin is an exeat.Transform or an exeat.Adapter")
    for attribute in ("name", "version", "summary"):
        if not getattr(plugin, attribute):
            raise TypeError(f"the plugin has no {attribute}")
    _require_known(plugin.config_schema)
    global _wit
    try:
        _wit = _Wit(is_transform)
    except ModuleNotFoundError:
        return plugin  # not in a component: under test
    the_one = (_TransformExport if is_transform else _AdapterExport)(plugin)
    # The bindings make an object for each call of the host; the job needs the same one every time.
    return type("Export", (), {"__new__": lambda cls: the_one})


class _Export:
    """What the host calls."""

    plan_class = None

    def __init__(self, plugin_class):
        self.plugin_class = plugin_class
        self.home = os.path.dirname(sys.modules[plugin_class.__module__].__file__)
        self.plugin = None
        self.plan = None
        self.rows_seen = False

    def describe(self):
        _enter_sandbox()
        plugin = self.plugin_class
        schema = json.dumps(plugin.config_schema, ensure_ascii=False)
        return _wit.types.Description(plugin.name, plugin.version, plugin.summary, schema)

    def open(self, job, input, config):
        _enter_sandbox()
        return self.guarded(self.do_open, job, input, config)

    def process(self, batch):
        return self.guarded(self.do_process, batch)

    def guarded(self, work, *arguments):
        """Turns whatever goes wrong into a fault."""
        try:
            return work(*arguments)
        except BaseException as error:
            raise _wit.fault(error, self.home, self.rows_seen) from None

    def do_open(self, job, input, config):
        plan = self.plan_class(
            Field(offered.field.name, offered.field.column_type.name.lower(), offered.field.nullable, offered.selected)
            for offered in input
        )
        job = Job(job.job_id, job.snapshot_at_us, job.seed, job.pseudonym_key)
        plugin = self.plugin_class()
        plugin.open(_parse_config(config, plugin.config_schema), job, plan)
        self.plugin, self.plan = plugin, plan
        return _wit.plan(plan, plugin)

    def rows(self, batch):
        """The rows of a batch, as tuples."""
        if self.plugin is None:
            raise Fault("the host called before it opened a job")
        self.rows_seen = True
        if not batch.columns:
            return repeat((), batch.rows)
        types = [self.plan.input[index].type for index in self.plan._reads]
        columns = zip(types, batch.columns)
        return zip(*[_decode(type, column.validity, column.values.value, batch.rows) for type, column in columns])


class _TransformExport(_Export):
    plan_class = TransformPlan

    def do_process(self, batch):
        rows, computed = self.rows(batch), self.plan._computed
        columns, keep, rejects = _run_transform(self.plugin, computed, rows)
        columns = [_wit.column(column, *encoded) for column, encoded in zip(computed, columns)]
        return _wit.world.Output(columns, keep, _wit.rejects(rejects))


class _AdapterExport(_Export):
    plan_class = AdapterPlan

    def do_process(self, batch):
        rows, sink = self.rows(batch), Sink()
        return _wit.encoded(sink, *_run_adapter(self.plugin, rows, sink))

    def finish(self):
        return self.guarded(self.do_finish)

    def do_finish(self):
        sink = Sink()
        self.plugin.finish(sink)
        return _wit.encoded(sink)
