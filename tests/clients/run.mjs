// Starts a server, puts TLS in front of it as an operator's proxy would, and lets clients loose on it.
// Usage: node run.mjs EXEAT FOLDER PYTHON
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const [exeat, folder, python] = process.argv.slice(2);
const here = path.dirname(fileURLToPath(import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const [key, certificate] = ["key.pem", "certificate.pem"].map((name) => path.join(folder, name));
const openssl = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
execFileSync(
  "openssl",
  [...openssl, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
  { stdio: "ignore" },
);

let target;
const front = https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) => {
  const { method, headers, url } = request;
  const onward = http.request(`${target}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
});
await new Promise((resolve) => front.listen(0, "127.0.0.1", resolve));
const domain = `localhost:${front.address().port}`;

const env = { ...process.env, EXEAT_DATA: path.join(folder, "data"), XDG_CACHE_HOME: path.join(folder, "cache") };
const run = (...args) => execFileSync(exeat, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
run("users", "generate", "--tenant", "acme", "--count", "300", "--seed", "7");
const token = run("token", "create", "--tenant", "acme", "--name", "clients", "--scope", "read:users", "--scope", "export:sensitive").trim();
// A command for this does not exist: whoever migrates has the id from Auth0.
const ask = `import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT public_id FROM connections ORDER BY connection_id").fetchone()[0])`;
const database = path.join(folder, "data", "exeat.db");
const connection = execFileSync(python, ["-c", ask, database], { encoding: "utf8" }).trim();

const server = spawn(exeat, ["serve", "--listen", "127.0.0.1:0", "--public-url", `https://${domain}`], { env });
let failed = false;
try {
  for await (const line of createInterface({ input: server.stderr })) {
    if (line.includes("listening on ")) {
      target = line.trim().split(" ").pop();
      break;
    }
  }
  server.stderr.resume();
  const clients = [
    [process.execPath, path.join(here, "auth0.mjs")],
    [python, path.join(here, "auth0_export.py")],
  ];
  // Not to wait for it in this thread: the proxy is in it.
  const succeeds = (program, args, env) =>
    new Promise((resolve) => {
      const client = spawn(program, args, { stdio: "inherit", cwd: folder, env: { ...process.env, ...env } });
      client.on("exit", (status) => resolve(status === 0));
    });
  for (const [program, script] of clients) {
    const trusted = { NODE_EXTRA_CA_CERTS: certificate, SSL_CERT_FILE: certificate };
    failed ||= !(await succeeds(program, [script, domain, token, connection], trusted));
  }
  const everything = run("token", "create", "--tenant", "acme", "--name", "schemathesis").trim();
  const headers = { authorization: `Bearer ${everything}`, "content-type": "application/json" };
  const created = await fetch(`${target}/v1/exports`, { method: "POST", headers, body: '{"format": "csv"}' });
  const conformance = ["--config-file", path.join(here, "schemathesis.toml"), "run", `${target}/openapi.json`];
  failed ||= !(await succeeds(path.join(path.dirname(python), "st"), [...conformance, "--checks", "all"], {
    SERVER: target,
    TOKEN: everything,
    EXPORT: (await created.json()).id,
    SCHEMATHESIS_HOOKS: "schemathesis_hooks",
    PYTHONPATH: here,
  }));
} finally {
  server.kill();
  front.close();
  front.closeAllConnections();
}
process.exitCode = failed ? 1 : 0;
