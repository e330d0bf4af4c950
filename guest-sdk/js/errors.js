// Saying no: to a job, and to a row.

/** How many calls of a stack a fault quotes. */
const PLACES = 3;

/** The configuration is wrong at a JSON pointer (RFC 6901). */
export class ConfigError extends Error {
  name = "ConfigError";
  constructor(pointer, message) {
    super(message);
    this.pointer = pointer;
  }
}

/** A column is missing or has another type. */
export class SchemaError extends Error {
  name = "SchemaError";
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

/** A row that cannot go out, and why. */
export class Reject {
  constructor(code, message, field) {
    this.code = code;
    this.message = message;
    this.field = field;
  }
}

/** Rejects a row: return it, or throw it. */
export function reject(code, message, field) {
  return new Reject(code, message, field);
}

/** A string as the contract takes it: a lone surrogate would trap. */
export function plain(value) {
  return String(value).toWellFormed();
}

/** What the contract is thrown. `row` is the row at work, if any. */
export function faultOf(error, row) {
  if (error instanceof ConfigError) {
    return { tag: "invalid-config", val: { pointer: plain(error.pointer), message: plain(error.message) } };
  }
  if (error instanceof SchemaError) {
    return { tag: "unsupported-schema", val: { field: plain(error.field), message: plain(error.message) } };
  }
  const where = [row === undefined ? "" : `row ${row} of the batch`, placeOf(error)].filter(Boolean);
  const text = textOf(error) + (where.length === 0 ? "" : ` (${where.join(", ")})`);
  return { tag: "internal", val: plain(text) };
}

function textOf(error) {
  if (error instanceof Reject) {
    return "a reject outside of a row";
  }
  if (error instanceof SyntaxError) {
    // `JSON.parse` quotes the text that it was given, which may be a user's.
    return "SyntaxError: its message may quote data and is left out";
  }
  if (error instanceof Error) {
    return `${error.name}: ${error.message}`;
  }
  return typeof error === "string" ? error : "a value was thrown that is no Error";
}

/** The innermost places in the plugin's own code: function, file, line and column. */
function placeOf(error) {
  const stack = error instanceof Error ? String(error.stack) : "";
  const places = stack.match(/^ *at .*\.[cm]?js:\d+:\d+\)?$/gm) ?? [];
  return places.slice(0, PLACES).map((place) => place.trim()).join(", ");
}
