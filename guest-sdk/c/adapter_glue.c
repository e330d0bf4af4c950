/*
 * Joins the kit to the bindings of the world `adapter-plugin`.
 */
#include "adapter_plugin.h"

#define WIT_STRING adapter_plugin_string_t
#include "glue.h"

/* The bindings ask for a symbol of the object file in which wit-bindgen keeps the world's type.
 * `exeat plugin build` puts the type in by itself, from the WIT, so an empty function will do. */
void __component_type_object_force_link_adapter_plugin(void)
{
}

static exeat_plan the_plan;
static bool is_open;

void exports_exeat_plugin_adapter_describe(exports_exeat_plugin_adapter_description_t *ret)
{
    describe(ret);
}

bool exports_exeat_plugin_adapter_open(exports_exeat_plugin_adapter_job_context_t *job,
                                       exports_exeat_plugin_adapter_list_offered_field_t *input,
                                       adapter_plugin_string_t *config,
                                       exports_exeat_plugin_adapter_plan_t *ret,
                                       exports_exeat_plugin_adapter_fault_t *err)
{
    is_open = open_plan(job, input->ptr, input->len, *config, &the_plan);
    if (is_open && the_plan.output_count != 0) {
        exeat_fail("an adapter has no output columns");
        is_open = false;
    }
    if (!is_open) {
        return say_fault(err);
    }
    ret->reads.len = the_plan.read_count;
    ret->reads.ptr = exeat_new(ret->reads.len, sizeof *ret->reads.ptr);
    if (ret->reads.len != 0) {
        memcpy(ret->reads.ptr, the_plan.reads, ret->reads.len * sizeof *ret->reads.ptr);
    }
    return true;
}

static void take_chunks(exeat_sink *out, exports_exeat_plugin_adapter_list_chunk_t *said)
{
    exeat_sink_flush(out);
    said->len = out->chunk_count;
    said->ptr = exeat_new(said->len, sizeof *said->ptr);
    for (size_t i = 0; i < said->len; i++) {
        exeat_chunk *chunk = &out->chunks[i];
        exports_exeat_plugin_adapter_chunk_t *to = &said->ptr[i];
        if (chunk->begins_file) {
            to->tag = EXPORTS_EXEAT_PLUGIN_ADAPTER_CHUNK_BEGIN_FILE;
            to->val.begin_file.name = to_wit(&chunk->name);
            to->val.begin_file.media_type = to_wit(&chunk->media_type);
        } else {
            to->tag = EXPORTS_EXEAT_PLUGIN_ADAPTER_CHUNK_BYTES;
            to->val.bytes.ptr = (uint8_t *)exeat_buf_take(&chunk->bytes, &to->val.bytes.len);
        }
    }
}

static void take_losses(exeat_sink *out, exports_exeat_plugin_adapter_list_loss_t *said)
{
    said->len = out->loss_count;
    said->ptr = exeat_new(said->len, sizeof *said->ptr);
    for (size_t i = 0; i < said->len; i++) {
        said->ptr[i].field = to_wit(&out->losses[i].field);
        said->ptr[i].reason = to_wit(&out->losses[i].reason);
        said->ptr[i].rows = out->losses[i].rows;
    }
}

static void take_sides(exeat_sink *out, exports_exeat_plugin_adapter_list_side_line_t *said)
{
    said->len = out->side_count;
    said->ptr = exeat_new(said->len, sizeof *said->ptr);
    for (size_t i = 0; i < said->len; i++) {
        said->ptr[i].file = out->sides[i].action ? EXPORTS_EXEAT_PLUGIN_ADAPTER_SIDE_FILE_ACTIONS
                                                 : EXPORTS_EXEAT_PLUGIN_ADAPTER_SIDE_FILE_ID_MAP;
        said->ptr[i].line = to_wit(&out->sides[i].line);
    }
}

/* After a fault the job is over and the instance with it, so what is in the sink need not be freed. */
static bool take_sink(exeat_sink *out, uint32_t written, uint32_t dropped,
                      exports_exeat_plugin_adapter_encoded_t *ret, exports_exeat_plugin_adapter_fault_t *err)
{
    if (exeat_failed()) {
        return say_fault(err);
    }
    take_chunks(out, &ret->chunks);
    ret->written = written;
    ret->dropped = dropped;
    ret->rejects.ptr = take_rejects(&ret->rejects.len);
    take_losses(out, &ret->losses);
    take_sides(out, &ret->side_lines);
    free(out->chunks);
    free(out->losses);
    free(out->sides);
    return true;
}

bool exports_exeat_plugin_adapter_process(exports_exeat_plugin_adapter_batch_t *batch,
                                          exports_exeat_plugin_adapter_encoded_t *ret,
                                          exports_exeat_plugin_adapter_fault_t *err)
{
    exeat_sink out;
    uint32_t written = 0;
    uint32_t dropped = 0;
    memset(&out, 0, sizeof out);
    exeat_begin_call();
    if (!is_open) {
        exeat_fail("the host called before it opened a job");
    }
    exeat_column *columns = view_columns(batch);
    exeat_row row = {columns, 0};
    for (; row.index < batch->rows && !exeat_failed(); row.index++) {
        exeat_fate fate = exeat_adapter_row(&row, &out);
        if (!exeat_failed() && is_fate(fate, EXEAT_WRITTEN, EXEAT_DROPPED)) {
            written += fate == EXEAT_WRITTEN;
            dropped += fate == EXEAT_DROPPED;
        }
    }
    free(columns);
    exports_exeat_plugin_adapter_batch_free(batch);
    return take_sink(&out, written, dropped, ret, err);
}

bool exports_exeat_plugin_adapter_finish(exports_exeat_plugin_adapter_encoded_t *ret,
                                         exports_exeat_plugin_adapter_fault_t *err)
{
    exeat_sink out;
    memset(&out, 0, sizeof out);
    exeat_begin_call();
    if (is_open) {
        exeat_adapter_finish(&out);
    } else {
        exeat_fail("the host called before it opened a job");
    }
    return take_sink(&out, 0, 0, ret, err);
}

void exeat_log(exeat_level level, const char *message)
{
    adapter_plugin_string_t text = {(uint8_t *)message, strlen(message)};
    exeat_plugin_log_write((exeat_plugin_log_level_t)level, &text);
}

bool exeat_log_enabled(exeat_level level)
{
    return exeat_plugin_log_enabled((exeat_plugin_log_level_t)level);
}
