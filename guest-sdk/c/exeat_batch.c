/*
 * What happens in a batch: rows are read, columns or files are written.
 */
#include "exeat_kit.h"

#include <stdlib.h>
#include <string.h>

/* ---- Rows ---- */

static bool bit(const uint8_t *bitmap, uint32_t index)
{
    return (bitmap[index / 8] >> (index % 8) & 1) != 0;
}

static void set_bit(uint8_t *bitmap, uint32_t index, bool value)
{
    uint8_t mask = (uint8_t)(1u << (index % 8));
    bitmap[index / 8] = (uint8_t)(value ? bitmap[index / 8] | mask : bitmap[index / 8] & ~mask);
}

bool exeat_int(const exeat_row *row, exeat_int_in column, int64_t *value)
{
    if (!exeat_has(row, column.slot)) {
        return false;
    }
    *value = row->columns[column.slot].integers[row->index];
    return true;
}

bool exeat_float(const exeat_row *row, exeat_float_in column, double *value)
{
    if (!exeat_has(row, column.slot)) {
        return false;
    }
    *value = row->columns[column.slot].numbers[row->index];
    return true;
}

bool exeat_bool(const exeat_row *row, exeat_bool_in column, bool *value)
{
    if (!exeat_has(row, column.slot)) {
        return false;
    }
    *value = bit(row->columns[column.slot].bits, row->index);
    return true;
}

bool exeat_timestamp(const exeat_row *row, exeat_timestamp_in column, int64_t *value)
{
    exeat_int_in integers = {column.slot};
    return exeat_int(row, integers, value);
}

size_t exeat_list_len(const exeat_row *row, exeat_list_in column)
{
    const int32_t *lists = row->columns[column.slot].lists;
    return exeat_has(row, column.slot) ? (size_t)(lists[row->index + 1] - lists[row->index]) : 0;
}

exeat_str exeat_list_item(const exeat_row *row, exeat_list_in column, size_t item)
{
    exeat_str none = {NULL, 0};
    if (item >= exeat_list_len(row, column)) {
        return none;
    }
    const exeat_column *texts = &row->columns[column.slot];
    const int32_t *offsets = texts->offsets + texts->lists[row->index] + item;
    exeat_str value = {texts->bytes + offsets[0], (size_t)(offsets[1] - offsets[0])};
    return value;
}

#define AS(call, handle, wanted)                                                                               \
    handle call(exeat_any_in column)                                                                           \
    {                                                                                                          \
        if (column.type != (wanted)) {                                                                         \
            exeat_stop();                                                                                      \
        }                                                                                                      \
        handle same = {column.slot};                                                                           \
        return same;                                                                                           \
    }
AS(exeat_as_text, exeat_text_in, EXEAT_UTF8)
AS(exeat_as_json, exeat_json_in, EXEAT_JSON)
AS(exeat_as_int, exeat_int_in, EXEAT_INT64)
AS(exeat_as_float, exeat_float_in, EXEAT_FLOAT64)
AS(exeat_as_bool, exeat_bool_in, EXEAT_BOOLEAN)
AS(exeat_as_timestamp, exeat_timestamp_in, EXEAT_TIMESTAMP_US)
AS(exeat_as_list, exeat_list_in, EXEAT_UTF8_LIST)

/* ---- Computed columns ---- */

static bool is_text(exeat_type type)
{
    return type == EXEAT_UTF8 || type == EXEAT_JSON;
}

void exeat_output_begin(exeat_output *out, const exeat_plan *plan, uint32_t rows)
{
    out->count = plan->computed_count;
    out->builders = exeat_new(out->count, sizeof *out->builders);
    out->row = 0;
    for (size_t i = 0; i < out->count; i++) {
        exeat_builder *builder = &out->builders[i];
        builder->type = plan->computed[i];
        builder->validity = exeat_new(exeat_bitmap_len(rows), 1);
        if (is_text(builder->type)) {
            builder->values = exeat_new((size_t)rows + 1, sizeof(int32_t));
        } else if (builder->type == EXEAT_BOOLEAN) {
            builder->values = exeat_new(exeat_bitmap_len(rows), 1);
        } else {
            builder->values = exeat_new(rows, sizeof(int64_t));
        }
    }
}

void exeat_output_end_row(exeat_output *out, bool stays)
{
    for (size_t i = 0; i < out->count; i++) {
        exeat_builder *builder = &out->builders[i];
        int32_t *offsets = builder->values;
        if (!stays) {
            set_bit(builder->validity, out->row, false);
        }
        bool missing = !bit(builder->validity, out->row);
        builder->nulls = builder->nulls || missing;
        if (is_text(builder->type)) {
            if (missing) {
                builder->text.len = (size_t)offsets[out->row];
            }
            if (builder->text.len > INT32_MAX) {
                exeat_stop();
            }
            offsets[out->row + 1] = (int32_t)builder->text.len;
        }
    }
    out->row++;
}

