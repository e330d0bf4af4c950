// The npm package auth0, unmodified: asks for an export, polls it, downloads its file.
// Usage: node auth0.mjs DOMAIN TOKEN CONNECTION_ID
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { ManagementClient } from "auth0";

const [domain, token, connection] = process.argv.slice(2);
const client = new ManagementClient({ domain, token });

async function exported(request) {
  const created = await client.jobs.usersExports.create(request);
  assert.equal(created.type, "users_export");
  assert.equal(created.status, "pending");
  for (let polls = 0; polls < 600; polls += 1) {
    const job = await client.jobs.get(created.id);
    assert.notEqual(job.status, "failed");
    if (job.status === "completed") {
      const file = await fetch(job.location);
      assert.equal(file.status, 200);
      const name = file.headers.get("content-disposition");
      return { name, text: gunzipSync(await file.arrayBuffer()).toString("utf8"), id: job.id };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the job does not end");
}

const csv = await exported({
  format: "csv",
  fields: [
    { name: "user_id" },
    { name: "email", export_as: "E-mail" },
    { name: "user_metadata.department", export_as: "dept" },
    { name: "identities[0].connection", export_as: "provider" },
  ],
});
assert.match(csv.name, /filename="acme\.csv\.gz"/);
const [header, ...rows] = csv.text.trimEnd().split("\r\n");
assert.equal(header, '"user_id","E-mail","dept","provider"');
assert.equal(rows.length, 300);

const json = await exported({ format: "json", limit: 7, fields: [{ name: "user_metadata" }, { name: "email" }] });
assert.match(json.name, /filename="acme\.json\.gz"/);
const users = json.text.trimEnd().split("\n").map((line) => JSON.parse(line));
assert.equal(users.length, 7);
assert.equal(typeof users[0].user_metadata, "object");

const one = await exported({ format: "json", connection_id: connection });
const count = one.text.split("\n").length - 1;
assert.ok(count > 0 && count < 300, `${count} users of one connection`);

const errors = await client.jobs.errors.get(one.id);
assert.ok(!errors || errors.length === 0);
await assert.rejects(client.jobs.get("job_0000000000000000"), (error) => error.statusCode === 404);
await assert.rejects(
  client.jobs.usersExports.create({ format: "csv", fields: [{ name: "phone_number" }] }),
  (error) => error.statusCode === 400,
);
console.log("auth0 (npm): exported as CSV and JSON");
