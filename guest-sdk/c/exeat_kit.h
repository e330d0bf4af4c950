/*
 * What the files of the kit share. A plugin includes exeat.h only.
 */
#ifndef EXEAT_KIT_H
#define EXEAT_KIT_H

#include "exeat.h"

/* Stops the plugin: what a plugin cannot be told, or a fault of the kit's user that no type caught. */
_Noreturn void exeat_stop(void);
/* Memory or nothing at all. Zero elements give NULL; new memory is zeroed. */
void *exeat_new(size_t count, size_t size);
/* Room for one more element than `count` in an array that doubles. */
void *exeat_grown(void *array, size_t *capacity, size_t count, size_t size);
/* The buffer's bytes, to be freed by whoever takes them; NULL where it is empty. */
char *exeat_buf_take(exeat_buf *buf, size_t *len);
/* A copy of the bytes; and one that is never freed. */
exeat_buf exeat_copy(exeat_str value);
exeat_str exeat_kept(exeat_str value);
bool exeat_same(exeat_str left, exeat_str right);

/* ---- Faults ---- */

typedef enum { FAULT_NONE, FAULT_CONFIG, FAULT_SCHEMA, FAULT_INTERNAL } exeat_fault_kind;

typedef struct {
    exeat_fault_kind kind;
    exeat_buf where; /* pointer or field */
    exeat_buf message;
} exeat_fault;

/* The fault of the call at hand. */
extern exeat_fault exeat_the_fault;
/* Says no, if nobody has in this call. */
void exeat_fault_at(exeat_fault_kind kind, exeat_str where, exeat_str message);

/* ---- Plan ---- */

typedef enum { COLUMN_PASS, COLUMN_CONSTANT, COLUMN_COMPUTED } exeat_column_kind;

typedef struct {
    exeat_column_kind kind;
    exeat_str name;
    uint32_t input;  /* PASS */
    exeat_type type; /* CONSTANT, COMPUTED */
    bool null;       /* CONSTANT: the rest, too */
    exeat_str text;
    int64_t integer;
    double number;
    bool truth;
} exeat_planned;

struct exeat_plan {
    exeat_field *input;
    size_t input_count;
    uint32_t *reads;
    size_t read_count, read_capacity;
    exeat_planned *output;
    size_t output_count, output_capacity;
    exeat_type *computed;
    size_t computed_count, computed_capacity;
};

/* Calls exeat_plugin_open. False where the plugin said no. */
bool exeat_run_open(exeat_str config, const exeat_job *job, exeat_plan *plan);

/* ---- Batches ---- */

typedef struct {
    uint32_t row;
    bool has_field;
    exeat_buf field, code, message;
} exeat_rejected;

/* The rejects of the batch at hand. */
extern exeat_rejected *exeat_the_rejects;
extern size_t exeat_reject_count;

/* Forgets the fault and the rejects of the call before. */
void exeat_begin_call(void);

/* One computed column: `values` holds bits, integers, numbers, or offsets with the text aside. */
typedef struct {
    exeat_type type;
    uint8_t *validity;
    bool nulls;
    void *values;
    exeat_buf text;
} exeat_builder;

struct exeat_output {
    exeat_builder *builders;
    size_t count;
    uint32_t row;
};

void exeat_output_begin(exeat_output *out, const exeat_plan *plan, uint32_t rows);
/* Ends the row: what was not written is missing, and a row that does not stay leaves nothing. */
void exeat_output_end_row(exeat_output *out, bool stays);
/* After a fault: nobody takes the columns. */
void exeat_output_free(exeat_output *out);

static inline size_t exeat_bitmap_len(uint32_t rows)
{
    return ((size_t)rows + 7) / 8;
}

/* ---- Sink ---- */

typedef struct {
    bool begins_file;
    exeat_buf name, media_type; /* of a file that begins */
    exeat_buf bytes;
} exeat_chunk;

typedef struct {
    exeat_buf field, reason;
    uint64_t rows;
} exeat_lost;

typedef struct {
    bool action; /* or else of the id map */
    exeat_buf line;
} exeat_side;

struct exeat_sink {
    exeat_chunk *chunks;
    size_t chunk_count, chunk_capacity;
    exeat_buf file;
    exeat_lost *losses;
    size_t loss_count, loss_capacity;
    exeat_side *sides;
    size_t side_count, side_capacity;
};

/* Makes a chunk of the bytes that were written since the last. */
void exeat_sink_flush(exeat_sink *out);

#endif
