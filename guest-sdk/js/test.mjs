// The SDK under Node: `node --test guest-sdk/js/test.mjs`. What the engine alone can show, the
// golden cases of the templates show.

import assert from "node:assert/strict";
import { register } from "node:module";
import { test } from "node:test";

// The contract's log, which only a component has: lines go to `globalThis.lines`.
const log = "export default { enabled: (level) => level !== 'debug', write: (...line) => globalThis.lines.push(line) };";
const loader = `export const resolve = (name, context, next) => name === "exeat:plugin/log@0.1.0"
  ? { url: "data:text/javascript,${encodeURIComponent(log)}", shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(loader)}`);
globalThis.lines = [];

// The engine moves bytes by base64, natively; Node 20 does not have that. Both ways are tested.
const portable = await import("./utf8.js");
Uint8Array.prototype.toBase64 = function () {
  return Buffer.from(this.buffer, this.byteOffset, this.length).toString("base64");
};
Uint8Array.fromBase64 = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
const native = await import("./utf8.js?native");
const { ConfigError, defineAdapter, defineTransform, drop, dropped, keep, log: writeLine, logEnabled, reject, written } =
  await import("./exeat.js");
const { forbidClockAndRandomness } = await import("./clock.js");

/** Numbers below a limit, the same in every run (xorshift). */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

/** A text of UTF-16 code units: ASCII, others, pairs and lone surrogates. */
function randomText(random, longest) {
  const ranges = [[0x00, 0x80], [0x00, 0x80], [0x80, 0x780], [0x800, 0xd000], [0xd800, 0x800], [0x10000, 0x100000]];
  const [simple, span] = [random(3) === 0, random(longest)];
  return Array.from({ length: span }, () => {
    const [from, size] = ranges[simple ? 0 : random(ranges.length)];
    return String.fromCodePoint(from + random(size));
  }).join("");
}

for (const [way, utf8] of Object.entries({ portable, native })) {
  test(`UTF-8 is what Node makes of it (${way})`, () => {
    const random = numbers(7);
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder("utf-8", { ignoreBOM: true })];
    for (let round = 0; round < 2000; round += 1) {
      const text = randomText(random, round % 100 === 0 ? 30_000 : 60);
      const bytes = utf8.encodeUtf8(text);
      assert.deepEqual(bytes, encoder.encode(text));
      const from = random(5);
      const lent = new Uint8Array(from + bytes.length);
      lent.set(bytes, from);
      assert.equal(utf8.decodeUtf8(lent.subarray(from)), decoder.decode(bytes));
    }
  });

  test(`bytes that are not UTF-8 are refused (${way})`, () => {
    for (const bytes of [[0xc3], [0xc3, 0x28], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80]]) {
      assert.throws(() => utf8.decodeUtf8(new Uint8Array(bytes)), RangeError);
    }
  });
}

const job = { jobId: "exp_test", snapshotAtUs: 1, seed: 7, pseudonymKey: new Uint8Array(32) };
const offered = (columns) =>
  Object.entries(columns).map(([name, columnType]) => ({ field: { name, columnType, nullable: true }, selected: true }));

/** A column of text as the host lends it. */
function texts(values) {
  const validity = new Uint8Array(Math.ceil(values.length / 8));
  const offsets = [0];
  values.forEach((value, index) => {
    if (value !== null) validity[index >> 3] |= 1 << (index & 7);
    offsets.push(offsets.at(-1) + Buffer.byteLength(value ?? ""));
  });
  const val = { offsets, bytes: new Uint8Array(Buffer.from(values.join(""))) };
  return { validity: values.includes(null) ? validity : null, values: { tag: "utf8", val } };
}

/** The texts of a column as a plugin returns it. */
function textsOf({ validity, values }) {
  const { offsets, bytes } = values.val;
  return offsets.slice(1).map((end, index) => {
    const isThere = validity === null || (validity[index >> 3] >> (index & 7)) & 1;
    return isThere ? Buffer.from(bytes.subarray(offsets[index], end)).toString() : null;
  });
}

const described = { name: "shout", version: "0.1.0", summary: "Shouts.", configSchema: { type: "object" } };

/** A transform of the columns `user_id` and `name`. */
const shout = (onRow, more = {}) =>
  defineTransform({
    ...described,
    ...more,
    stateless: true,
    open(config, given, plan) {
      const name = plan.readText("name");
      plan.passSelectedExcept(["name"]);
      const loud = plan.computeText("name");
      return (row, out) => onRow(row.get(name), (value) => out.set(loud, value), row);
    },
  });

/** What a call throws. */
function thrown(work) {
  try {
    work();
  } catch (fault) {
    return fault;
  }
  return undefined;
}

