/*
 * What both glues do, over the types that wit-bindgen generates for either world. Include the
 * world's header first, and name its string type: WIT_STRING.
 */
#include "exeat_kit.h"

#include <stdlib.h>
#include <string.h>

static exeat_str from_wit(WIT_STRING text)
{
    exeat_str value = {text.len == 0 ? "" : (const char *)text.ptr, text.len};
    return value;
}

/* The buffer's bytes: the bindings free them when the host has read them. */
static WIT_STRING to_wit(exeat_buf *buf)
{
    WIT_STRING text;
    text.ptr = (uint8_t *)exeat_buf_take(buf, &text.len);
    return text;
}

static WIT_STRING copy_to_wit(exeat_str value)
{
    exeat_buf copy = exeat_copy(value);
    return to_wit(&copy);
}

static void describe(exeat_plugin_types_description_t *said)
{
    said->name = copy_to_wit(exeat_s(exeat_plugin_about.name));
    said->version = copy_to_wit(exeat_s(exeat_plugin_about.version));
    said->summary = copy_to_wit(exeat_s(exeat_plugin_about.summary));
    said->config_schema = copy_to_wit(exeat_s(exeat_plugin_about.config_schema));
}

/* The fault of this call; false, as the bindings want it. */
static bool say_fault(exeat_plugin_types_fault_t *said)
{
    exeat_fault *fault = &exeat_the_fault;
    switch (fault->kind) {
    case FAULT_CONFIG:
        said->tag = EXEAT_PLUGIN_TYPES_FAULT_INVALID_CONFIG;
        said->val.invalid_config.pointer = to_wit(&fault->where);
        said->val.invalid_config.message = to_wit(&fault->message);
        break;
    case FAULT_SCHEMA:
        said->tag = EXEAT_PLUGIN_TYPES_FAULT_UNSUPPORTED_SCHEMA;
        said->val.unsupported_schema.field = to_wit(&fault->where);
        said->val.unsupported_schema.message = to_wit(&fault->message);
        break;
    default:
        said->tag = EXEAT_PLUGIN_TYPES_FAULT_INTERNAL;
        said->val.internal = to_wit(&fault->message);
    }
    return false;
}

/* Opens the job. What the host sent is never freed: the plugin may keep any of it. */
static bool open_plan(exeat_plugin_types_job_context_t *context, const exeat_plugin_types_offered_field_t *input,
                      size_t count, WIT_STRING config, exeat_plan *plan)
{
    exeat_begin_call();
    memset(plan, 0, sizeof *plan);
    plan->input = exeat_new(count, sizeof *plan->input);
    plan->input_count = count;
    for (size_t i = 0; i < count; i++) {
        plan->input[i].name = from_wit(input[i].field.name);
        plan->input[i].type = (exeat_type)input[i].field.column_type;
        plan->input[i].nullable = input[i].field.nullable;
        plan->input[i].selected = input[i].selected;
    }
    if (context->pseudonym_key.len != 32) {
        exeat_fail("the pseudonym key is not 32 bytes");
        return false;
    }
    exeat_job *job = exeat_new(1, sizeof *job);
    job->id = from_wit(context->job_id);
    job->snapshot_at_us = context->snapshot_at_us;
    job->seed = context->seed;
    job->pseudonym_key = context->pseudonym_key.ptr;
    return exeat_run_open(from_wit(config), job, plan);
}

static void view_texts(exeat_column *column, const exeat_plugin_types_utf8_values_t *texts)
{
    column->offsets = texts->offsets.ptr;
    column->bytes = texts->bytes.len == 0 ? "" : (const char *)texts->bytes.ptr;
}

/* The columns of a batch as rows see them; to be freed. */
static exeat_column *view_columns(const exeat_plugin_types_batch_t *batch)
{
    exeat_column *columns = exeat_new(batch->columns.len, sizeof *columns);
    for (size_t i = 0; i < batch->columns.len; i++) {
        const exeat_plugin_types_column_t *given = &batch->columns.ptr[i];
        exeat_column *column = &columns[i];
        column->type = (exeat_type)given->values.tag;
        column->validity = given->validity.is_some ? given->validity.val.ptr : NULL;
        switch (column->type) {
        case EXEAT_BOOLEAN:
            column->bits = given->values.val.boolean.ptr;
            break;
        case EXEAT_INT64:
            column->integers = given->values.val.int64.ptr;
            break;
        case EXEAT_FLOAT64:
            column->numbers = given->values.val.float64.ptr;
            break;
        case EXEAT_TIMESTAMP_US:
            column->integers = given->values.val.timestamp_us.ptr;
            break;
        case EXEAT_UTF8:
            view_texts(column, &given->values.val.utf8);
            break;
        case EXEAT_JSON:
            view_texts(column, &given->values.val.json);
            break;
        case EXEAT_UTF8_LIST:
            column->lists = given->values.val.utf8_list.offsets.ptr;
            view_texts(column, &given->values.val.utf8_list.values);
            break;
        }
    }
    return columns;
}

/* The rejects of this call. */
static exeat_plugin_types_reject_t *take_rejects(size_t *count)
{
    *count = exeat_reject_count;
    exeat_plugin_types_reject_t *rejects = exeat_new(*count, sizeof *rejects);
    for (size_t i = 0; i < *count; i++) {
        exeat_rejected *reject = &exeat_the_rejects[i];
        rejects[i].row = reject->row;
        rejects[i].field.is_some = reject->has_field;
        rejects[i].field.val = to_wit(&reject->field);
        rejects[i].code = to_wit(&reject->code);
        rejects[i].message = to_wit(&reject->message);
    }
    return rejects;
}

/* A fate that a plugin of this kind cannot give. */
static bool is_fate(exeat_fate fate, exeat_fate stays, exeat_fate goes)
{
    if (fate == stays || fate == goes || fate == EXEAT_REJECTED) {
        return true;
    }
    exeat_fail("the plugin gave a row a fate that a plugin of its kind does not have");
    return false;
}
