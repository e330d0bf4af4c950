/* Renders users as one JSON array. Edit this file. */
#include "exeat.h"

const exeat_about exeat_plugin_about = {
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Renders users as one JSON array.",
    .config_schema =
        "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\","
        " \"properties\": {"
        "  \"file\": {\"type\": \"string\", \"default\": \"users.json\","
        "   \"description\": \"Name of the file.\"}},"
        " \"additionalProperties\": false}",
};

static exeat_str file_name;
static exeat_text_in user_id;
static exeat_text_in email;
static exeat_text_in state;
static bool has_begun;

/* Runs once, before any row: reads the configuration, says what is read. */
void exeat_plugin_open(exeat_json *config, const exeat_job *job, exeat_plan *plan)
{
    (void)job;
    file_name = exeat_config_text(config, "file", "users.json");
    user_id = exeat_read_text(plan, exeat_s("user_id"), NULL);
    email = exeat_read_text(plan, exeat_s("email"), NULL);
    state = exeat_read_text(plan, exeat_s("state"), NULL);
}

static void begin(exeat_sink *out)
{
    exeat_begin_file(out, file_name, "application/json");
    exeat_add_text(exeat_file(out), "[\n");
    has_begun = true;
}

/* Runs for every row. */
exeat_fate exeat_adapter_row(const exeat_row *row, exeat_sink *out)
{
    if (exeat_is(exeat_text(row, state), "deleted")) {
        return EXEAT_DROPPED;
    }
    exeat_str address = exeat_text(row, email);
    if (address.ptr == NULL) {
        return exeat_reject(row, "missing", exeat_s("email"), "the destination requires an e-mail address");
    }
    if (has_begun) {
        exeat_add_text(exeat_file(out), ",\n");
    } else {
        begin(out);
    }
    exeat_buf *file = exeat_file(out);
    exeat_add_text(file, "{\"id\":");
    exeat_add_json(file, exeat_text(row, user_id));
    exeat_add_text(file, ",\"email\":");
    exeat_add_json(file, address);
    exeat_add_char(file, '}');
    return EXEAT_WRITTEN;
}

/* Runs once, after the last row. */
void exeat_adapter_finish(exeat_sink *out)
{
    if (has_begun) {
        exeat_add_char(exeat_file(out), '\n');
    } else {
        begin(out);
    }
    exeat_add_text(exeat_file(out), "]\n");
}
