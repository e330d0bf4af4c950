"""Renders users as one JSON array. Edit this file."""

import json

import exeat

# Made once: json.dumps with options would make an encoder for every row.
to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Users(exeat.Adapter):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Renders users as one JSON array."
    config_schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "file": {"type": "string", "default": "users.json", "description": "Name of the file."},
        },
        "additionalProperties": False,
    }

    def open(self, config, job, plan):
        """Runs once, before any row: says what is read."""
        self.file = config["file"]
        self.user_id = plan.read_text("user_id")
        self.email = plan.read_text("email")
        self.state = plan.read_text("state")
        self.has_begun = False

    def row(self, row, out):
        """Runs for every row."""
        if row[self.state] == "deleted":
            return exeat.DROPPED
        email = row[self.email]
        if email is None:
            raise exeat.Reject("missing", "the destination requires an e-mail address", field="email")
        self.begin(out)
        out.write(to_json({"id": row[self.user_id], "email": email}))
        return exeat.WRITTEN

    def finish(self, out):
        """Runs once, after the last row."""
        if self.has_begun:
            out.write("\n")
        else:
            self.begin(out)
        out.write("]\n")

    def begin(self, out):
        """Begins the file, or the next object in it."""
        if self.has_begun:
            out.write(",\n")
        else:
            out.begin_file(self.file, "application/json")
            out.write("[\n")
            self.has_begun = True


Adapter = exeat.export(Users)
