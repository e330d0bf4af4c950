/*
 * Write Exeat plugins in C: transforms and adapters, row by row.
 *
 * A plugin defines `exeat_plugin_about` and `exeat_plugin_open`, and a transform
 * `exeat_transform_row`, an adapter `exeat_adapter_row` and `exeat_adapter_finish`. The kit calls
 * them. One instance serves one job, so plain static variables hold the plugin's state.
 *
 * Handles such as `exeat_text_in` are made once, in `exeat_plugin_open`, and used for every row.
 * Each type of column has a type of handle, so the compiler refuses a mix-up.
 */
#ifndef EXEAT_H
#define EXEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Texts -------------------------------------------------------------------------------- */

/* UTF-8 that belongs to somebody else. `ptr` is NULL where there is no value. Not ended by NUL. */
typedef struct {
    const char *ptr;
    size_t len;
} exeat_str;

/* The same bytes as this string ended by NUL. */
exeat_str exeat_s(const char *text);

/* Whether the bytes are the same. A missing value equals nothing. */
bool exeat_is(exeat_str value, const char *text);

/* How many characters (Unicode code points) there are. */
size_t exeat_chars(exeat_str value);

/* One byte in the other case: A to Z and a to z only. */
char exeat_ascii_upper(char c);
char exeat_ascii_lower(char c);

/* Bytes that grow. Running out of memory stops the plugin. */
typedef struct {
    char *ptr;
    size_t len;
    size_t capacity;
} exeat_buf;

void exeat_add(exeat_buf *buf, const char *bytes, size_t len);
void exeat_add_char(exeat_buf *buf, char c);
void exeat_add_str(exeat_buf *buf, exeat_str value);
void exeat_add_text(exeat_buf *buf, const char *text);
void exeat_add_int(exeat_buf *buf, int64_t value);

/* The text as a JSON string, quotes and escapes included; `null` where there is no value. */
void exeat_add_json(exeat_buf *buf, exeat_str value);

/* The text with its ASCII letters in the other case; every other character stays. */
void exeat_add_ascii_upper(exeat_buf *buf, exeat_str value);
void exeat_add_ascii_lower(exeat_buf *buf, exeat_str value);

/* Makes room for `len` more bytes and counts them in: write all of them through the pointer. */
char *exeat_add_room(exeat_buf *buf, size_t len);

/* The bytes so far, until the next addition. */
exeat_str exeat_buf_str(const exeat_buf *buf);

void exeat_buf_free(exeat_buf *buf);

/* ---- JSON --------------------------------------------------------------------------------- */

typedef enum {
    EXEAT_JSON_NULL,
    EXEAT_JSON_BOOL,
    EXEAT_JSON_INT,   /* written without point and exponent, and fits 64 bits */
    EXEAT_JSON_FLOAT, /* any other number */
    EXEAT_JSON_TEXT,
    EXEAT_JSON_ARRAY,
    EXEAT_JSON_OBJECT
} exeat_json_kind;

/* One value of a JSON text. Walk an array or object from `first` along `next`. */
typedef struct exeat_json {
    exeat_json_kind kind;
    exeat_str key;  /* of a member of an object */
    exeat_str text; /* without escapes */
    int64_t integer;
    double number; /* of INT and FLOAT */
    bool truth;
    size_t len; /* of an array or object */
    struct exeat_json *first;
    struct exeat_json *next;
    bool asked; /* the kit's: which keys of the configuration the plugin knows */
} exeat_json;

/* Parses a whole JSON text (RFC 8259). NULL where it is not JSON, where a number is too large, or
 * where it is more than 64 levels deep. */
exeat_json *exeat_json_parse(exeat_str text);
void exeat_json_free(exeat_json *root);

/* The first member of this key; NULL where there is none, or where `object` is NULL or no object. */
exeat_json *exeat_json_get(exeat_json *object, const char *key);

/* ---- Saying no ---------------------------------------------------------------------------- */

/* The job cannot start, or cannot go on. The first of these in a call counts. A message must not
 * quote a user's values. */

/* The configuration is wrong at this JSON pointer (RFC 6901). */
void exeat_config_error(const char *pointer, const char *message);
/* A column is missing or has another type. */
void exeat_schema_error(exeat_str field, const char *message);
/* A reason of the plugin's own. */
void exeat_fail(const char *message);
/* Whether one of the above has been said in this call. */
bool exeat_failed(void);

