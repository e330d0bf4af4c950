/*
 * Joins the kit to the bindings of the world `transform-plugin`.
 */
#include "transform_plugin.h"

#define WIT_STRING transform_plugin_string_t
#include "glue.h"

/* The bindings ask for a symbol of the object file in which wit-bindgen keeps the world's type.
 * `exeat plugin build` puts the type in by itself, from the WIT, so an empty function will do. */
void __component_type_object_force_link_transform_plugin(void)
{
}

static exeat_plan the_plan;
static bool is_open;

void exports_exeat_plugin_transform_describe(exports_exeat_plugin_transform_description_t *ret)
{
    describe(ret);
}

static void say_scalar(const exeat_planned *planned, exports_exeat_plugin_transform_scalar_t *said)
{
    if (planned->null) {
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_NULL;
        said->val.null = (exeat_plugin_types_column_type_t)planned->type;
        return;
    }
    switch (planned->type) {
    case EXEAT_BOOLEAN:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_BOOLEAN;
        said->val.boolean = planned->truth;
        break;
    case EXEAT_INT64:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_INT64;
        said->val.int64 = planned->integer;
        break;
    case EXEAT_FLOAT64:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_FLOAT64;
        said->val.float64 = planned->number;
        break;
    case EXEAT_TIMESTAMP_US:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_TIMESTAMP_US;
        said->val.timestamp_us = planned->integer;
        break;
    case EXEAT_JSON:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_JSON;
        said->val.json = copy_to_wit(planned->text);
        break;
    default:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_SCALAR_UTF8;
        said->val.utf8 = copy_to_wit(planned->text);
    }
}

static void say_output(const exeat_planned *planned, exports_exeat_plugin_transform_output_column_t *said)
{
    switch (planned->kind) {
    case COLUMN_PASS:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_OUTPUT_COLUMN_PASS;
        said->val.pass.input = planned->input;
        said->val.pass.name = copy_to_wit(planned->name);
        break;
    case COLUMN_CONSTANT:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_OUTPUT_COLUMN_CONSTANT;
        said->val.constant.name = copy_to_wit(planned->name);
        say_scalar(planned, &said->val.constant.value);
        break;
    case COLUMN_COMPUTED:
        said->tag = EXPORTS_EXEAT_PLUGIN_TRANSFORM_OUTPUT_COLUMN_COMPUTED;
        said->val.computed.name = copy_to_wit(planned->name);
        said->val.computed.column_type = (exeat_plugin_types_column_type_t)planned->type;
        said->val.computed.nullable = true;
        break;
    }
}

bool exports_exeat_plugin_transform_open(exports_exeat_plugin_transform_job_context_t *job,
                                         exports_exeat_plugin_transform_list_offered_field_t *input,
                                         transform_plugin_string_t *config,
                                         exports_exeat_plugin_transform_plan_t *ret,
                                         exports_exeat_plugin_transform_fault_t *err)
{
    is_open = open_plan(job, input->ptr, input->len, *config, &the_plan);
    if (!is_open) {
        return say_fault(err);
    }
    ret->reads.len = the_plan.read_count;
    ret->reads.ptr = exeat_new(ret->reads.len, sizeof *ret->reads.ptr);
    if (ret->reads.len != 0) {
        memcpy(ret->reads.ptr, the_plan.reads, ret->reads.len * sizeof *ret->reads.ptr);
    }
    ret->output.len = the_plan.output_count;
    ret->output.ptr = exeat_new(ret->output.len, sizeof *ret->output.ptr);
    for (size_t i = 0; i < ret->output.len; i++) {
        say_output(&the_plan.output[i], &ret->output.ptr[i]);
    }
    ret->stateless = !exeat_plugin_about.stateful;
    return true;
}

static void take_texts(exeat_builder *builder, uint32_t rows, exeat_plugin_types_utf8_values_t *said)
{
    said->offsets.ptr = builder->values;
    said->offsets.len = (size_t)rows + 1;
    said->bytes.ptr = (uint8_t *)exeat_buf_take(&builder->text, &said->bytes.len);
}

