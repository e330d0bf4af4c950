/*
 * What happens when a job opens: the configuration is read, the plan is made.
 */
#include "exeat_kit.h"

#include <string.h>

/* ---- Configuration ---- */

/* Faults at the key of this name; at the whole where there is no key. */
static void fault_at_key(exeat_str key, const char *message)
{
    exeat_buf pointer = {NULL, 0, 0};
    if (key.ptr != NULL) {
        exeat_add_char(&pointer, '/');
    }
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] == '~') {
            exeat_add_text(&pointer, "~0");
        } else if (key.ptr[i] == '/') {
            exeat_add_text(&pointer, "~1");
        } else {
            exeat_add_char(&pointer, key.ptr[i]);
        }
    }
    exeat_fault_at(FAULT_CONFIG, exeat_buf_str(&pointer), exeat_s(message));
    exeat_buf_free(&pointer);
}

exeat_json *exeat_config_any(exeat_json *config, const char *key)
{
    exeat_json *value = exeat_json_get(config, key);
    if (value != NULL) {
        value->asked = true;
    }
    return value;
}

/* The value, if it is there and of this kind. */
static exeat_json *value_of(exeat_json *config, const char *key, exeat_json_kind kind, const char *message)
{
    exeat_json *value = exeat_config_any(config, key);
    if (value != NULL && value->kind != kind) {
        fault_at_key(exeat_s(key), message);
        value = NULL;
    }
    return value;
}

void exeat_config_require(exeat_json *config, const char *key)
{
    if (exeat_config_any(config, key) == NULL) {
        exeat_buf message = {NULL, 0, 0};
        exeat_add_text(&message, "the key \"");
        exeat_add_text(&message, key);
        exeat_add_text(&message, "\" is missing");
        exeat_fault_at(FAULT_CONFIG, exeat_s(""), exeat_buf_str(&message));
        exeat_buf_free(&message);
    }
}

exeat_str exeat_config_text(exeat_json *config, const char *key, const char *otherwise)
{
    exeat_json *value = value_of(config, key, EXEAT_JSON_TEXT, "must be a text");
    return value == NULL ? exeat_s(otherwise) : value->text;
}

int64_t exeat_config_int(exeat_json *config, const char *key, int64_t otherwise, int64_t min, int64_t max)
{
    exeat_json *value = value_of(config, key, EXEAT_JSON_INT, "must be a whole number");
    if (value == NULL) {
        return otherwise;
    }
    if (value->integer < min || value->integer > max) {
        exeat_buf message = {NULL, 0, 0};
        exeat_add_text(&message, value->integer < min ? "must be at least " : "must be at most ");
        exeat_add_int(&message, value->integer < min ? min : max);
        exeat_add_char(&message, '\0');
        fault_at_key(exeat_s(key), message.ptr);
        exeat_buf_free(&message);
        return otherwise;
    }
    return value->integer;
}

double exeat_config_float(exeat_json *config, const char *key, double otherwise)
{
    exeat_json *value = exeat_config_any(config, key);
    if (value == NULL) {
        return otherwise;
    }
    if (value->kind != EXEAT_JSON_INT && value->kind != EXEAT_JSON_FLOAT) {
        fault_at_key(exeat_s(key), "must be a number");
        return otherwise;
    }
    return value->number;
}

bool exeat_config_bool(exeat_json *config, const char *key, bool otherwise)
{
    exeat_json *value = value_of(config, key, EXEAT_JSON_BOOL, "must be true or false");
    return value == NULL ? otherwise : value->truth;
}

static bool has_twin(const exeat_json *object, const exeat_json *member)
{
    const exeat_json *other = object->first;
    while (other != member && !exeat_same(other->key, member->key)) {
        other = other->next;
    }
    return other != member;
}

/* An empty text is an empty object. */
static exeat_json *parse_config(exeat_str config)
{
    bool empty = true;
    for (size_t i = 0; i < config.len; i++) {
        char c = config.ptr[i];
        empty = empty && (c == ' ' || c == '\t' || c == '\n' || c == '\r');
    }
    exeat_json *root = exeat_json_parse(empty ? exeat_s("{}") : config);
    if (root == NULL) {
        exeat_config_error("", "is not JSON");
    } else if (root->kind != EXEAT_JSON_OBJECT) {
        exeat_config_error("", "must be an object");
    } else {
        for (const exeat_json *member = root->first; member != NULL; member = member->next) {
            if (has_twin(root, member)) {
                fault_at_key(member->key, "is there twice");
            }
        }
    }
    return root;
}