/* What becomes of a row. */
typedef enum {
    EXEAT_KEEP,     /* transform: it stays */
    EXEAT_DROP,     /* transform: it is filtered out, and counted */
    EXEAT_WRITTEN,  /* adapter: it is in the output, or will be when the buffer is flushed */
    EXEAT_DROPPED,  /* adapter: left out on purpose, and counted */
    EXEAT_REJECTED, /* it cannot go out: use exeat_reject */
    EXEAT_FAILED    /* the job cannot go on: after exeat_fail */
} exeat_fate;

/* ---- Configuration ------------------------------------------------------------------------ */

/* Each call reads one key of the configuration and faults at its JSON pointer where the value is of
 * another type. A key that `exeat_plugin_open` asks for in no call is refused as unknown. */

/* Faults where the key is missing. */
void exeat_config_require(exeat_json *config, const char *key);
exeat_str exeat_config_text(exeat_json *config, const char *key, const char *otherwise);
/* A whole number between the bounds, both included. */
int64_t exeat_config_int(exeat_json *config, const char *key, int64_t otherwise, int64_t min, int64_t max);
double exeat_config_float(exeat_json *config, const char *key, double otherwise);
bool exeat_config_bool(exeat_json *config, const char *key, bool otherwise);
/* Any value, to be checked by the plugin; NULL where the key is missing. */
exeat_json *exeat_config_any(exeat_json *config, const char *key);

/* ---- The plan ----------------------------------------------------------------------------- */

typedef enum {
    EXEAT_BOOLEAN,
    EXEAT_INT64,
    EXEAT_FLOAT64,
    EXEAT_TIMESTAMP_US, /* microseconds since 1970-01-01T00:00:00Z */
    EXEAT_UTF8,
    EXEAT_JSON,
    EXEAT_UTF8_LIST
} exeat_type;

/* One column on offer. A selected one is part of the export unless the plugin leaves it out; any
 * other is to be had for the asking. */
typedef struct {
    exeat_str name;
    exeat_type type;
    bool nullable;
    bool selected;
} exeat_field;

/* What a plugin may know of its job. The instant of the snapshot is the only clock, the seed (the
 * same for every job of a tenant) the only randomness. The key has 32 bytes. */
typedef struct {
    exeat_str id;
    int64_t snapshot_at_us;
    uint64_t seed;
    const uint8_t *pseudonym_key;
} exeat_job;

typedef struct { uint32_t slot; } exeat_text_in;
typedef struct { uint32_t slot; } exeat_json_in;
typedef struct { uint32_t slot; } exeat_int_in;
typedef struct { uint32_t slot; } exeat_float_in;
typedef struct { uint32_t slot; } exeat_bool_in;
typedef struct { uint32_t slot; } exeat_timestamp_in;
typedef struct { uint32_t slot; } exeat_list_in;
typedef struct { uint32_t slot; exeat_type type; } exeat_any_in;

typedef struct { uint32_t slot; } exeat_text_out;
typedef struct { uint32_t slot; } exeat_json_out;
typedef struct { uint32_t slot; } exeat_int_out;
typedef struct { uint32_t slot; } exeat_float_out;
typedef struct { uint32_t slot; } exeat_bool_out;
typedef struct { uint32_t slot; } exeat_timestamp_out;

typedef struct exeat_plan exeat_plan;

/* Reads a column. Faults where it is not on offer or of another type: at the part `at` of the
 * configuration that named it, or, where `at` is NULL, on the column itself. */
exeat_text_in exeat_read_text(exeat_plan *plan, exeat_str name, const char *at);
exeat_json_in exeat_read_json(exeat_plan *plan, exeat_str name, const char *at);
exeat_int_in exeat_read_int(exeat_plan *plan, exeat_str name, const char *at);
exeat_float_in exeat_read_float(exeat_plan *plan, exeat_str name, const char *at);
exeat_bool_in exeat_read_bool(exeat_plan *plan, exeat_str name, const char *at);
exeat_timestamp_in exeat_read_timestamp(exeat_plan *plan, exeat_str name, const char *at);
exeat_list_in exeat_read_list(exeat_plan *plan, exeat_str name, const char *at);
exeat_any_in exeat_read_any(exeat_plan *plan, exeat_str name, const char *at);

