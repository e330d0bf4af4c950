/**
 * The Exeat SDK for plugins in JavaScript and TypeScript: columns hidden behind rows.
 *
 * A plugin is a module with one export. A transform exports `transform`:
 *
 * ```ts
 * export const transform = defineTransform<{ column: string }>({ name, version, summary, configSchema,
 *   stateless: true,
 *   open(config, job, plan) {
 *     const quiet = plan.readText(config.column, "/column");
 *     plan.passSelectedExcept([config.column]);
 *     const loud = plan.computeText(config.column);
 *     return (row, out) => {
 *       out.set(loud, row.get(quiet)?.toUpperCase());
 *       return keep;
 *     };
 *   },
 * });
 * ```
 *
 * An adapter exports `adapter`, made by {@link defineAdapter}.
 */

declare const readable: unique symbol;
declare const writable: unique symbol;
declare const component: unique symbol;

/** The type of a column's values. */
export type ColumnType = "boolean" | "int64" | "float64" | "timestamp-us" | "utf8" | "json" | "utf8-list";

/** What {@link Row.get} gives for a column of any type, if the value is not missing. */
export type Value = boolean | number | string | readonly string[];

/** One column that the host offers. */
export interface Field {
  readonly name: string;
  readonly type: ColumnType;
  /** Whether a value may be missing. */
  readonly nullable: boolean;
  /** Part of the export unless the plugin leaves it out; any other is to be had for the asking. */
  readonly selected: boolean;
}

/** A column that the plan reads: {@link Row.get} takes it. */
export interface InputColumn<T extends Value = Value> {
  readonly [readable]: T;
  readonly name: string;
  readonly type: ColumnType;
}

/** A column that the plan computes: {@link Output.set} takes it. */
export interface OutputColumn<T extends boolean | number | string> {
  readonly [writable]: T;
  readonly name: string;
  readonly type: ColumnType;
}

/**
 * What both kinds of plan can do. Each `read` throws a {@link SchemaError} where the column is
 * missing or of another type; with `pointer`, the JSON pointer to the part of the configuration
 * that named the column, it throws a {@link ConfigError} there instead.
 */
export interface Plan {
  /** Every column on offer. */
  readonly input: readonly Field[];
  /** The column of this name, if it is on offer. */
  find(name: string): Field | undefined;
  /** Reads a column of text. */
  readText(name: string, pointer?: string): InputColumn<string>;
  /** Reads a column of JSON, as JSON texts: `JSON.parse` makes values of them, and rounds large numbers. */
  readJson(name: string, pointer?: string): InputColumn<string>;
  /** Reads a column of whole numbers. A row whose number is beyond 2^53 - 1 is rejected as `too_large`. */
  readInt(name: string, pointer?: string): InputColumn<number>;
  /** Reads a column of numbers. */
  readFloat(name: string, pointer?: string): InputColumn<number>;
  /** Reads a column of truth values. */
  readBool(name: string, pointer?: string): InputColumn<boolean>;
  /** Reads a column of timestamps: microseconds since 1970-01-01T00:00:00Z. */
  readTimestamp(name: string, pointer?: string): InputColumn<number>;
  /** Reads a column of lists of text. */
  readList(name: string, pointer?: string): InputColumn<readonly string[]>;
  /** Reads a column, whatever its type. */
  readAny(name: string, pointer?: string): InputColumn;
}