void exeat_output_free(exeat_output *out)
{
    for (size_t i = 0; i < out->count; i++) {
        free(out->builders[i].validity);
        free(out->builders[i].values);
        exeat_buf_free(&out->builders[i].text);
    }
    free(out->builders);
    memset(out, 0, sizeof *out);
}

/* The builder, its row marked as present. */
static exeat_builder *write_to(exeat_output *out, uint32_t slot)
{
    exeat_builder *builder = &out->builders[slot];
    set_bit(builder->validity, out->row, true);
    return builder;
}

static exeat_buf *begin(exeat_output *out, uint32_t slot)
{
    exeat_builder *builder = write_to(out, slot);
    /* Takes back what was written in this row before. */
    builder->text.len = (size_t)((int32_t *)builder->values)[out->row];
    return &builder->text;
}

exeat_buf *exeat_begin_text(exeat_output *out, exeat_text_out column)
{
    return begin(out, column.slot);
}

exeat_buf *exeat_begin_json(exeat_output *out, exeat_json_out column)
{
    return begin(out, column.slot);
}

/* A missing value is one that is not written. */
static void put_text(exeat_output *out, uint32_t slot, exeat_str value)
{
    exeat_add_str(begin(out, slot), value);
    if (value.ptr == NULL) {
        set_bit(out->builders[slot].validity, out->row, false);
    }
}

void exeat_put_text(exeat_output *out, exeat_text_out column, exeat_str value)
{
    put_text(out, column.slot, value);
}

void exeat_put_json(exeat_output *out, exeat_json_out column, exeat_str value)
{
    put_text(out, column.slot, value);
}

void exeat_put_int(exeat_output *out, exeat_int_out column, int64_t value)
{
    ((int64_t *)write_to(out, column.slot)->values)[out->row] = value;
}

void exeat_put_float(exeat_output *out, exeat_float_out column, double value)
{
    ((double *)write_to(out, column.slot)->values)[out->row] = value;
}

void exeat_put_bool(exeat_output *out, exeat_bool_out column, bool value)
{
    set_bit(write_to(out, column.slot)->values, out->row, value);
}

void exeat_put_timestamp(exeat_output *out, exeat_timestamp_out column, int64_t value)
{
    ((int64_t *)write_to(out, column.slot)->values)[out->row] = value;
}

/* ---- Files and what goes beside them ---- */

static exeat_chunk *add_chunk(exeat_sink *out)
{
    out->chunks = exeat_grown(out->chunks, &out->chunk_capacity, out->chunk_count, sizeof *out->chunks);
    exeat_chunk *chunk = &out->chunks[out->chunk_count++];
    memset(chunk, 0, sizeof *chunk);
    return chunk;
}

void exeat_sink_flush(exeat_sink *out)
{
    if (out->file.len != 0) {
        add_chunk(out)->bytes = out->file;
        memset(&out->file, 0, sizeof out->file);
    }
}

void exeat_begin_file(exeat_sink *out, exeat_str name, const char *media_type)
{
    exeat_sink_flush(out);
    exeat_chunk *chunk = add_chunk(out);
    chunk->begins_file = true;
    chunk->name = exeat_copy(name);
    chunk->media_type = exeat_copy(exeat_s(media_type));
}

exeat_buf *exeat_file(exeat_sink *out)
{
    return &out->file;
}

void exeat_loss(exeat_sink *out, exeat_str field, const char *reason)
{
    for (size_t i = 0; i < out->loss_count; i++) {
        exeat_lost *lost = &out->losses[i];
        if (exeat_same(exeat_buf_str(&lost->field), field) && exeat_is(exeat_buf_str(&lost->reason), reason)) {
            lost->rows++;
            return;
        }
    }
    out->losses = exeat_grown(out->losses, &out->loss_capacity, out->loss_count, sizeof *out->losses);
    exeat_lost *lost = &out->losses[out->loss_count++];
    lost->field = exeat_copy(field);
    lost->reason = exeat_copy(exeat_s(reason));
    lost->rows = 1;
}

static void add_side(exeat_sink *out, bool action, exeat_str line)
{
    out->sides = exeat_grown(out->sides, &out->side_capacity, out->side_count, sizeof *out->sides);
    exeat_side *side = &out->sides[out->side_count++];
    side->action = action;
    side->line = exeat_copy(line);
}

void exeat_id_map(exeat_sink *out, exeat_str line)
{
    add_side(out, false, line);
}

void exeat_action(exeat_sink *out, exeat_str line)
{
    add_side(out, true, line);
}