test("text comes back as it went in, whatever surrounds it", () => {
  const random = numbers(11);
  for (let round = 0; round < 200; round += 1) {
    const rows = Array.from({ length: random(40) }, () =>
      random(4) === 0 ? null : randomText(random, 12).toWellFormed());
    const transform = shout((name, write) => {
      write(name);
      return keep;
    });
    assert.deepEqual(transform.open(job, offered({ user_id: "utf8", name: "utf8" }), ""), {
      reads: [1],
      output: [
        { tag: "pass", val: { input: 0, name: "user_id" } },
        { tag: "computed", val: { name: "name", columnType: "utf8", nullable: true } },
      ],
      stateless: true,
    });
    const output = transform.process({ sequence: 0, rows: rows.length, columns: [texts(rows)] });
    assert.deepEqual(textsOf(output.columns[0]), rows);
    assert.equal(output.keep, null);
  }
});

test("neighbours do not make a pair of two lone surrogates", () => {
  const halves = ["\ud83d", "\ude42"];
  const transform = shout((name, write, row) => {
    write(halves[row.index]);
    return keep;
  });
  transform.open(job, offered({ name: "utf8" }), "");
  const output = transform.process({ sequence: 0, rows: 2, columns: [texts(["", ""])] });
  assert.deepEqual(textsOf(output.columns[0]), ["\ufffd", "\ufffd"]);
});

test("every row has one fate, and a rejected one leaves nothing", () => {
  const transform = shout((name, write) => {
    write(name);
    if (name === "thrown") throw reject("thrown", "lone \ud800", "name");
    return name === "returned" ? reject("returned", "m") : name === "dropped" ? drop : keep;
  });
  transform.open(job, offered({ name: "utf8" }), "");
  const rows = ["a", "thrown", "dropped", "returned", "b", "c", "d", "e", "thrown"];
  const output = transform.process({ sequence: 0, rows: rows.length, columns: [texts(rows)] });
  assert.deepEqual(output.rejects, [
    { row: 1, field: "name", code: "thrown", message: "lone \ufffd" },
    { row: 3, field: null, code: "returned", message: "m" },
    { row: 8, field: "name", code: "thrown", message: "lone \ufffd" },
  ]);
  assert.deepEqual([...output.keep], [0b11110001, 0b11111110]);
  assert.deepEqual(textsOf(output.columns[0]), ["a", null, "dropped", null, "b", "c", "d", "e", null]);
});