/* Every column on offer, and one by its name (NULL where it is not on offer). */
const exeat_field *exeat_input(const exeat_plan *plan, size_t *count);
const exeat_field *exeat_find(const exeat_plan *plan, exeat_str name);

/* Transforms only, from here on. The order of the calls is the order of the output's columns. */

/* A column comes out untouched, under the same or another name. */
void exeat_pass(exeat_plan *plan, exeat_str name, const char *at);
void exeat_pass_as(exeat_plan *plan, exeat_str name, exeat_str new_name, const char *at);
/* Every selected column comes out but these. */
void exeat_pass_selected_except(exeat_plan *plan, const exeat_str *names, size_t count);

/* The same value in every row. */
void exeat_constant_null(exeat_plan *plan, exeat_str name, exeat_type type);
void exeat_constant_text(exeat_plan *plan, exeat_str name, exeat_str value);
void exeat_constant_json(exeat_plan *plan, exeat_str name, exeat_str value);
void exeat_constant_int(exeat_plan *plan, exeat_str name, int64_t value);
void exeat_constant_float(exeat_plan *plan, exeat_str name, double value);
void exeat_constant_bool(exeat_plan *plan, exeat_str name, bool value);
void exeat_constant_timestamp(exeat_plan *plan, exeat_str name, int64_t value);

/* A column that `exeat_transform_row` writes. */
exeat_text_out exeat_compute_text(exeat_plan *plan, exeat_str name);
exeat_json_out exeat_compute_json(exeat_plan *plan, exeat_str name);
exeat_int_out exeat_compute_int(exeat_plan *plan, exeat_str name);
exeat_float_out exeat_compute_float(exeat_plan *plan, exeat_str name);
exeat_bool_out exeat_compute_bool(exeat_plan *plan, exeat_str name);
exeat_timestamp_out exeat_compute_timestamp(exeat_plan *plan, exeat_str name);

/* ---- Rows --------------------------------------------------------------------------------- */

/* The kit's: a column in Arrow layout. */
typedef struct {
    exeat_type type;
    const uint8_t *validity; /* NULL where every value is present */
    const uint8_t *bits;
    const int64_t *integers;
    const double *numbers;
    const int32_t *offsets;
    const char *bytes;
    const int32_t *lists;
} exeat_column;

/* One row of a batch; `index` counts from 0. Its texts are good until the call returns. */
typedef struct {
    const exeat_column *columns;
    uint32_t index;
} exeat_row;

/* Whether the row has a value there. */
static inline bool exeat_has(const exeat_row *row, uint32_t slot)
{
    const uint8_t *validity = row->columns[slot].validity;
    return validity == NULL || (validity[row->index / 8] >> (row->index % 8) & 1) != 0;
}

/* The kit's: the text at this slot. */
static inline exeat_str exeat_text_at(const exeat_row *row, uint32_t slot)
{
    const exeat_column *column = &row->columns[slot];
    exeat_str none = {NULL, 0};
    if (!exeat_has(row, slot)) {
        return none;
    }
    int32_t from = column->offsets[row->index];
    exeat_str value = {column->bytes + from, (size_t)(column->offsets[row->index + 1] - from)};
    return value;
}

/* `ptr` is NULL where there is no value. */
static inline exeat_str exeat_text(const exeat_row *row, exeat_text_in column)
{
    return exeat_text_at(row, column.slot);
}
static inline exeat_str exeat_json_text(const exeat_row *row, exeat_json_in column)
{
    return exeat_text_at(row, column.slot);
}

/* False where there is no value; then `*value` is left as it is. */
bool exeat_int(const exeat_row *row, exeat_int_in column, int64_t *value);
bool exeat_float(const exeat_row *row, exeat_float_in column, double *value);
bool exeat_bool(const exeat_row *row, exeat_bool_in column, bool *value);
bool exeat_timestamp(const exeat_row *row, exeat_timestamp_in column, int64_t *value);

