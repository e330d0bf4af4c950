"""Tests of the parts of exeat.py that need no component: python3 -m unittest"""

import json
import math
import types
import unittest

import exeat

SCHEMA = {
    "type": "object",
    "properties": {
        "column": {"type": "string", "minLength": 1},
        "max_chars": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 255},
        "ratio": {"type": "number"},
        "mode": {"enum": ["fast", "slow"]},
        "keep": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "nested": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
    },
    "required": ["column"],
    "additionalProperties": False,
}


def texts(values):
    offsets, data = exeat._encode_texts(values)
    return types.SimpleNamespace(offsets=offsets, bytes=data)


class Configuration(unittest.TestCase):
    def refused_at(self, pointer, text, schema=SCHEMA):
        with self.assertRaises(exeat.ConfigError) as caught:
            exeat._parse_config(text, schema)
        self.assertEqual(caught.exception.pointer, pointer)
        return caught.exception.message

    def test_defaults_are_filled_in(self):
        config = exeat._parse_config('{"column": "name", "nested": {"on": true}}', SCHEMA)
        self.assertEqual(config, {"column": "name", "nested": {"on": True}, "max_chars": 255})

    def test_a_default_is_never_shared(self):
        schema = {"properties": {"list": {"default": []}}}
        exeat._parse_config("", schema)["list"].append(1)
        self.assertEqual(exeat._parse_config(" \n", schema), {"list": []})

    def test_what_is_not_json_is_refused(self):
        for text in ["{", "[]", "1", "nul", '{"a": NaN}', '{"column": "a", "column": "b"}', "{} {}"]:
            self.refused_at("", text)

    def test_wrong_values_are_refused_where_they_stand(self):
        for pointer, members in [
            ("/column", {"column": 3}),
            ("/column", {"column": None}),
            ("/column", {"column": ""}),
            ("/max_chars", {"max_chars": 0}),
            ("/max_chars", {"max_chars": 1001}),
            ("/max_chars", {"max_chars": 1.5}),
            ("/max_chars", {"max_chars": 1.0}),
            ("/max_chars", {"max_chars": True}),
            ("/max_chars", {"max_chars": "12"}),
            ("/ratio", {"ratio": "1"}),
            ("/mode", {"mode": "medium"}),
            ("/keep", {"keep": "groups"}),
            ("/keep/1", {"keep": ["groups", 1]}),
            ("/keep", {"keep": ["a", "b", "c"]}),
            ("/nested", {"nested": {}}),
            ("/nested/on", {"nested": {"on": 1}}),
            ("/a~1b~0c", {"a/b~c": 1}),
        ]:
            with self.subTest(members):
                self.refused_at(pointer, json.dumps({"column": "name"} | members))

    def test_a_misspelt_key_is_named_before_a_missing_one(self):
        self.refused_at("/colum", '{"colum": "name"}')
        self.assertEqual(self.refused_at("", "{}"), 'the key "column" is missing')

    def test_a_keyword_that_nobody_checks_fails_the_build(self):
        exeat._require_known(SCHEMA)
        for schema in [{"pattern": "^a"}, {"properties": {"a": {"items": {"oneOf": []}}}}]:
            with self.assertRaises(TypeError):
                exeat._require_known(schema)

    def test_no_message_quotes_a_value(self):
        message = self.refused_at("/max_chars", '{"column": "name", "max_chars": "anita@example.com"}')
        self.assertNotIn("anita", message)


