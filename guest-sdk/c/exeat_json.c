/*
 * Reads JSON (RFC 8259), and refuses whatever is not. The text is UTF-8: everything that crosses
 * the sandbox wall is.
 */
#include "exeat_kit.h"

#include <stdlib.h>
#include <string.h>

/* Levels of arrays and objects: the parser calls itself for each. */
#define MAX_DEPTH 64
/* Longest way to write one number. */
#define MAX_NUMBER 400

typedef struct {
    const char *at;
    const char *end;
} parser;

static bool parse_value(parser *in, exeat_json *value, int depth);

/* Skips blanks; the next byte, or NUL at the end. A NUL in the text fits nowhere outside a string,
 * and there it is refused as a control character. */
static char peek(parser *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) {
        in->at++;
    }
    return in->at < in->end ? *in->at : '\0';
}

static bool take(parser *in, char wanted)
{
    if (peek(in) != wanted || in->at == in->end) {
        return false;
    }
    in->at++;
    return true;
}

static bool take_word(parser *in, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0) {
        return false;
    }
    in->at += len;
    return true;
}

/* ---- Strings ---- */

static bool take_hex(parser *in, uint32_t *unit)
{
    if (in->end - in->at < 4) {
        return false;
    }
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = exeat_ascii_lower(*in->at++);
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint32_t)(c - 'a') + 10;
        } else {
            return false;
        }
        *unit = *unit << 4 | digit;
    }
    return true;
}

