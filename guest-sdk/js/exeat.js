// The Exeat SDK for plugins in JavaScript and TypeScript: columns hidden behind rows.
//
// A plugin is a module that exports `transform` (made by `defineTransform`) or `adapter` (made by
// `defineAdapter`). exeat.d.ts documents every call; README.md is the tutorial.

import host from "exeat:plugin/log@0.1.0";
import { forbidClockAndRandomness } from "./clock.js";
import { checkSchema, configOf } from "./config.js";
import { Reject, faultOf, plain } from "./errors.js";
import { Plan, TransformPlan } from "./plan.js";
import { Output, Row } from "./rows.js";
import { Sink } from "./sink.js";

export { ConfigError, SchemaError, reject } from "./errors.js";
export { decodeUtf8, encodeUtf8 } from "./utf8.js";

if (globalThis.wit !== undefined) {
  forbidClockAndRandomness(globalThis);
}

export const keep = "keep";
export const drop = "drop";
export const written = "written";
export const dropped = "dropped";

/** The parts of a definition that both kinds share, checked when the plugin is built. */
function descriptionOf({ name, version, summary, configSchema, open }) {
  for (const [key, value] of Object.entries({ name, version, summary })) {
    if (typeof value !== "string") {
      throw new TypeError(`the definition of a plugin needs its ${key}, a text`);
    }
  }
  if (typeof open !== "function") {
    throw new TypeError("the definition of a plugin needs the function open");
  }
  if (typeof configSchema !== "string") {
    checkSchema(configSchema, "");
  }
  const schema = typeof configSchema === "string" ? configSchema : JSON.stringify(configSchema);
  return { name: plain(name), version: plain(version), summary: plain(summary), configSchema: plain(schema) };
}

function jobOf({ jobId, snapshotAtUs, seed, pseudonymKey }) {
  return Object.freeze({ id: jobId, snapshotAtUs, seed, pseudonymKey });
}

/** Runs `work`, and throws what the contract is thrown. */
function guarded(work, row) {
  try {
    return work();
  } catch (error) {
    throw faultOf(error, row?.index);
  }
}

function opened(run) {
  if (run === undefined) {
    throw new Error("the host called before it opened a job");
  }
  return run;
}

/** A thrown reject is the row's; anything else that is thrown ends the job. */
function rejectOf(thrown) {
  if (thrown instanceof Reject) {
    return thrown;
  }
  throw thrown;
}

function rejectAt(row, { code, message, field }) {
  const blamed = field === undefined || field === null ? null : plain(field);
  return { row, field: blamed, code: plain(code), message: plain(message) };
}

/** Makes a transform: export it as `transform`. */
export function defineTransform(definition) {
  const description = descriptionOf(definition);
  if (typeof definition.stateless !== "boolean") {
    throw new TypeError("the definition of a transform needs stateless, true or false");
  }
  let run;
  return {
    describe: () => description,
    open: (job, input, config) =>
      guarded(() => {
        const plan = new TransformPlan(input);
        const onRow = definition.open(configOf(definition.configSchema, config), jobOf(job), plan);
        if (typeof onRow !== "function") {
          throw new TypeError("open of a transform returns a function of a row");
        }
        run = { onRow, computed: TransformPlan.computed(plan), ...readsOf(plan) };
        return { reads: run.reads, output: TransformPlan.output(plan), stateless: definition.stateless };
      }),
    process: (batch) => {
      const row = guarded(() => new Row(opened(run).planned, batch.columns));
      return guarded(() => transformBatch(run, row, batch.rows), row);
    },
  };
}

function readsOf(plan) {
  const reads = Plan.reads(plan);
  return { reads, planned: reads.map((position) => plan.input[position]) };
}

function transformBatch({ onRow, computed }, row, rows) {
  const out = new Output(row, computed, rows);
  const rejects = [];
  let stays = null;
  for (let index = 0; index < rows; index += 1) {
    row.index = index;
    let verdict;
    try {
      verdict = onRow(row, out);
    } catch (thrown) {
      verdict = rejectOf(thrown);
    }
    if (verdict === keep) {
      continue;
    }
    if (verdict instanceof Reject) {
      Output.abandonRow(out);
      rejects.push(rejectAt(index, verdict));
    } else if (verdict !== drop) {
      throw new TypeError("the row function returned neither keep, drop nor a reject");
    }
    stays ??= new Uint8Array(Math.ceil(rows / 8)).fill(0xff);
    stays[index >> 3] &= ~(1 << (index & 7));
  }
  return { columns: Output.columns(out, computed), keep: stays, rejects };
}

/** Makes an adapter: export it as `adapter`. */
export function defineAdapter(definition) {
  const description = descriptionOf(definition);
  let run;
  return {
    describe: () => description,
    open: (job, input, config) =>
      guarded(() => {
        const plan = new Plan(input);
        const work = definition.open(configOf(definition.configSchema, config), jobOf(job), plan);
        if (typeof work?.row !== "function" || typeof work.finish !== "function") {
          throw new TypeError("open of an adapter returns an object with the functions row and finish");
        }
        run = { work, ...readsOf(plan) };
        return { reads: run.reads };
      }),
    process: (batch) => {
      const row = guarded(() => new Row(opened(run).planned, batch.columns));
      return guarded(() => adaptBatch(run.work, row, batch.rows), row);
    },
    finish: () =>
      guarded(() => {
        const out = new Sink();
        opened(run).work.finish(out);
        return Sink.encoded(out, { written: 0, dropped: 0, rejects: [] });
      }),
  };
}

function adaptBatch(work, row, rows) {
  const out = new Sink();
  const counts = { written: 0, dropped: 0, rejects: [] };
  for (let index = 0; index < rows; index += 1) {
    row.index = index;
    let outcome;
    try {
      outcome = work.row(row, out);
    } catch (thrown) {
      outcome = rejectOf(thrown);
    }
    if (outcome === written) {
      counts.written += 1;
    } else if (outcome === dropped) {
      counts.dropped += 1;
    } else if (outcome instanceof Reject) {
      counts.rejects.push(rejectAt(index, outcome));
    } else {
      throw new TypeError("row returned neither written, dropped nor a reject");
    }
  }
  return Sink.encoded(out, counts);
}

/** Writes a line. */
export function log(level, message) {
  host.write(level, plain(message));
}

/** Whether anybody will see lines of this level. */
export function logEnabled(level) {
  return host.enabled(level);
}