/** What a transform reads and puts out. The order of the calls is the order of the columns. */
export interface TransformPlan extends Plan {
  /** Passes a column on, untouched. It never enters the plugin. */
  pass(name: string, pointer?: string): void;
  /** Passes a column on, untouched, under another name. */
  passAs(name: string, newName: string, pointer?: string): void;
  /** Passes on every selected column but these. */
  passSelectedExcept(names: readonly string[]): void;
  /**
   * Puts out the same value in every row. Without a type, a text makes a column of text, a whole
   * number one of whole numbers, any other number one of numbers, and null one of text.
   */
  constant(name: string, value: boolean | number | string | null, type?: Exclude<ColumnType, "utf8-list">): void;
  /** Puts out a column of text that the row function writes. */
  computeText(name: string): OutputColumn<string>;
  /** Puts out a column of JSON texts. The host refuses what is not JSON. */
  computeJson(name: string): OutputColumn<string>;
  /** Puts out a column of whole numbers, of at most 2^53 - 1. */
  computeInt(name: string): OutputColumn<number>;
  /** Puts out a column of numbers. */
  computeFloat(name: string): OutputColumn<number>;
  /** Puts out a column of truth values. */
  computeBool(name: string): OutputColumn<boolean>;
  /** Puts out a column of timestamps: microseconds since 1970-01-01T00:00:00Z. */
  computeTimestamp(name: string): OutputColumn<number>;
}

/** The row at hand. The same object serves every row: do not keep it. */
export interface Row {
  /** Place in the batch, from 0. */
  readonly index: number;
  /** The value of a column; null where it is missing. */
  get<T extends Value>(column: InputColumn<T>): T | null;
}

/** Where a transform writes. */
export interface Output {
  /**
   * Writes a computed column. Writing it twice in a row keeps the last value; a column that is not
   * written, or written with null or undefined, is missing in that row.
   */
  set<T extends boolean | number | string>(column: OutputColumn<T>, value: NoInfer<T> | null | undefined): void;
}

/** Where an adapter writes. What a row has written stays written, even if the row is then rejected. */
export interface Sink {
  /**
   * Ends the file at hand and begins the next. The name is one segment of ASCII letters, digits,
   * `.`, `_` and `-`, unique in the export.
   */
  beginFile(name: string, mediaType: string): void;
  /** Appends to the file at hand: a text, as UTF-8, or bytes. */
  write(data: string | Uint8Array): void;
  /** Counts a value that the destination cannot hold. */
  loss(field: string, reason: string): void;
  /** Writes an object to the map from old ids to new ones. */
  idMap(entry: object): void;
  /** Writes an object to the list of what must be done after the import. */
  action(entry: object): void;
}

/** What a plugin may know of the job that it works for. */
export interface Job {
  /** Identifier of the job. */
  readonly id: string;
  /** Instant of the snapshot, in microseconds since 1970-01-01T00:00:00Z. The only clock there is. */
  readonly snapshotAtUs: number;
  /**
   * The same for every job of this tenant. The only randomness there is. It has 64 bits, and the
   * engine rounds it to a number: the same on every host, but not what a plugin in Rust is given.
   */
  readonly seed: number;
  /** 32 secret bytes, the tenant's and this plugin's own, the same in every job. */
  readonly pseudonymKey: Uint8Array;
}

/** A row that cannot go out, made by {@link reject}. */
export interface Reject {
  readonly code: string;
  readonly message: string;
  readonly field: string | undefined;
}

/** The row stays in the export. */
export declare const keep: "keep";
/** The row is filtered out, and counted. */
export declare const drop: "drop";
/** The row is in the output, or will be when the adapter has flushed its buffer. */
export declare const written: "written";
/** The row was left out on purpose, and is counted. */
export declare const dropped: "dropped";

/** What becomes of a row that a transform has seen. */
export type Verdict = typeof keep | typeof drop | Reject;
/** What became of a row that an adapter has seen. */
export type Outcome = typeof written | typeof dropped | Reject;

/**
 * Rejects a row: return it, or throw it. The code is short, such as `missing` or `too_long`. The
 * message is a sentence that must not quote the row's values.
 */
export declare function reject(code: string, message: string, field?: string): Reject;

/** The configuration is wrong. Thrown by `open`. */
export declare class ConfigError extends Error {
  /** @param pointer A JSON pointer (RFC 6901) into the configuration, `""` for the whole. */
  constructor(pointer: string, message: string);
  readonly pointer: string;
}