class Plans(unittest.TestCase):
    def setUp(self):
        self.plan = exeat.TransformPlan(
            [
                exeat.Field("user_id", "utf8", False, True),
                exeat.Field("email", "utf8", True, True),
                exeat.Field("logins_count", "int64", True, False),
            ]
        )

    def test_a_column_is_read_once(self):
        email, count = self.plan.read_text("email"), self.plan.read_int("logins_count")
        self.assertEqual((email, count, self.plan.read_any("email")), (0, 1, 0))
        self.assertEqual(self.plan._reads, [1, 2])
        self.assertEqual((count.name, count.type), ("logins_count", "int64"))

    def test_the_calls_order_the_output(self):
        self.plan.pass_selected_except(["email"])
        self.plan.pass_as("logins_count", "logins")
        self.plan.constant("source", "exeat")
        self.plan.constant("gone", None, type="int64")
        self.assertEqual(self.plan.compute_text("email"), 0)
        self.assertEqual(
            self.plan._output,
            [
                ("pass", 0, "user_id"),
                ("pass", 2, "logins"),
                ("constant", "source", "utf8", "exeat"),
                ("constant", "gone", "int64", None),
                ("computed", "email", "utf8"),
            ],
        )

    def test_a_missing_column_is_a_fault_of_the_schema_or_of_the_configuration(self):
        with self.assertRaises(exeat.SchemaError) as caught:
            self.plan.read_text("shoe_size")
        self.assertEqual(caught.exception.field, "shoe_size")
        with self.assertRaises(exeat.ConfigError) as caught:
            self.plan.read_text("logins_count", at="/column")
        self.assertEqual(caught.exception.pointer, "/column")
        self.assertEqual(str(caught.exception), 'the column "logins_count" holds whole numbers, not text')
        self.assertIsNone(self.plan.find("shoe_size"))


class Columns(unittest.TestCase):
    def test_texts_come_back(self):
        for values in [[], [""], ["a", "", "bc"], ["Zoë", "", "山🙂", "x"]]:
            self.assertEqual(exeat._decode("utf8", None, texts(values), len(values)), values)

    def test_missing_values_are_none(self):
        values = texts(["a", "", "c", "", "e", "f", "g", "h", "i"])
        decoded = exeat._decode("json", bytes([0b11110101, 0b1]), values, 9)
        self.assertEqual(decoded, ["a", None, "c", None, "e", "f", "g", "h", "i"])
        self.assertEqual(exeat._decode("int64", bytes([0b01]), [7, 0], 2), [7, None])

    def test_bits_beyond_the_last_row_are_ignored(self):
        self.assertEqual(exeat._decode("boolean", None, b"\xfd", 3), [True, False, True])
        self.assertEqual(exeat._decode("boolean", None, b"", 0), [])

    def test_lists(self):
        values = types.SimpleNamespace(offsets=[0, 2, 2, 3], values=texts(["a", "ë", "c"]))
        self.assertEqual(exeat._decode("utf8_list", b"\x05", values, 3), [["a", "ë"], None, ["c"]])

    def encode(self, column_type, values):
        return exeat._encode(exeat.Column(0, "it", column_type), tuple(values))

    def test_computed_columns(self):
        self.assertEqual(self.encode("utf8", ["a", None, "ë"]), (b"\x05", ([0, 1, 1, 3], "aë".encode())))
        self.assertEqual(self.encode("utf8", []), (None, ([0], b"")))
        self.assertEqual(self.encode("boolean", [True, None, True, False]), (b"\x0d", b"\x05"))
        self.assertEqual(self.encode("boolean", [True] * 9), (None, b"\xff\x01"))
        self.assertEqual(self.encode("int64", [-(2**63), None]), (b"\x01", [-(2**63), 0]))
        self.assertEqual(self.encode("float64", [1, 2.5]), (None, [1.0, 2.5]))
        self.assertTrue(math.isnan(self.encode("float64", [math.nan])[1][0]))

    def test_what_does_not_fit_is_a_fault_that_quotes_no_value(self):
        for column_type, value in [
            ("utf8", 3),
            ("utf8", b"secret"),
            ("utf8", "\ud800secret"),
            ("boolean", 1),
            ("int64", 2**63),
            ("int64", 1.5),
            ("int64", "secret"),
            ("float64", "secret"),
            ("timestamp_us", "secret"),
        ]:
            with self.subTest(column_type), self.assertRaises(exeat.Fault) as caught:
                self.encode(column_type, [value])
            self.assertIn('"it"', caught.exception.message)
            self.assertNotIn("secret", caught.exception.message)

    def test_bitmaps(self):
        for flags in ["", "1", "0", "10110", "0" * 8, "1" * 8 + "01"]:
            self.assertEqual(exeat._flags(exeat._bitmap(flags), len(flags)), flags)
        self.assertEqual(exeat._bitmap("100000001"), b"\x01\x01")


