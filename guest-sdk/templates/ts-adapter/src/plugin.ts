// Renders users as one JSON array, one user a line.

import { defineAdapter, dropped, reject, type Sink, written } from "../.exeat/js/exeat.js";

/** What the person who asks for the export may set: what `configSchema` lets through. */
interface Config {
  file: string;
}

export const adapter = defineAdapter<Config>({
  name: "{{name}}",
  version: "0.1.0",
  summary: "Renders users as one JSON array.",
  configSchema: {
    type: "object",
    properties: {
      file: { type: "string", default: "users.json", description: "Name of the file." },
    },
    additionalProperties: false,
  },

  // Runs once, before any row: declares what is read.
  open(config, _job, plan) {
    const userId = plan.readText("user_id");
    const email = plan.readText("email");
    const state = plan.readText("state");
    let begun = false;

    const begin = (out: Sink) => {
      out.beginFile(config.file, "application/json");
      out.write("[\n");
      begun = true;
    };

    return {
      // Runs for every row.
      row(row, out) {
        if (row.get(state) === "deleted") {
          return dropped;
        }
        const address = row.get(email);
        if (address === null) {
          return reject("missing", "the destination requires an e-mail address", "email");
        }
        if (begun) {
          out.write(",\n");
        } else {
          begin(out);
        }
        out.write(JSON.stringify({ id: row.get(userId), email: address }));
        return written;
      },

      // Runs once, after the last row.
      finish(out) {
        if (begun) {
          out.write("\n");
        } else {
          begin(out);
        }
        out.write("]\n");
      },
    };
  },
});
