/*
 * Memory, texts, faults and rejects. No file named exeat*.c knows the contract's bindings:
 * transform_glue.c and adapter_glue.c join the two.
 */
#include "exeat_kit.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

void exeat_stop(void)
{
    __builtin_trap();
}

void *exeat_new(size_t count, size_t size)
{
    if (count == 0) {
        return NULL;
    }
    void *memory = calloc(count, size);
    if (memory == NULL) {
        exeat_stop();
    }
    return memory;
}

void *exeat_grown(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    size_t larger = *capacity == 0 ? 8 : *capacity * 2;
    if (larger > SIZE_MAX / 2 / size) {
        exeat_stop();
    }
    void *grown = realloc(array, larger * size);
    if (grown == NULL) {
        exeat_stop();
    }
    *capacity = larger;
    return grown;
}

/* ---- Texts ---- */

exeat_str exeat_s(const char *text)
{
    exeat_str value = {text, text == NULL ? 0 : strlen(text)};
    return value;
}

bool exeat_same(exeat_str left, exeat_str right)
{
    return left.len == right.len && (left.len == 0 || memcmp(left.ptr, right.ptr, left.len) == 0);
}

bool exeat_is(exeat_str value, const char *text)
{
    return value.ptr != NULL && text != NULL && exeat_same(value, exeat_s(text));
}

size_t exeat_chars(exeat_str value)
{
    size_t count = 0;
    for (size_t i = 0; i < value.len; i++) {
        /* Every byte but a continuation begins a character. */
        count += ((unsigned char)value.ptr[i] & 0xC0) != 0x80;
    }
    return count;
}

char exeat_ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

char exeat_ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

char *exeat_add_room(exeat_buf *buf, size_t len)
{
    if (len > SIZE_MAX / 4 - buf->len) {
        exeat_stop();
    }
    size_t needed = buf->len + len;
    if (needed > buf->capacity || buf->ptr == NULL) {
        size_t capacity = buf->capacity * 2;
        if (capacity < needed) {
            capacity = needed;
        }
        if (capacity < 32) {
            capacity = 32;
        }
        char *grown = realloc(buf->ptr, capacity);
        if (grown == NULL) {
            exeat_stop();
        }
        buf->ptr = grown;
        buf->capacity = capacity;
    }
    char *room = buf->ptr + buf->len;
    buf->len = needed;
    return room;
}

void exeat_add(exeat_buf *buf, const char *bytes, size_t len)
{
    if (len != 0) {
        memcpy(exeat_add_room(buf, len), bytes, len);
    }
}

void exeat_add_char(exeat_buf *buf, char c)
{
    *exeat_add_room(buf, 1) = c;
}

void exeat_add_str(exeat_buf *buf, exeat_str value)
{
    exeat_add(buf, value.ptr, value.len);
}

void exeat_add_text(exeat_buf *buf, const char *text)
{
    exeat_add_str(buf, exeat_s(text));
}

void exeat_add_int(exeat_buf *buf, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        exeat_add_char(buf, '-');
    }
    exeat_add(buf, digits + at, sizeof digits - at);
}

void exeat_add_json(exeat_buf *buf, exeat_str value)
{
    static const char hex[] = "0123456789abcdef";
    if (value.ptr == NULL) {
        exeat_add_text(buf, "null");
        return;
    }
    exeat_add_char(buf, '"');
    size_t plain = 0; /* where the run begins that needs no escape */
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        exeat_add(buf, value.ptr + plain, i - plain);
        plain = i + 1;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t len = 2;
        switch (c) {
        case '"':
        case '\\':
            escape[1] = (char)c;
            break;
        case '\b':
            escape[1] = 'b';
            break;
        case '\f':
            escape[1] = 'f';
            break;
        case '\n':
            escape[1] = 'n';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        case '\t':
            escape[1] = 't';
            break;
        default:
            len = sizeof escape;
        }
        exeat_add(buf, escape, len);
    }
    exeat_add(buf, value.ptr + plain, value.len - plain);
    exeat_add_char(buf, '"');
}