class Shout(exeat.Transform):
    name, version, summary = "shout", "0.1.0", "Shouts."

    def open(self, config, job, plan):
        self.quiet, self.loud = plan.read_text("name"), plan.compute_text("name")

    def row(self, row, out):
        text = row[self.quiet]
        out[self.loud] = "half done"
        if text is None:
            return exeat.DROP
        if text == "nothing":
            return None
        if len(text) > 5:
            raise exeat.Reject("too_long", "it is too long", field="name")
        out[self.loud] = text.upper()
        return exeat.KEEP


class Users(exeat.Adapter):
    name, version, summary = "users", "0.1.0", "Users."

    def row(self, row, out):
        if row[0] is None:
            return exeat.DROPPED
        if row[0] == "bad":
            raise exeat.Reject("bad", "it is bad")
        out.begin_file(row[0], "text/plain")
        out.write("ë")
        out.write(b"!")
        out.loss("groups", "no place")
        out.action("{}")
        return exeat.WRITTEN


class Runs(unittest.TestCase):
    def shout(self, names):
        plan = exeat.TransformPlan([exeat.Field("name", "utf8", True, True)])
        transform = Shout()
        transform.open({}, exeat.Job(), plan)
        return exeat._run_transform(transform, plan._computed, [(name,) for name in names])

    def test_every_row_has_a_fate(self):
        columns, keep, rejects = self.shout(["a", None, "too long", "d"] + ["e"] * 6)
        self.assertEqual(keep, bytes([0b11111001, 0b11]))
        self.assertEqual(columns, [(keep, (list(accumulated([1, 0, 0, 1, 1, 1, 1, 1, 1, 1])), b"ADEEEEEE"))])
        self.assertEqual([(row, reject.code, reject.field) for row, reject in rejects], [(2, "too_long", "name")])

    def test_all_stay_or_there_are_none(self):
        self.assertEqual(self.shout(["a"]), ([(None, ([0, 1], b"A"))], None, []))
        self.assertEqual(self.shout([]), ([(None, ([0], b""))], None, []))

    def test_a_row_without_a_fate_is_a_fault(self):
        with self.assertRaises(exeat.Fault):
            self.shout(["nothing"])

    def test_an_adapter(self):
        sink = exeat.Sink()
        counts = exeat._run_adapter(Users(), [("a",), (None,), ("bad",), ("b",)], sink)
        sink._flush()
        self.assertEqual(counts[:2], (2, 1))
        self.assertEqual([row for row, _ in counts[2]], [2])
        data = "ë!".encode()
        self.assertEqual(sink.chunks, [("a", "text/plain"), data, ("b", "text/plain"), data])
        self.assertEqual(sink.losses, {("groups", "no place"): 2})
        self.assertEqual(sink.side_lines, [("actions", "{}")] * 2)

    def test_what_can_be_exported(self):
        self.assertIs(exeat.export(Shout), Shout)
        with self.assertRaises(TypeError):
            exeat.export(object)
        with self.assertRaises(TypeError):
            exeat.export(type("Nameless", (exeat.Adapter,), {"version": "0.1.0", "summary": "None."}))


def accumulated(lengths):
    total = 0
    yield total
    for length in lengths:
        total += length
        yield total


class Errors(unittest.TestCase):
    def sentence(self, source, rows_seen=True, **values):
        # As if from a file beside app.py, in another folder than exeat.py.
        try:
            exec(compile(source, "/plugin/app.py", "exec"), values)
        except BaseException as error:
            return exeat._sentence(error, "/plugin", rows_seen)
        self.fail("nothing was raised")

    def test_type_text_and_line(self):
        self.assertEqual(self.sentence('\nraise ValueError("boom")'), "ValueError: boom (app.py:2)")
        self.assertEqual(
            self.sentence("None.lower()"), "AttributeError: 'NoneType' object has no attribute 'lower' (app.py:1)"
        )

    def test_the_line_is_the_authors(self):
        self.assertEqual(self.sentence("import json\n\njson.loads('{')"), "JSONDecodeError (app.py:3)")

    def test_a_users_value_is_not_quoted(self):
        for source in ["int(value)", "{}[value]", 'raise ValueError(f"bad {value}")', "[].remove(value)"]:
            self.assertNotIn("anita", self.sentence(source, value="anita@example.com"))

    def test_before_any_row_the_text_is_whole(self):
        self.assertEqual(self.sentence("{}[key]", rows_seen=False, key="nope"), "KeyError: 'nope' (app.py:1)")


if __name__ == "__main__":
    unittest.main()
