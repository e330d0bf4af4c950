/* Turns a column of text to upper case. Edit this file. */
#include "exeat.h"

const exeat_about exeat_plugin_about = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Turns a column of text to upper case.",
    .config_schema =
        "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\","
        " \"properties\": {"
        "  \"column\": {\"type\": \"string\", \"description\": \"Column to turn to upper case.\"},"
        "  \"max_chars\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 255,"
        "   \"description\": \"Longest text that the destination takes, in characters.\"}},"
        " \"required\": [\"column\"], \"additionalProperties\": false}",
};

static exeat_str column;
static int64_t max_chars;
static exeat_text_in quiet;
static exeat_text_out loud;

/* Runs once, before any row: reads the configuration, says what is read and what comes out. */
void exeat_plugin_open(exeat_json *config, const exeat_job *job, exeat_plan *plan)
{
    (void)job;
    exeat_config_require(config, "column");
    column = exeat_config_text(config, "column", "");
    max_chars = exeat_config_int(config, "max_chars", 255, 1, INT64_MAX);

    quiet = exeat_read_text(plan, column, "/column");
    exeat_pass_selected_except(plan, &column, 1);
    loud = exeat_compute_text(plan, column);
}

/* Runs for every row. */
exeat_fate exeat_transform_row(const exeat_row *row, exeat_output *out)
{
    exeat_str text = exeat_text(row, quiet);
    if (text.ptr == NULL) {
        return EXEAT_DROP;
    }
    if ((int64_t)exeat_chars(text) > max_chars) {
        return exeat_reject(row, "too_long", column, "the text is too long for the destination");
    }
    exeat_add_ascii_upper(exeat_begin_text(out, loud), text);
    return EXEAT_KEEP;
}
