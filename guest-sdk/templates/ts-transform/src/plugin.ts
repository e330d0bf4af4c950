// Turns a column of text to upper case.

import { defineTransform, drop, keep, reject } from "../.exeat/js/exeat.js";

/** What the person who asks for the export may set: what `configSchema` lets through. */
interface Config {
  column: string;
  max_chars: number;
}

export const transform = defineTransform<Config>({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Turns a column of text to upper case.",
  configSchema: {
    type: "object",
    properties: {
      column: { type: "string", description: "Column to shout." },
      max_chars: {
        type: "integer",
        minimum: 1,
        default: 255,
        description: "Longest text that the destination takes, in characters.",
      },
    },
    required: ["column"],
    additionalProperties: false,
  },
  // The result for a batch depends on that batch alone.
  stateless: true,

  // Runs once, before any row: declares what is read and what comes out.
  open(config, _job, plan) {
    const quiet = plan.readText(config.column, "/column");
    plan.passSelectedExcept([config.column]);
    const loud = plan.computeText(config.column);

    // Runs for every row.
    return (row, out) => {
      const text = row.get(quiet);
      if (text === null) {
        return drop;
      }
      if (isLonger(text, config.max_chars)) {
        return reject("too_long", "the text is too long for the destination", config.column);
      }
      out.set(loud, text.toUpperCase());
      return keep;
    };
  },
});

/** Whether a text has more characters than that. `length` counts one beyond U+FFFF twice. */
function isLonger(text: string, characters: number): boolean {
  return text.length > characters && Array.from(text).length > characters;
}