static void take_column(exeat_builder *builder, uint32_t rows, exeat_plugin_types_column_t *said)
{
    if (builder->nulls) {
        said->validity.is_some = true;
        said->validity.val.ptr = builder->validity;
        said->validity.val.len = exeat_bitmap_len(rows);
    } else {
        free(builder->validity);
    }
    said->values.tag = (uint8_t)builder->type;
    switch (builder->type) {
    case EXEAT_BOOLEAN:
        said->values.val.boolean.ptr = builder->values;
        said->values.val.boolean.len = exeat_bitmap_len(rows);
        break;
    case EXEAT_INT64:
        said->values.val.int64.ptr = builder->values;
        said->values.val.int64.len = rows;
        break;
    case EXEAT_FLOAT64:
        said->values.val.float64.ptr = builder->values;
        said->values.val.float64.len = rows;
        break;
    case EXEAT_TIMESTAMP_US:
        said->values.val.timestamp_us.ptr = builder->values;
        said->values.val.timestamp_us.len = rows;
        break;
    case EXEAT_JSON:
        take_texts(builder, rows, &said->values.val.json);
        break;
    default:
        take_texts(builder, rows, &said->values.val.utf8);
    }
}

/* Runs the rows. Gives the `keep` bitmap, or NULL where all stay. */
static uint8_t *run_rows(const exeat_plugin_types_batch_t *batch, exeat_output *out)
{
    uint8_t *keep = NULL;
    exeat_column *columns = view_columns(batch);
    exeat_row row = {columns, 0};
    for (; row.index < batch->rows && !exeat_failed(); row.index++) {
        exeat_fate fate = exeat_transform_row(&row, out);
        if (exeat_failed() || !is_fate(fate, EXEAT_KEEP, EXEAT_DROP)) {
            break;
        }
        exeat_output_end_row(out, fate == EXEAT_KEEP);
        if (fate != EXEAT_KEEP) {
            if (keep == NULL) {
                keep = exeat_new(exeat_bitmap_len(batch->rows), 1);
                memset(keep, 0xFF, exeat_bitmap_len(batch->rows));
            }
            keep[row.index / 8] &= (uint8_t) ~(1u << (row.index % 8));
        }
    }
    free(columns);
    return keep;
}

bool exports_exeat_plugin_transform_process(exports_exeat_plugin_transform_batch_t *batch,
                                            exports_exeat_plugin_transform_output_t *ret,
                                            exports_exeat_plugin_transform_fault_t *err)
{
    exeat_begin_call();
    uint32_t rows = batch->rows;
    if (!is_open) {
        exeat_fail("the host called before it opened a job");
        exports_exeat_plugin_transform_batch_free(batch);
        return say_fault(err);
    }
    exeat_output out;
    exeat_output_begin(&out, &the_plan, rows);
    uint8_t *keep = run_rows(batch, &out);
    exports_exeat_plugin_transform_batch_free(batch);
    if (exeat_failed()) {
        free(keep);
        exeat_output_free(&out);
        return say_fault(err);
    }
    memset(ret, 0, sizeof *ret);
    ret->columns.len = out.count;
    ret->columns.ptr = exeat_new(out.count, sizeof *ret->columns.ptr);
    for (size_t i = 0; i < out.count; i++) {
        take_column(&out.builders[i], rows, &ret->columns.ptr[i]);
    }
    free(out.builders);
    if (keep != NULL) {
        ret->keep.is_some = true;
        ret->keep.val.ptr = keep;
        ret->keep.val.len = exeat_bitmap_len(rows);
    }
    ret->rejects.ptr = take_rejects(&ret->rejects.len);
    return true;
}

void exeat_log(exeat_level level, const char *message)
{
    transform_plugin_string_t text = {(uint8_t *)message, strlen(message)};
    exeat_plugin_log_write((exeat_plugin_log_level_t)level, &text);
}

bool exeat_log_enabled(exeat_level level)
{
    return exeat_plugin_log_enabled((exeat_plugin_log_level_t)level);
}