bool exeat_run_open(exeat_str config, const exeat_job *job, exeat_plan *plan)
{
    /* Never freed: the plugin may keep its texts. */
    exeat_json *root = parse_config(config);
    if (exeat_failed()) {
        return false;
    }
    exeat_plugin_open(root, job, plan);
    for (exeat_json *value = root->first; value != NULL && !exeat_failed(); value = value->next) {
        if (!value->asked) {
            fault_at_key(value->key, "is not a key that this plugin knows");
        }
    }
    return !exeat_failed();
}

/* ---- What is read ---- */

static const char *type_name(exeat_type type)
{
    switch (type) {
    case EXEAT_BOOLEAN:
        return "true or false";
    case EXEAT_INT64:
        return "whole numbers";
    case EXEAT_FLOAT64:
        return "numbers";
    case EXEAT_TIMESTAMP_US:
        return "timestamps";
    case EXEAT_UTF8:
        return "text";
    case EXEAT_JSON:
        return "JSON";
    case EXEAT_UTF8_LIST:
        return "lists of text";
    }
    return "something unknown";
}

static void column_fault(exeat_str name, const char *at, exeat_str what)
{
    if (at == NULL) {
        exeat_fault_at(FAULT_SCHEMA, name, what);
        return;
    }
    exeat_buf message = {NULL, 0, 0};
    exeat_add_text(&message, "the column \"");
    exeat_add_str(&message, name);
    exeat_add_text(&message, "\" ");
    exeat_add_str(&message, what);
    exeat_fault_at(FAULT_CONFIG, exeat_s(at), exeat_buf_str(&message));
    exeat_buf_free(&message);
}

const exeat_field *exeat_input(const exeat_plan *plan, size_t *count)
{
    *count = plan->input_count;
    return plan->input;
}

const exeat_field *exeat_find(const exeat_plan *plan, exeat_str name)
{
    for (size_t i = 0; i < plan->input_count; i++) {
        if (exeat_same(plan->input[i].name, name)) {
            return &plan->input[i];
        }
    }
    return NULL;
}

static const exeat_field *offered(exeat_plan *plan, exeat_str name, const char *at)
{
    const exeat_field *field = exeat_find(plan, name);
    if (field == NULL) {
        column_fault(name, at, exeat_s("is not among those that this export can hold"));
    }
    return field;
}

/* The slot of a column in the batches; reads it once however often it is asked for. */
static uint32_t slot_of(exeat_plan *plan, const exeat_field *field)
{
    uint32_t input = (uint32_t)(field - plan->input);
    for (size_t slot = 0; slot < plan->read_count; slot++) {
        if (plan->reads[slot] == input) {
            return (uint32_t)slot;
        }
    }
    plan->reads = exeat_grown(plan->reads, &plan->read_capacity, plan->read_count, sizeof *plan->reads);
    plan->reads[plan->read_count] = input;
    return (uint32_t)plan->read_count++;
}

static uint32_t read_column(exeat_plan *plan, exeat_str name, const char *at, exeat_type type)
{
    const exeat_field *field = offered(plan, name, at);
    if (field == NULL) {
        return 0;
    }
    if (field->type != type) {
        exeat_buf what = {NULL, 0, 0};
        exeat_add_text(&what, "holds ");
        exeat_add_text(&what, type_name(field->type));
        exeat_add_text(&what, ", not ");
        exeat_add_text(&what, type_name(type));
        column_fault(name, at, exeat_buf_str(&what));
        exeat_buf_free(&what);
        return 0;
    }
    return slot_of(plan, field);
}

#define READS(call, handle, type)                                                                              \
    handle call(exeat_plan *plan, exeat_str name, const char *at)                                              \
    {                                                                                                          \
        handle column = {read_column(plan, name, at, type)};                                                   \
        return column;                                                                                         \
    }
READS(exeat_read_text, exeat_text_in, EXEAT_UTF8)
READS(exeat_read_json, exeat_json_in, EXEAT_JSON)
READS(exeat_read_int, exeat_int_in, EXEAT_INT64)
READS(exeat_read_float, exeat_float_in, EXEAT_FLOAT64)
READS(exeat_read_bool, exeat_bool_in, EXEAT_BOOLEAN)
READS(exeat_read_timestamp, exeat_timestamp_in, EXEAT_TIMESTAMP_US)
READS(exeat_read_list, exeat_list_in, EXEAT_UTF8_LIST)

