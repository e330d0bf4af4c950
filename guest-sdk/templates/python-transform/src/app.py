"""Turns a column of text to upper case. Edit this file."""

import exeat


class Shout(exeat.Transform):
    name = "{{name}}"
    version = "0.1.0"
    summary = "Turns a column of text to upper case."
    config_schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "column": {"type": "string", "description": "Column to turn to upper case."},
            "max_chars": {
                "type": "integer",
                "minimum": 1,
                "default": 255,
                "description": "Longest text that the destination takes, in characters.",
            },
        },
        "required": ["column"],
        "additionalProperties": False,
    }

    def open(self, config, job, plan):
        """Runs once, before any row: says what is read and what comes out."""
        self.column = config["column"]
        self.max_chars = config["max_chars"]
        self.quiet = plan.read_text(self.column, at="/column")
        plan.pass_selected_except([self.column])
        self.loud = plan.compute_text(self.column)

    def row(self, row, out):
        """Runs for every row."""
        text = row[self.quiet]
        if text is None:
            return exeat.DROP
        if len(text) > self.max_chars:
            raise exeat.Reject("too_long", "the text is too long for the destination", field=self.column)
        out[self.loud] = text.upper()
        return exeat.KEEP


Transform = exeat.export(Shout)