static void add_code_point(exeat_buf *text, uint32_t code)
{
    if (code < 0x80) {
        exeat_add_char(text, (char)code);
    } else if (code < 0x800) {
        exeat_add_char(text, (char)(0xC0 | code >> 6));
        exeat_add_char(text, (char)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        exeat_add_char(text, (char)(0xE0 | code >> 12));
        exeat_add_char(text, (char)(0x80 | (code >> 6 & 0x3F)));
        exeat_add_char(text, (char)(0x80 | (code & 0x3F)));
    } else {
        exeat_add_char(text, (char)(0xF0 | code >> 18));
        exeat_add_char(text, (char)(0x80 | (code >> 12 & 0x3F)));
        exeat_add_char(text, (char)(0x80 | (code >> 6 & 0x3F)));
        exeat_add_char(text, (char)(0x80 | (code & 0x3F)));
    }
}

/* What follows `\u`: one unit, or two that make a pair. Half a pair is no text. */
static bool take_unicode(parser *in, exeat_buf *text)
{
    uint32_t code, low;
    if (!take_hex(in, &code)) {
        return false;
    }
    if (code >= 0xD800 && code <= 0xDFFF) {
        if (code >= 0xDC00 || !take_word(in, "\\u") || !take_hex(in, &low) || low < 0xDC00 || low > 0xDFFF) {
            return false;
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    add_code_point(text, code);
    return true;
}

static bool take_escape(parser *in, exeat_buf *text)
{
    static const char written[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end) {
        return false;
    }
    char c = *in->at++;
    if (c == 'u') {
        return take_unicode(in, text);
    }
    const char *found = c == '\0' ? NULL : strchr(written, c);
    if (found == NULL) {
        return false;
    }
    exeat_add_char(text, meant[found - written]);
    return true;
}

/* A string, its opening quote taken. The text is the value's own memory. */
static bool take_string(parser *in, exeat_str *value)
{
    exeat_buf text = {NULL, 0, 0};
    while (in->at < in->end) {
        const char *plain = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\' && (unsigned char)*in->at >= 0x20) {
            in->at++;
        }
        exeat_add(&text, plain, (size_t)(in->at - plain));
        if (in->at == in->end) {
            break;
        }
        char c = *in->at++;
        if (c == '"') {
            exeat_add_room(&text, 0); /* an empty text is not a missing one */
            *value = exeat_buf_str(&text);
            return true;
        }
        if (c != '\\' || !take_escape(in, &text)) {
            break;
        }
    }
    exeat_buf_free(&text);
    return false;
}

/* ---- Numbers ---- */

static bool is_digit(const parser *in)
{
    return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static bool take_digits(parser *in)
{
    bool any = false;
    while (is_digit(in)) {
        in->at++;
        any = true;
    }
    return any;
}

static bool parse_number(parser *in, exeat_json *value)
{
    const char *start = in->at;
    bool negative = take_word(in, "-");
    bool whole = true;
    const char *digits = in->at;
    if (!take_digits(in) || (*digits == '0' && in->at - digits > 1)) {
        return false;
    }
    uint64_t magnitude = 0;
    for (const char *digit = digits; digit < in->at; digit++) {
        uint64_t next = (uint64_t)(*digit - '0');
        if (magnitude > (UINT64_MAX - next) / 10) {
            whole = false;
            break;
        }
        magnitude = magnitude * 10 + next;
    }
    if (take_word(in, ".")) {
        whole = false;
        if (!take_digits(in)) {
            return false;
        }
    }
    if (take_word(in, "e") || take_word(in, "E")) {
        whole = false;
        if (!take_word(in, "+")) {
            take_word(in, "-");
        }
        if (!take_digits(in)) {
            return false;
        }
    }
    size_t len = (size_t)(in->at - start);
    char copy[MAX_NUMBER + 1];
    if (len > MAX_NUMBER) {
        return false;
    }
    memcpy(copy, start, len);
    copy[len] = '\0';
    value->kind = EXEAT_JSON_FLOAT;
    value->number = strtod(copy, NULL);
    if (whole && magnitude <= (uint64_t)INT64_MAX + negative) {
        value->kind = EXEAT_JSON_INT;
        value->integer = (int64_t)(negative ? 0 - magnitude : magnitude);
    }
    return value->number <= 1.7976931348623157e308 && value->number >= -1.7976931348623157e308;
}

/* ---- Arrays and objects ---- */

static exeat_json *append(exeat_json *parent, exeat_json **last)
{
    exeat_json *child = exeat_new(1, sizeof *child);
    if (*last == NULL) {
        parent->first = child;
    } else {
        (*last)->next = child;
    }
    *last = child;
    parent->len++;
    return child;
}

static bool parse_array(parser *in, exeat_json *array, int depth)
{
    exeat_json *last = NULL;
    array->kind = EXEAT_JSON_ARRAY;
    if (take(in, ']')) {
        return true;
    }
    do {
        if (!parse_value(in, append(array, &last), depth)) {
            return false;
        }
    } while (take(in, ','));
    return take(in, ']');
}

static bool parse_object(parser *in, exeat_json *object, int depth)
{
    exeat_json *last = NULL;
    object->kind = EXEAT_JSON_OBJECT;
    if (take(in, '}')) {
        return true;
    }
    do {
        exeat_json *member = append(object, &last);
        if (!take(in, '"') || !take_string(in, &member->key) || !take(in, ':') || !parse_value(in, member, depth)) {
            return false;
        }
    } while (take(in, ','));
    return take(in, '}');
}

static bool parse_value(parser *in, exeat_json *value, int depth)
{
    switch (peek(in)) {
    case '{':
        in->at++;
        return depth < MAX_DEPTH && parse_object(in, value, depth + 1);
    case '[':
        in->at++;
        return depth < MAX_DEPTH && parse_array(in, value, depth + 1);
    case '"':
        in->at++;
        value->kind = EXEAT_JSON_TEXT;
        return take_string(in, &value->text);
    case 'n':
        value->kind = EXEAT_JSON_NULL;
        return take_word(in, "null");
    case 't':
    case 'f':
        value->kind = EXEAT_JSON_BOOL;
        value->truth = take_word(in, "true");
        return value->truth || take_word(in, "false");
    default:
        return parse_number(in, value);
    }
}

exeat_json *exeat_json_parse(exeat_str text)
{
    if (text.ptr == NULL) {
        return NULL;
    }
    parser in = {text.ptr, text.ptr + text.len};
    exeat_json *root = exeat_new(1, sizeof *root);
    if (!parse_value(&in, root, 0) || peek(&in) != '\0' || in.at != in.end) {
        exeat_json_free(root);
        return NULL;
    }
    return root;
}

void exeat_json_free(exeat_json *root)
{
    while (root != NULL) {
        exeat_json *next = root->next;
        exeat_json_free(root->first);
        free((char *)root->key.ptr);
        free((char *)root->text.ptr);
        free(root);
        root = next;
    }
}

exeat_json *exeat_json_get(exeat_json *object, const char *key)
{
    exeat_json *member = object == NULL || object->kind != EXEAT_JSON_OBJECT ? NULL : object->first;
    while (member != NULL && !exeat_is(member->key, key)) {
        member = member->next;
    }
    return member;
}