/** A column is missing or has another type. Thrown by `open`. */
export declare class SchemaError extends Error {
  constructor(field: string, message: string);
  readonly field: string;
}

/**
 * A JSON Schema (2020-12) with the keywords that the SDK checks. Any other keyword fails the build:
 * give the schema as a string then, and check the configuration in `open`.
 */
export type ConfigSchema =
  | boolean
  | {
      readonly $schema?: string;
      readonly $id?: string;
      readonly $comment?: string;
      readonly title?: string;
      readonly description?: string;
      readonly examples?: readonly unknown[];
      readonly deprecated?: boolean;
      readonly format?: string;
      /** Filled in where the key is missing. */
      readonly default?: unknown;
      readonly type?: JsonType | readonly JsonType[];
      readonly enum?: readonly unknown[];
      readonly const?: unknown;
      readonly properties?: { readonly [key: string]: ConfigSchema };
      readonly required?: readonly string[];
      readonly additionalProperties?: ConfigSchema;
      readonly items?: ConfigSchema;
      readonly minItems?: number;
      readonly maxItems?: number;
      readonly minLength?: number;
      readonly maxLength?: number;
      readonly pattern?: string;
      readonly minimum?: number;
      readonly maximum?: number;
      readonly exclusiveMinimum?: number;
      readonly exclusiveMaximum?: number;
    };

/** A type of JSON Schema. */
export type JsonType = "string" | "integer" | "number" | "boolean" | "null" | "array" | "object";

/** What both kinds of plugin say of themselves. */
export interface Definition {
  /** Lower-case letters, digits and hyphens, a letter first. */
  readonly name: string;
  /** A semantic version. */
  readonly version: string;
  /** What the plugin does, in a sentence. */
  readonly summary: string;
  /**
   * What the person who asks for the export may set. `open` is given only what fits it, defaults
   * filled in. A schema given as a string is passed on unchecked.
   */
  readonly configSchema: Exclude<ConfigSchema, boolean> | string;
}

/** A transform: changes rows, one at a time. */
export interface TransformDefinition<Config> extends Definition {
  /**
   * True where the result for a batch depends on that batch alone, so that several instances may
   * share a job.
   */
  readonly stateless: boolean;
  /**
   * Declares what is read and what comes out, before any row is seen, and returns the function
   * that computes the output of one row.
   */
  open(config: Config, job: Job, plan: TransformPlan): (row: Row, out: Output) => Verdict;
}

/** An adapter: renders rows in the import format of a destination. */
export interface AdapterDefinition<Config> extends Definition {
  /** Declares what is read, before any row is seen, and returns what renders a job. */
  open(config: Config, job: Job, plan: Plan): AdapterWork;
}

/** An adapter at work on a job. */
export interface AdapterWork {
  /** Writes one row, now or later. */
  row(row: Row, out: Sink): Outcome;
  /** Writes what is left after the last row. */
  finish(out: Sink): void;
}

/** Makes a transform: export it as `transform`. */
export declare function defineTransform<Config = any>(
  definition: TransformDefinition<Config>,
): { readonly [component]: "transform" };

/** Makes an adapter: export it as `adapter`. */
export declare function defineAdapter<Config = any>(
  definition: AdapterDefinition<Config>,
): { readonly [component]: "adapter" };

/** Log levels, least severe first. */
export type Level = "trace" | "debug" | "info" | "warn" | "error";

/** Writes a line for the person who looks after the plugin. Never log a user's values. */
export declare function log(level: Level, message: string): void;

/** Whether anybody will see lines of this level. */
export declare function logEnabled(level: Level): boolean;

/** UTF-8 of a text; a lone surrogate becomes U+FFFD. */
export declare function encodeUtf8(text: string): Uint8Array;

/** The text of UTF-8 bytes. Throws a RangeError where they are none. */
export declare function decodeUtf8(bytes: Uint8Array): string;
