// Per-row code over columns in Arrow layout: the row that is read, and the columns that are written.

import { Reject } from "./errors.js";
import { wrongValue } from "./plan.js";
import { asciiBytesOf, binaryOf, bytesOf, isAscii, textOfBinary, utf8BinaryOf } from "./utf8.js";

/**
 * A function from an index to the text there. The column is decoded when the first text is asked
 * for; one of ASCII then costs a slice a row.
 */
function textReader({ offsets, bytes }) {
  let binary;
  let ascii;
  return (index) => {
    if (binary === undefined) {
      binary = binaryOf(bytes);
      ascii = isAscii(bytes);
    }
    const piece = binary.slice(offsets[index], offsets[index + 1]);
    return ascii ? piece : textOfBinary(piece);
  };
}

function listReader({ offsets, values }) {
  const textAt = textReader(values);
  return (index) => {
    const texts = [];
    for (let item = offsets[index]; item < offsets[index + 1]; item += 1) {
      texts.push(textAt(item));
    }
    return texts;
  };
}

/** The contract's 64 bits arrive as a double: a number that may have been rounded is no value. */
function intReader(values, field) {
  return (index) => {
    const value = values[index];
    if (!Number.isSafeInteger(value)) {
      throw new Reject("too_large", "the whole number is larger than a JavaScript plugin can hold exactly", field);
    }
    return value;
  };
}

/** A function from a row's index to its value, if the value is not missing. */
function valueReader(field, { tag, val }) {
  switch (tag) {
    case "boolean":
      return (index) => bit(val, index);
    case "int64":
    case "timestamp-us":
      return intReader(val, field);
    case "float64":
      return (index) => val[index];
    case "utf8-list":
      return listReader(val);
    default:
      return textReader(val);
  }
}

function bit(bitmap, index) {
  return ((bitmap[index >> 3] >> (index & 7)) & 1) === 1;
}

/** A function from a row's index to its value, null where it is missing. */
function reader(field, { validity, values }) {
  const read = valueReader(field, values);
  // The contract's `none` is null.
  return validity === null ? read : (index) => (bit(validity, index) ? read(index) : null);
}

/** The row at hand: `index` moves on from row to row. */
export class Row {
  #readers;

  constructor(planned, columns) {
    this.index = 0;
    this.#readers = columns.map((column, slot) => reader(planned[slot].name, column));
  }

  get(column) {
    const read = this.#readers[column?.read];
    if (read === undefined) {
      throw new TypeError("row.get takes a column that the plan reads");
    }
    return read(this.index);
  }
}

/** The computed columns of the batch at hand. */
export class Output {
  #row;
  #values;

  constructor(row, computed, rows) {
    this.#row = row;
    this.#values = computed.map(() => new Array(rows).fill(null));
  }

  set(column, value) {
    const values = this.#values[column?.computed];
    if (values === undefined) {
      throw new TypeError("out.set takes a column that the plan computes");
    }
    if (value === null || value === undefined) {
      values[this.#row.index] = null;
    } else if (column.takes(value)) {
      values[this.#row.index] = value;
    } else {
      throw new TypeError(wrongValue(column.name, column.type));
    }
  }

  /** Takes back what the row at hand has written. */
  static abandonRow(output) {
    for (const values of output.#values) {
      values[output.#row.index] = null;
    }
  }

  static columns(output, computed) {
    return computed.map(({ type }, slot) => columnOf(type, output.#values[slot]));
  }
}

function columnOf(type, values) {
  let val;
  if (type === "utf8" || type === "json") {
    val = utf8Values(values);
  } else if (type === "boolean") {
    val = bitmapOf(values, (value) => value === true);
  } else {
    val = values.map((value) => value ?? 0);
  }
  const validity = values.includes(null) ? bitmapOf(values, (value) => value !== null) : null;
  return { validity, values: { tag: type, val } };
}

function bitmapOf(values, isSet) {
  const bitmap = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((value, index) => {
    if (isSet(value)) {
      bitmap[index >> 3] |= 1 << (index & 7);
    }
  });
  return bitmap;
}

function utf8Values(texts) {
  // `join` takes null for an empty text.
  const bytes = asciiBytesOf(texts.join(""));
  if (bytes !== undefined) {
    return { offsets: offsetsOf(texts), bytes };
  }
  const pieces = texts.map((text) => (text === null ? null : utf8BinaryOf(text)));
  return { offsets: offsetsOf(pieces), bytes: bytesOf(pieces.join("")) };
}

function offsetsOf(pieces) {
  const offsets = [0];
  let end = 0;
  for (const piece of pieces) {
    end += piece === null ? 0 : piece.length;
    offsets.push(end);
  }
  return offsets;
}