/* How many texts the list has; 0 where there is no list. Item `item` of them. */
size_t exeat_list_len(const exeat_row *row, exeat_list_in column);
exeat_str exeat_list_item(const exeat_row *row, exeat_list_in column, size_t item);

/* The handle of the column's own type, for a column that was read with exeat_read_any. Using one
 * for a column of another type stops the plugin: look at `column.type` first. */
exeat_text_in exeat_as_text(exeat_any_in column);
exeat_json_in exeat_as_json(exeat_any_in column);
exeat_int_in exeat_as_int(exeat_any_in column);
exeat_float_in exeat_as_float(exeat_any_in column);
exeat_bool_in exeat_as_bool(exeat_any_in column);
exeat_timestamp_in exeat_as_timestamp(exeat_any_in column);
exeat_list_in exeat_as_list(exeat_any_in column);

/* The row cannot go out: a short code, the field to blame (or a missing text), and a sentence that
 * quotes no value. Give back what it returns: `return exeat_reject(...)`. */
exeat_fate exeat_reject(const exeat_row *row, const char *code, exeat_str field, const char *message);

/* ---- What a transform writes -------------------------------------------------------------- */

typedef struct exeat_output exeat_output;

/* A computed column that is not written in a row is missing there. Writing twice keeps the last. */
void exeat_put_text(exeat_output *out, exeat_text_out column, exeat_str value);
void exeat_put_json(exeat_output *out, exeat_json_out column, exeat_str value);
void exeat_put_int(exeat_output *out, exeat_int_out column, int64_t value);
void exeat_put_float(exeat_output *out, exeat_float_out column, double value);
void exeat_put_bool(exeat_output *out, exeat_bool_out column, bool value);
void exeat_put_timestamp(exeat_output *out, exeat_timestamp_out column, int64_t value);

/* A text piece by piece: only append to this buffer, and only until the row ends. */
exeat_buf *exeat_begin_text(exeat_output *out, exeat_text_out column);
exeat_buf *exeat_begin_json(exeat_output *out, exeat_json_out column);

/* ---- What an adapter writes --------------------------------------------------------------- */

typedef struct exeat_sink exeat_sink;

/* Ends the file at hand and begins the next. The name is one path segment of ASCII letters, digits,
 * `.`, `_` and `-`, unique in the export. */
void exeat_begin_file(exeat_sink *out, exeat_str name, const char *media_type);
/* The file at hand: only append to it. Ask anew in each call and after exeat_begin_file. */
exeat_buf *exeat_file(exeat_sink *out);
/* Counts a value that the destination cannot hold. */
void exeat_loss(exeat_sink *out, exeat_str field, const char *reason);
/* A line (one JSON object) of the map from old ids to new ones, or of what must be done after the
 * import. */
void exeat_id_map(exeat_sink *out, exeat_str line);
void exeat_action(exeat_sink *out, exeat_str line);

/* ---- Log ---------------------------------------------------------------------------------- */

typedef enum { EXEAT_TRACE, EXEAT_DEBUG, EXEAT_INFO, EXEAT_WARN, EXEAT_ERROR } exeat_level;

/* Never log a user's values. */
void exeat_log(exeat_level level, const char *message);
bool exeat_log_enabled(exeat_level level);

/* ---- What a plugin defines ---------------------------------------------------------------- */

typedef struct {
    const char *name;    /* lower-case letters, digits, hyphens */
    const char *version; /* a semantic version */
    const char *summary;
    const char *config_schema; /* JSON Schema (2020-12) */
    bool stateful;             /* transform: a batch's result depends on earlier batches */
} exeat_about;

extern const exeat_about exeat_plugin_about;

/* Declares what is read and what comes out, before any row is seen. Everything that it is given
 * stays good as long as the job. */
void exeat_plugin_open(exeat_json *config, const exeat_job *job, exeat_plan *plan);

/* A transform: computes the output of one row. */
exeat_fate exeat_transform_row(const exeat_row *row, exeat_output *out);

/* An adapter: writes one row, now or later. Reject a row before anything of it is written. */
exeat_fate exeat_adapter_row(const exeat_row *row, exeat_sink *out);
/* An adapter: writes what is left after the last row. */
void exeat_adapter_finish(exeat_sink *out);

#ifdef __cplusplus
}
#endif
#endif