void exeat_add_ascii_upper(exeat_buf *buf, exeat_str value)
{
    char *to = exeat_add_room(buf, value.len);
    for (size_t i = 0; i < value.len; i++) {
        to[i] = exeat_ascii_upper(value.ptr[i]);
    }
}

void exeat_add_ascii_lower(exeat_buf *buf, exeat_str value)
{
    char *to = exeat_add_room(buf, value.len);
    for (size_t i = 0; i < value.len; i++) {
        to[i] = exeat_ascii_lower(value.ptr[i]);
    }
}

exeat_str exeat_buf_str(const exeat_buf *buf)
{
    exeat_str value = {buf->ptr == NULL ? "" : buf->ptr, buf->len};
    return value;
}

void exeat_buf_free(exeat_buf *buf)
{
    free(buf->ptr);
    memset(buf, 0, sizeof *buf);
}

char *exeat_buf_take(exeat_buf *buf, size_t *len)
{
    char *ptr = buf->ptr;
    *len = buf->len;
    if (buf->len == 0) {
        free(ptr);
        ptr = NULL;
    }
    memset(buf, 0, sizeof *buf);
    return ptr;
}

exeat_buf exeat_copy(exeat_str value)
{
    exeat_buf copy = {NULL, 0, 0};
    exeat_add_str(&copy, value);
    return copy;
}

exeat_str exeat_kept(exeat_str value)
{
    exeat_buf copy = exeat_copy(value);
    return exeat_buf_str(&copy);
}

/* ---- Faults and rejects ---- */

exeat_fault exeat_the_fault;
exeat_rejected *exeat_the_rejects;
size_t exeat_reject_count;
static size_t reject_capacity;

void exeat_begin_call(void)
{
    exeat_the_fault.kind = FAULT_NONE;
    exeat_buf_free(&exeat_the_fault.where);
    exeat_buf_free(&exeat_the_fault.message);
    for (size_t i = 0; i < exeat_reject_count; i++) {
        exeat_buf_free(&exeat_the_rejects[i].code);
        exeat_buf_free(&exeat_the_rejects[i].field);
        exeat_buf_free(&exeat_the_rejects[i].message);
    }
    exeat_reject_count = 0;
}

void exeat_fault_at(exeat_fault_kind kind, exeat_str where, exeat_str message)
{
    if (exeat_the_fault.kind == FAULT_NONE) {
        exeat_the_fault.kind = kind;
        exeat_the_fault.where = exeat_copy(where);
        exeat_the_fault.message = exeat_copy(message);
    }
}

void exeat_config_error(const char *pointer, const char *message)
{
    exeat_fault_at(FAULT_CONFIG, exeat_s(pointer), exeat_s(message));
}

void exeat_schema_error(exeat_str field, const char *message)
{
    exeat_fault_at(FAULT_SCHEMA, field, exeat_s(message));
}

void exeat_fail(const char *message)
{
    exeat_fault_at(FAULT_INTERNAL, exeat_s(""), exeat_s(message));
}

bool exeat_failed(void)
{
    return exeat_the_fault.kind != FAULT_NONE;
}

exeat_fate exeat_reject(const exeat_row *row, const char *code, exeat_str field, const char *message)
{
    exeat_the_rejects =
        exeat_grown(exeat_the_rejects, &reject_capacity, exeat_reject_count, sizeof *exeat_the_rejects);
    exeat_rejected *reject = &exeat_the_rejects[exeat_reject_count++];
    reject->row = row->index;
    reject->has_field = field.ptr != NULL;
    reject->field = exeat_copy(field);
    reject->code = exeat_copy(exeat_s(code));
    reject->message = exeat_copy(exeat_s(message));
    return EXEAT_REJECTED;
}