test("what goes wrong is a fault that says where and quotes no data", () => {
  const fault = (onRow) => {
    const transform = shout(onRow);
    transform.open(job, offered({ name: "utf8" }), "");
    return thrown(() => transform.process({ sequence: 0, rows: 1, columns: [texts(["secret"])] }));
  };
  const boom = fault(() => {
    throw new RangeError("boom");
  });
  assert.equal(boom.tag, "internal");
  assert.match(boom.val, /^RangeError: boom \(row 0 of the batch, at /);
  assert.ok(!fault((name) => JSON.parse(name)).val.includes("secret"));
  assert.match(fault(() => undefined).val, /neither keep, drop nor a reject/);
  assert.match(fault((name, write) => write(1)).val, /the column "name" takes text/);
  assert.match(fault((name, write, row) => row.get(undefined)).val, /takes a column that the plan reads/);
  assert.match(thrown(() => shout(() => keep).process({ rows: 0, columns: [] })).val, /before it opened a job/);
});

test("a column that is not there blames the schema, or the configuration that named it", () => {
  const open = (pointer) => {
    const definition = { ...described, stateless: true, open: (config, given, plan) => plan.readText("logins", pointer) };
    return thrown(() => defineTransform(definition).open(job, offered({ logins: "int64" }), "{}"));
  };
  const message = "holds whole numbers, not text";
  assert.deepEqual(open(), { tag: "unsupported-schema", val: { field: "logins", message } });
  assert.deepEqual(open("/column"), {
    tag: "invalid-config",
    val: { pointer: "/column", message: `the column "logins" ${message}` },
  });
});

test("whole numbers that the engine has rounded are rejected", () => {
  const transform = defineTransform({
    ...described,
    stateless: true,
    open(config, given, plan) {
      const logins = plan.readInt("logins");
      return (row) => (row.get(logins) === null ? drop : keep);
    },
  });
  transform.open(job, offered({ logins: "int64" }), "");
  const values = { tag: "int64", val: [2 ** 53 - 1, 2 ** 53, 0] };
  const output = transform.process({ rows: 3, columns: [{ validity: new Uint8Array([0b011]), values }] });
  assert.deepEqual(output.rejects.map(({ row, field, code }) => [row, field, code]), [[1, "logins", "too_large"]]);
  assert.deepEqual([...output.keep], [0b11111001]);
});

test("a configuration is checked against the schema, and defaults are filled in", () => {
  const configSchema = {
    type: "object",
    properties: {
      "a/b~": { type: "string", minLength: 2, maxLength: 3, pattern: "^x" },
      count: { type: "integer", minimum: 1, maximum: 9, default: 5 },
      list: { type: "array", items: { enum: ["x", "y"] }, maxItems: 2, default: [] },
      inner: { type: "object", properties: { deep: { type: ["number", "null"], default: null } }, default: {} },
    },
    required: ["a/b~"],
    additionalProperties: false,
  };
  let seen;
  const transform = defineTransform({
    ...described,
    configSchema,
    stateless: true,
    open(config) {
      seen = config;
      return () => keep;
    },
  });
  transform.open(job, [], '{"a/b~": "x\u{1f642}"}');
  assert.deepEqual(seen, { "a/b~": "x\u{1f642}", count: 5, list: [], inner: { deep: null } });
  const wrong = {
    "{": "", "[]": "", "{}": "", '{"a/b~": "x"}': "/a~1b~0", '{"a/b~": "xxxx"}': "/a~1b~0", '{"a/b~": "yy"}': "/a~1b~0",
    '{"a/b~": "xx", "count": 0}': "/count", '{"a/b~": "xx", "count": 1.5}': "/count", '{"a/b~": "xx", "count": "1"}': "/count",
    '{"a/b~": "xx", "list": ["x", "z"]}': "/list/1", '{"a/b~": "xx", "list": ["x", "x", "x"]}': "/list",
    '{"a/b~": "xx", "inner": {"deep": true}}': "/inner/deep", '{"a/b~": "xx", "toString": 1}': "/toString",
    '{"a/b~": "xx", "__proto__": 1}': "/__proto__",
  };
  for (const [config, pointer] of Object.entries(wrong)) {
    const fault = thrown(() => transform.open(job, [], config));
    assert.equal(fault?.tag, "invalid-config", config);
    assert.equal(fault.val.pointer, pointer, config);
  }
});

test("a definition that cannot be is refused when the plugin is built", () => {
  const open = () => () => keep;
  const wrong = { stateless: undefined, name: 1, open: 1, configSchema: { properties: { a: { oneOf: [] } } } };
  for (const [key, value] of Object.entries(wrong)) {
    assert.throws(() => defineTransform({ ...described, stateless: true, open, [key]: value }), TypeError, key);
  }
});

test("an adapter writes files, losses and lines", () => {
  const adapter = defineAdapter({
    ...described,
    open(config, given, plan) {
      const name = plan.readText("name");
      return {
        row(row, out) {
          if (row.index === 0) out.beginFile("a.txt", "text/plain");
          if (row.get(name) === null) return dropped;
          if (row.get(name) === "") throw reject("empty", "m", "name");
          out.write(row.get(name));
          out.write(new Uint8Array([row.index]));
          out.loss("name", "too loud");
          out.idMap({ old: 1, line: "\n" });
          return written;
        },
        finish(out) {
          out.write("end \ud800");
          out.action({ invite: true });
        },
      };
    },
  });
  assert.deepEqual(adapter.open(job, offered({ name: "utf8" }), ""), { reads: [0] });
  const bytes = (text) => ({ tag: "bytes", val: new TextEncoder().encode(text) });
  const line = (file, text) => ({ file, line: text });
  assert.deepEqual(adapter.process({ rows: 4, columns: [texts(["ä", null, "b", ""])] }), {
    chunks: [
      { tag: "begin-file", val: { name: "a.txt", mediaType: "text/plain" } },
      bytes("ä"), bytes("\u0000"), bytes("b"), bytes("\u0002"),
    ],
    losses: [{ field: "name", reason: "too loud", rows: 2 }],
    sideLines: [line("id-map", '{"old":1,"line":"\\n"}'), line("id-map", '{"old":1,"line":"\\n"}')],
    written: 2,
    dropped: 1,
    rejects: [{ row: 3, field: "name", code: "empty", message: "m" }],
  });
  assert.deepEqual(adapter.finish(), {
    chunks: [bytes("end \ufffd")],
    losses: [],
    sideLines: [line("actions", '{"invite":true}')],
    written: 0,
    dropped: 0,
    rejects: [],
  });
});

test("clocks and randomness say what to use instead; dates still work", () => {
  const scope = { Date, Math: {} };
  forbidClockAndRandomness(scope);
  for (const clock of [() => scope.Date.now(), () => new scope.Date(), () => scope.Date(), () => scope.performance.now()]) {
    assert.throws(clock, /snapshotAtUs/);
  }
  assert.throws(() => scope.Math.random(), /job\.seed/);
  assert.equal(new scope.Date(5).toISOString(), "1970-01-01T00:00:00.005Z");
  assert.ok(new scope.Date(5) instanceof scope.Date);
  assert.equal(scope.Date.UTC(1970, 0, 1), 0);
});

test("lines of the log are well formed", () => {
  writeLine("info", "half \ud800");
  assert.deepEqual(globalThis.lines, [["info", "half \ufffd"]]);
  assert.deepEqual([logEnabled("info"), logEnabled("debug")], [true, false]);
});

test("errors of a plugin's own keep their pointer", () => {
  const transform = defineTransform({
    ...described,
    stateless: true,
    open() {
      throw new ConfigError("/max_chars", "a text has at least one character");
    },
  });
  const val = { pointer: "/max_chars", message: "a text has at least one character" };
  assert.deepEqual(thrown(() => transform.open(job, [], "{}")), { tag: "invalid-config", val });
});
