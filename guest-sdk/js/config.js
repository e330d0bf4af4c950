// Configuration: checked against the plugin's own JSON Schema, defaults filled in.

import { ConfigError } from "./errors.js";

const ANNOTATIONS = [
  "$schema", "$id", "$comment", "title", "description", "examples", "deprecated", "default", "format",
];
const CHECKED = [
  "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems",
  "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
];

/** Whether a value is what JSON calls an object. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const TYPES = {
  string: (value) => typeof value === "string",
  integer: (value) => Number.isSafeInteger(value),
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
  array: (value) => Array.isArray(value),
  object: isObject,
};

const TYPE_NAMES = {
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  null: "null",
  array: "a list",
  object: "an object",
};

/** Refuses, when the plugin is built, a schema that `checkValue` would not check in full. */
export function checkSchema(schema, at) {
  if (typeof schema === "boolean") {
    return;
  }
  if (!isObject(schema)) {
    throw new TypeError(`configSchema${at} must be a JSON Schema`);
  }
  for (const keyword of Object.keys(schema)) {
    if (!CHECKED.includes(keyword) && !ANNOTATIONS.includes(keyword)) {
      throw new TypeError(
        `configSchema${at}/${keyword}: this keyword is not checked; give the schema as a string and check in open`,
      );
    }
  }
  for (const type of [schema.type ?? []].flat()) {
    if (!Object.hasOwn(TYPES, type)) {
      throw new TypeError(`configSchema${at}/type names no JSON type`);
    }
  }
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    checkSchema(member, `${at}/properties/${name}`);
  }
  checkSchema(schema.items ?? true, `${at}/items`);
  checkSchema(schema.additionalProperties ?? true, `${at}/additionalProperties`);
}

function pointerTo(pointer, key) {
  return `${pointer}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function sameJson(a, b) {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return a === b;
  }
  const keys = Object.keys(a);
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]))
  );
}

/** Throws what is wrong with a value, and fills in the defaults of its members. */
function checkValue(schema, value, pointer) {
  const refuse = (message) => {
    throw new ConfigError(pointer, message);
  };
  if (typeof schema === "boolean") {
    return schema ? undefined : refuse("is not expected here");
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => TYPES[type](value))) {
    refuse(`must be ${types.map((type) => TYPE_NAMES[type]).join(" or ")}`);
  }
  if (schema.enum !== undefined && !schema.enum.some((member) => sameJson(member, value))) {
    refuse(`must be one of ${schema.enum.map((member) => JSON.stringify(member)).join(", ")}`);
  }
  if (schema.const !== undefined && !sameJson(schema.const, value)) {
    refuse(`must be ${JSON.stringify(schema.const)}`);
  }
  if (TYPES.number(value)) {
    checkNumber(schema, value, refuse);
  } else if (TYPES.string(value)) {
    checkText(schema, value, refuse);
  } else if (TYPES.array(value)) {
    checkLength(schema.minItems, schema.maxItems, value.length, "items", refuse);
    value.forEach((item, index) => checkValue(schema.items ?? true, item, pointerTo(pointer, index)));
  } else if (isObject(value)) {
    checkObject(schema, value, pointer);
  }
}

function checkNumber(schema, value, refuse) {
  if (value < schema.minimum) {
    refuse(`must be at least ${schema.minimum}`);
  }
  if (value > schema.maximum) {
    refuse(`must be at most ${schema.maximum}`);
  }
  if (value <= schema.exclusiveMinimum) {
    refuse(`must be more than ${schema.exclusiveMinimum}`);
  }
  if (value >= schema.exclusiveMaximum) {
    refuse(`must be less than ${schema.exclusiveMaximum}`);
  }
}

function checkText(schema, value, refuse) {
  checkLength(schema.minLength, schema.maxLength, Array.from(value).length, "characters", refuse);
  if (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)) {
    refuse(`must match ${schema.pattern}`);
  }
}

function checkLength(least, most, length, unit, refuse) {
  if (length < least) {
    refuse(`must have at least ${least} ${unit}`);
  }
  if (length > most) {
    refuse(`must have at most ${most} ${unit}`);
  }
}

function checkObject(schema, value, pointer) {
  const properties = schema.properties ?? {};
  for (const [key, member] of Object.entries(value)) {
    const known = Object.hasOwn(properties, key);
    if (!known && schema.additionalProperties === false) {
      throw new ConfigError(pointerTo(pointer, key), "is not a key of this configuration");
    }
    checkValue(known ? properties[key] : (schema.additionalProperties ?? true), member, pointerTo(pointer, key));
  }
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) {
      throw new ConfigError(pointer, `the key ${JSON.stringify(key)} is missing`);
    }
  }
  for (const [key, member] of Object.entries(properties)) {
    if (!Object.hasOwn(value, key) && member.default !== undefined) {
      value[key] = JSON.parse(JSON.stringify(member.default));
      checkValue(member, value[key], pointerTo(pointer, key));
    }
  }
}

/** The configuration as a value. An empty text is an empty object. */
export function configOf(schema, text) {
  let config;
  try {
    config = JSON.parse(text.trim() === "" ? "{}" : text);
  } catch {
    throw new ConfigError("", "is not JSON");
  }
  if (typeof schema !== "string") {
    checkValue(schema, config, "");
  }
  return config;
}
