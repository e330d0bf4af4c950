// What a plugin declares when a job opens.

import { ConfigError, SchemaError, plain } from "./errors.js";

/** What each type is called in messages. */
const COLUMN_TYPES = {
  boolean: "true or false",
  int64: "whole numbers",
  float64: "numbers",
  "timestamp-us": "timestamps",
  utf8: "text",
  json: "JSON",
  "utf8-list": "lists of text",
};

/** Whether a column of this type can hold the value. */
const TAKES = {
  boolean: (value) => typeof value === "boolean",
  int64: Number.isSafeInteger,
  float64: (value) => typeof value === "number",
  "timestamp-us": Number.isSafeInteger,
  utf8: (value) => typeof value === "string",
  json: (value) => typeof value === "string",
};

/** What is wrong with a value that `TAKES` refuses. */
export function wrongValue(name, type) {
  if (type === "json") {
    return `the column "${name}" takes JSON as text: use JSON.stringify`;
  }
  const range = type === "int64" || type === "timestamp-us" ? " of at most 2^53 - 1, not BigInt and not fractions" : "";
  return `the column "${name}" takes ${COLUMN_TYPES[type]}${range}`;
}

/** What both kinds of plan can do. */
export class Plan {
  #reads = [];

  constructor(input) {
    const fields = input.map(({ field, selected }) =>
      Object.freeze({ name: field.name, type: field.columnType, nullable: field.nullable, selected }),
    );
    this.input = Object.freeze(fields);
  }

  readText(name, pointer) {
    return this.#read(name, "utf8", pointer);
  }

  readJson(name, pointer) {
    return this.#read(name, "json", pointer);
  }

  readInt(name, pointer) {
    return this.#read(name, "int64", pointer);
  }

  readFloat(name, pointer) {
    return this.#read(name, "float64", pointer);
  }

  readBool(name, pointer) {
    return this.#read(name, "boolean", pointer);
  }

  readTimestamp(name, pointer) {
    return this.#read(name, "timestamp-us", pointer);
  }

  readList(name, pointer) {
    return this.#read(name, "utf8-list", pointer);
  }

  readAny(name, pointer) {
    return this.#read(name, undefined, pointer);
  }

  find(name) {
    return this.input.find((field) => field.name === name);
  }

  /** Indexes of the columns that are read; each column once. */
  static reads(plan) {
    return plan.#reads;
  }

  /** Index of an input column, or the fault of its absence. */
  static position(plan, name, pointer) {
    const position = plan.input.findIndex((field) => field.name === name);
    return position === -1
      ? blame(name, "is not among those that this export can hold", pointer)
      : position;
  }

  #read(name, wanted, pointer) {
    const position = Plan.position(this, name, pointer);
    const { type } = this.input[position];
    if (wanted !== undefined && type !== wanted) {
      blame(name, `holds ${COLUMN_TYPES[type]}, not ${COLUMN_TYPES[wanted]}`, pointer);
    }
    let slot = this.#reads.indexOf(position);
    if (slot === -1) {
      slot = this.#reads.push(position) - 1;
    }
    return Object.freeze({ read: slot, name, type });
  }
}

/** A fault of the schema, or of the part of the configuration that named the column. */
function blame(field, message, pointer) {
  throw pointer === undefined
    ? new SchemaError(field, message)
    : new ConfigError(pointer, `the column "${field}" ${message}`);
}

export class TransformPlan extends Plan {
  #output = [];
  #computed = [];

  pass(name, pointer) {
    this.passAs(name, name, pointer);
  }

  passAs(name, newName, pointer) {
    this.#pass(Plan.position(this, name, pointer), newName);
  }

  passSelectedExcept(names) {
    this.input.forEach((field, position) => {
      if (field.selected && !names.includes(field.name)) {
        this.#pass(position, field.name);
      }
    });
  }

  constant(name, value, type = typeOfConstant(value)) {
    if (!Object.hasOwn(TAKES, type)) {
      throw new TypeError(`a constant cannot have the type ${type}`);
    }
    if (value !== null && !TAKES[type](value)) {
      throw new TypeError(wrongValue(name, type));
    }
    const scalar = value === null ? { tag: "null", val: type } : { tag: type, val: lower(type, value) };
    this.#output.push({ tag: "constant", val: { name: plain(name), value: scalar } });
  }

  computeText(name) {
    return this.#compute(name, "utf8");
  }

  computeJson(name) {
    return this.#compute(name, "json");
  }

  computeInt(name) {
    return this.#compute(name, "int64");
  }

  computeFloat(name) {
    return this.#compute(name, "float64");
  }

  computeBool(name) {
    return this.#compute(name, "boolean");
  }

  computeTimestamp(name) {
    return this.#compute(name, "timestamp-us");
  }

  static output(plan) {
    return plan.#output;
  }

  static computed(plan) {
    return plan.#computed;
  }

  #pass(input, name) {
    this.#output.push({ tag: "pass", val: { input, name: plain(name) } });
  }

  #compute(name, columnType) {
    this.#output.push({ tag: "computed", val: { name: plain(name), columnType, nullable: true } });
    const computed = this.#computed.length;
    const column = Object.freeze({ computed, name, type: columnType, takes: TAKES[columnType] });
    this.#computed.push(column);
    return column;
  }
}

function typeOfConstant(value) {
  switch (typeof value) {
    case "boolean":
      return "boolean";
    case "number":
      return Number.isInteger(value) ? "int64" : "float64";
    default:
      return "utf8";
  }
}

function lower(type, value) {
  return type === "utf8" || type === "json" ? plain(value) : value;
}