exeat_any_in exeat_read_any(exeat_plan *plan, exeat_str name, const char *at)
{
    exeat_any_in column = {0, EXEAT_UTF8};
    const exeat_field *field = offered(plan, name, at);
    if (field != NULL) {
        column.slot = slot_of(plan, field);
        column.type = field->type;
    }
    return column;
}

/* ---- What comes out ---- */

static exeat_planned *add_output(exeat_plan *plan, exeat_column_kind kind, exeat_str name)
{
    plan->output =
        exeat_grown(plan->output, &plan->output_capacity, plan->output_count, sizeof *plan->output);
    exeat_planned *planned = &plan->output[plan->output_count++];
    memset(planned, 0, sizeof *planned);
    planned->kind = kind;
    planned->name = exeat_kept(name);
    return planned;
}

void exeat_pass(exeat_plan *plan, exeat_str name, const char *at)
{
    exeat_pass_as(plan, name, name, at);
}

void exeat_pass_as(exeat_plan *plan, exeat_str name, exeat_str new_name, const char *at)
{
    const exeat_field *field = offered(plan, name, at);
    if (field != NULL) {
        add_output(plan, COLUMN_PASS, new_name)->input = (uint32_t)(field - plan->input);
    }
}

void exeat_pass_selected_except(exeat_plan *plan, const exeat_str *names, size_t count)
{
    for (size_t i = 0; i < plan->input_count; i++) {
        bool passes = plan->input[i].selected;
        for (size_t n = 0; n < count; n++) {
            passes = passes && !exeat_same(plan->input[i].name, names[n]);
        }
        if (passes) {
            add_output(plan, COLUMN_PASS, plan->input[i].name)->input = (uint32_t)i;
        }
    }
}

static exeat_planned *add_constant(exeat_plan *plan, exeat_str name, exeat_type type)
{
    exeat_planned *planned = add_output(plan, COLUMN_CONSTANT, name);
    planned->type = type;
    return planned;
}

void exeat_constant_null(exeat_plan *plan, exeat_str name, exeat_type type)
{
    add_constant(plan, name, type)->null = true;
}

void exeat_constant_text(exeat_plan *plan, exeat_str name, exeat_str value)
{
    add_constant(plan, name, EXEAT_UTF8)->text = exeat_kept(value);
}

void exeat_constant_json(exeat_plan *plan, exeat_str name, exeat_str value)
{
    add_constant(plan, name, EXEAT_JSON)->text = exeat_kept(value);
}

void exeat_constant_int(exeat_plan *plan, exeat_str name, int64_t value)
{
    add_constant(plan, name, EXEAT_INT64)->integer = value;
}

void exeat_constant_float(exeat_plan *plan, exeat_str name, double value)
{
    add_constant(plan, name, EXEAT_FLOAT64)->number = value;
}

void exeat_constant_bool(exeat_plan *plan, exeat_str name, bool value)
{
    add_constant(plan, name, EXEAT_BOOLEAN)->truth = value;
}

void exeat_constant_timestamp(exeat_plan *plan, exeat_str name, int64_t value)
{
    add_constant(plan, name, EXEAT_TIMESTAMP_US)->integer = value;
}

static uint32_t compute(exeat_plan *plan, exeat_str name, exeat_type type)
{
    add_output(plan, COLUMN_COMPUTED, name)->type = type;
    plan->computed =
        exeat_grown(plan->computed, &plan->computed_capacity, plan->computed_count, sizeof *plan->computed);
    plan->computed[plan->computed_count] = type;
    return (uint32_t)plan->computed_count++;
}

#define COMPUTES(call, handle, type)                                                                           \
    handle call(exeat_plan *plan, exeat_str name)                                                              \
    {                                                                                                          \
        handle column = {compute(plan, name, type)};                                                           \
        return column;                                                                                         \
    }
COMPUTES(exeat_compute_text, exeat_text_out, EXEAT_UTF8)
COMPUTES(exeat_compute_json, exeat_json_out, EXEAT_JSON)
COMPUTES(exeat_compute_int, exeat_int_out, EXEAT_INT64)
COMPUTES(exeat_compute_float, exeat_float_out, EXEAT_FLOAT64)
COMPUTES(exeat_compute_bool, exeat_bool_out, EXEAT_BOOLEAN)
COMPUTES(exeat_compute_timestamp, exeat_timestamp_out, EXEAT_TIMESTAMP_US)
