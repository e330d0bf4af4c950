/*
 * Tests of the kit, natively, without bindings and host:
 *
 *     cc -std=c11 -Wall -Wextra -g -fsanitize=address,undefined -I.. -o /tmp/test_exeat test_exeat.c ../exeat*.c
 *     ASAN_OPTIONS=detect_leaks=0 /tmp/test_exeat
 *
 * A plan is never freed, so a search for leaks finds some.
 */
#include "exeat_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed;
static int failed;

static void check(bool holds, const char *what, int line)
{
    if (holds) {
        passed++;
    } else {
        failed++;
        printf("line %d: %s\n", line, what);
    }
}
#define CHECK(condition) check(condition, #condition, __LINE__)

/* ---- Texts ---- */

static bool buf_is(exeat_buf *buf, const char *wanted)
{
    bool is = exeat_is(exeat_buf_str(buf), wanted);
    exeat_buf_free(buf);
    return is;
}

static void test_texts(void)
{
    exeat_str none = {NULL, 0};
    exeat_buf buf = {NULL, 0, 0};

    CHECK(exeat_is(exeat_s("abc"), "abc"));
    CHECK(!exeat_is(exeat_s("abc"), "ab"));
    CHECK(!exeat_is(none, ""));
    CHECK(exeat_is(exeat_s(""), ""));
    CHECK(exeat_chars(exeat_s("")) == 0);
    CHECK(exeat_chars(exeat_s("Zo\xC3\xAB")) == 3);
    CHECK(exeat_chars(exeat_s("\xE5\xB1\xB1\xF0\x9F\x99\x82")) == 2);

    exeat_add_int(&buf, INT64_MIN);
    exeat_add_char(&buf, ' ');
    exeat_add_int(&buf, INT64_MAX);
    exeat_add_char(&buf, ' ');
    exeat_add_int(&buf, 0);
    CHECK(buf_is(&buf, "-9223372036854775808 9223372036854775807 0"));

    exeat_add_ascii_upper(&buf, exeat_s("az@[`{ Zo\xC3\xAB 9"));
    CHECK(buf_is(&buf, "AZ@[`{ ZO\xC3\xAB 9"));
    exeat_add_ascii_lower(&buf, exeat_s("AZ@[`{ ZO\xC3\x8B 9"));
    CHECK(buf_is(&buf, "az@[`{ zo\xC3\x8B 9"));

    exeat_add_json(&buf, none);
    exeat_add_json(&buf, exeat_s(""));
    exeat_add_json(&buf, exeat_s("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xC3\xAB"));
    CHECK(buf_is(&buf, "null\"\"\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xC3\xAB\""));
    exeat_str with_nul = {"a\0b", 3};
    exeat_add_json(&buf, with_nul);
    CHECK(buf_is(&buf, "\"a\\u0000b\""));

    for (int i = 0; i < 1000; i++) {
        exeat_add_text(&buf, "0123456789");
    }
    CHECK(buf.len == 10000 && memcmp(buf.ptr + 9990, "0123456789", 10) == 0);
    exeat_buf_free(&buf);
}

/* ---- JSON ---- */

/* Parses a copy that ends at a wall, so that a sanitizer sees a read beyond the end. */
static exeat_json *parse(const char *text, size_t len)
{
    char *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, text, len);
    exeat_str value = {copy, len};
    exeat_json *root = exeat_json_parse(value);
    free(copy);
    return root;
}

static bool is_json(const char *text)
{
    exeat_json *root = parse(text, strlen(text));
    bool is = root != NULL;
    exeat_json_free(root);
    return is;
}

static bool reads_as(const char *text, const char *wanted)
{
    exeat_json *root = parse(text, strlen(text));
    bool is = root != NULL && root->kind == EXEAT_JSON_TEXT && exeat_is(root->text, wanted);
    exeat_json_free(root);
    return is;
}

static bool is_int(const char *text, int64_t wanted)
{
    exeat_json *root = parse(text, strlen(text));
    bool is = root != NULL && root->kind == EXEAT_JSON_INT && root->integer == wanted;
    exeat_json_free(root);
    return is;
}

static bool is_float(const char *text, double wanted)
{
    exeat_json *root = parse(text, strlen(text));
    bool is = root != NULL && root->kind == EXEAT_JSON_FLOAT && root->number == wanted;
    exeat_json_free(root);
    return is;
}

static void test_json_refusals(void)
{
    static const char *const wrong[] = {
        "",          " ",         "{",         "}",          "[",        "]",         "[1,]",      "[,1]",
        "[1 2]",     "{\"a\"}",   "{\"a\":}",  "{\"a\":1,}", "{a:1}",    "{'a':1}",   "{1:2}",     "{\"a\" 1}",
        "nul",       "nulls",     "True",      "truefalse",  "\"",       "\"a",       "\"\\",      "\"\\x\"",
        "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\"", "\"a\nb\"",
        "\"\t\"",    "01",        "-",         "-01",        "+1",       "1.",        ".5",        "1e",
        "1e+",       "1.e2",      "0x10",      "1_000",      "NaN",      "Infinity",  "-Infinity", "1e999",
        "-1e999",    "[1]x",      "{} {}",     "// c\n1",    "[1/**/]",  "\xEF\xBB\xBF" "1", "--1", "\"a\"\"b\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (is_json(wrong[i])) {
            printf("taken for JSON: %s\n", wrong[i]);
        }
        CHECK(!is_json(wrong[i]));
    }
    CHECK(parse("1\0", 2) == NULL);
    CHECK(parse("\0", 1) == NULL);
    CHECK(parse("\"a\0b\"", 5) == NULL);
    CHECK(parse("{\"a\":1\0}", 8) == NULL);

    char deep[2 * 65 + 1];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[2 * 65] = '\0';
    CHECK(!is_json(deep));
    deep[2 * 65 - 1] = '\0';
    CHECK(is_json(deep + 1));

    /* Every beginning of a text that uses the whole grammar is refused, and none reads too far. */
    static const char whole[] = "{\"a\\u00e9\\ud83d\\ude42\":[null,true,false,-1.5e-3,\"x\\n\",{}],\"b\":{\"c\":[]}}";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        CHECK(parse(whole, len) == NULL);
    }
    CHECK(is_json(whole));
}

static void test_json_values(void)
{
    CHECK(reads_as("\"\"", ""));
    CHECK(reads_as(" \t\r\n\"plain\" ", "plain"));
    CHECK(reads_as("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"));
    CHECK(reads_as("\"\\u0041\\u00eB\\u5c71\\ud83d\\ude42\"", "A\xC3\xAB\xE5\xB1\xB1\xF0\x9F\x99\x82"));
    CHECK(reads_as("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"", "\x7f\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"));
    CHECK(reads_as("\"\\udbff\\udfff\"", "\xF4\x8F\xBF\xBF"));
    CHECK(reads_as("\"Zo\xC3\xAB\"", "Zo\xC3\xAB"));
    CHECK(is_int("0", 0) && is_int("-0", 0) && is_int("255", 255) && is_int("-7", -7));
    CHECK(is_int("9223372036854775807", INT64_MAX) && is_int("-9223372036854775808", INT64_MIN));
    CHECK(is_float("9223372036854775808", 9223372036854775808.0));
    CHECK(is_float("-9223372036854775809", -9223372036854775809.0));
    CHECK(is_float("99999999999999999999999", 1e23));
    CHECK(is_float("1.5", 1.5) && is_float("255.0", 255.0) && is_float("2e2", 200.0) && is_float("1E-2", 0.01));

    static const char text[] = "{\"a\":[1,{\"b\":null}],\"\":true,\"a\":2}";
    exeat_json *root = parse(text, sizeof text - 1);
    CHECK(root != NULL && root->kind == EXEAT_JSON_OBJECT && root->len == 3);
    exeat_json *array = exeat_json_get(root, "a");
    CHECK(array != NULL && array->kind == EXEAT_JSON_ARRAY && array->len == 2 && array->first->integer == 1);
    CHECK(array != NULL && exeat_json_get(array->first->next, "b")->kind == EXEAT_JSON_NULL);
    CHECK(exeat_json_get(root, "")->truth && exeat_json_get(root, "c") == NULL);
    CHECK(exeat_json_get(array, "a") == NULL && exeat_json_get(NULL, "a") == NULL);
    exeat_json_free(root);
}

/* ---- Configuration and plan ---- */

const exeat_about exeat_plugin_about = {"test", "0.1.0", "Tests.", "{}", false};

static void (*open_with)(exeat_json *config, exeat_plan *plan);

void exeat_plugin_open(exeat_json *config, const exeat_job *job, exeat_plan *plan)
{
    (void)job;
    open_with(config, plan);
}

static exeat_field offered[] = {
    {{"user_id", 7}, EXEAT_UTF8, false, true},
    {{"email", 5}, EXEAT_UTF8, true, true},
    {{"logins_count", 12}, EXEAT_INT64, true, false},
    {{"groups", 6}, EXEAT_UTF8_LIST, true, true},
};

static exeat_plan open_job(const char *config, void (*with)(exeat_json *config, exeat_plan *plan))
{
    exeat_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.input = offered;
    plan.input_count = sizeof offered / sizeof *offered;
    open_with = with;
    exeat_begin_call();
    exeat_run_open(exeat_s(config), NULL, &plan);
    return plan;
}

static bool faults_at(const char *config, void (*with)(exeat_json *config, exeat_plan *plan),
                      exeat_fault_kind kind, const char *where)
{
    open_job(config, with);
    return exeat_the_fault.kind == kind && exeat_is(exeat_buf_str(&exeat_the_fault.where), where);
}

static void open_nothing(exeat_json *config, exeat_plan *plan)
{
    (void)config;
    (void)plan;
}

static exeat_str got_text;
static int64_t got_int;
static double got_float;
static bool got_bool;

static void open_config(exeat_json *config, exeat_plan *plan)
{
    (void)plan;
    exeat_config_require(config, "text");
    got_text = exeat_config_text(config, "text", "");
    got_int = exeat_config_int(config, "int", 255, 1, 1000);
    got_float = exeat_config_float(config, "float", 0.5);
    got_bool = exeat_config_bool(config, "bool", true);
    exeat_config_any(config, "any");
}

static void test_config(void)
{
    CHECK(faults_at("", open_nothing, FAULT_NONE, ""));
    CHECK(faults_at(" \n", open_nothing, FAULT_NONE, ""));
    CHECK(faults_at("{", open_nothing, FAULT_CONFIG, ""));
    CHECK(faults_at("[]", open_nothing, FAULT_CONFIG, ""));
    CHECK(faults_at("{\"a/b~c\": 1}", open_nothing, FAULT_CONFIG, "/a~1b~0c"));
    CHECK(faults_at("{\"\": 1}", open_nothing, FAULT_CONFIG, "/"));

    CHECK(faults_at("{}", open_config, FAULT_CONFIG, ""));
    CHECK(exeat_is(exeat_buf_str(&exeat_the_fault.message), "the key \"text\" is missing"));
    CHECK(faults_at("{\"text\": null}", open_config, FAULT_CONFIG, "/text"));
    CHECK(faults_at("{\"text\": 3}", open_config, FAULT_CONFIG, "/text"));
    CHECK(faults_at("{\"text\": \"\", \"text\": \"\"}", open_config, FAULT_CONFIG, "/text"));
    CHECK(faults_at("{\"text\": \"\", \"int\": 0}", open_config, FAULT_CONFIG, "/int"));
    CHECK(exeat_is(exeat_buf_str(&exeat_the_fault.message), "must be at least 1"));
    CHECK(faults_at("{\"text\": \"\", \"int\": 1001}", open_config, FAULT_CONFIG, "/int"));
    CHECK(faults_at("{\"text\": \"\", \"int\": 1.5}", open_config, FAULT_CONFIG, "/int"));
    CHECK(faults_at("{\"text\": \"\", \"int\": \"12\"}", open_config, FAULT_CONFIG, "/int"));
    CHECK(faults_at("{\"text\": \"\", \"float\": \"1\"}", open_config, FAULT_CONFIG, "/float"));
    CHECK(faults_at("{\"text\": \"\", \"bool\": 1}", open_config, FAULT_CONFIG, "/bool"));
    CHECK(faults_at("{\"text\": \"\", \"inte\": 1}", open_config, FAULT_CONFIG, "/inte"));

    CHECK(faults_at("{\"text\": \"\"}", open_config, FAULT_NONE, ""));
    CHECK(exeat_is(got_text, "") && got_int == 255 && got_float == 0.5 && got_bool);
    CHECK(faults_at("{\"text\": \"x\", \"int\": 1, \"float\": 2, \"bool\": false, \"any\": [1]}", open_config,
                    FAULT_NONE, ""));
    CHECK(exeat_is(got_text, "x") && got_int == 1 && got_float == 2.0 && !got_bool);
}

static exeat_text_in email;
static exeat_any_in count;

static void open_plan(exeat_json *config, exeat_plan *plan)
{
    (void)config;
    exeat_read_list(plan, exeat_s("groups"), NULL);
    email = exeat_read_text(plan, exeat_s("email"), NULL);
    exeat_read_text(plan, exeat_s("email"), NULL);
    count = exeat_read_any(plan, exeat_s("logins_count"), NULL);
    exeat_str left_out = exeat_s("email");
    exeat_pass_selected_except(plan, &left_out, 1);
    exeat_pass_as(plan, exeat_s("logins_count"), exeat_s("logins"), NULL);
    exeat_constant_text(plan, exeat_s("source"), exeat_s("exeat"));
    exeat_compute_text(plan, exeat_s("email"));
    exeat_compute_int(plan, exeat_s("age"));
}

static void open_missing(exeat_json *config, exeat_plan *plan)
{
    (void)config;
    exeat_read_text(plan, exeat_s("shoe_size"), NULL);
}

static void open_missing_at(exeat_json *config, exeat_plan *plan)
{
    (void)config;
    exeat_read_text(plan, exeat_s("shoe_size"), "/column");
}

static void open_wrong_type(exeat_json *config, exeat_plan *plan)
{
    (void)config;
    exeat_read_text(plan, exeat_s("logins_count"), NULL);
    exeat_read_text(plan, exeat_s("shoe_size"), "/second");
}

static void test_plan(void)
{
    exeat_plan plan = open_job("{}", open_plan);
    CHECK(!exeat_failed());
    CHECK(plan.read_count == 3 && plan.reads[0] == 3 && plan.reads[1] == 1 && plan.reads[2] == 2);
    CHECK(email.slot == 1 && count.slot == 2 && count.type == EXEAT_INT64);
    CHECK(plan.output_count == 6 && plan.computed_count == 2);
    CHECK(plan.output[0].input == 0 && plan.output[1].input == 3);
    CHECK(plan.output[2].input == 2 && exeat_is(plan.output[2].name, "logins"));
    CHECK(plan.output[3].kind == COLUMN_CONSTANT && exeat_is(plan.output[3].text, "exeat"));
    CHECK(plan.output[5].kind == COLUMN_COMPUTED && plan.output[5].type == EXEAT_INT64);

    CHECK(faults_at("{}", open_missing, FAULT_SCHEMA, "shoe_size"));
    CHECK(faults_at("{}", open_missing_at, FAULT_CONFIG, "/column"));
    CHECK(exeat_is(exeat_buf_str(&exeat_the_fault.message),
                   "the column \"shoe_size\" is not among those that this export can hold"));
    CHECK(faults_at("{}", open_wrong_type, FAULT_SCHEMA, "logins_count"));
    CHECK(exeat_is(exeat_buf_str(&exeat_the_fault.message), "holds whole numbers, not text"));
}

/* ---- Batches ---- */

static void test_rows(void)
{
    static const uint8_t validity[] = {0x05}; /* rows 0 and 2 */
    static const int64_t integers[] = {7, 0, -9};
    static const int32_t offsets[] = {0, 2, 2, 5};
    static const int32_t lists[] = {0, 2, 2, 3};
    exeat_column columns[3];
    memset(columns, 0, sizeof columns);
    columns[0].validity = validity;
    columns[0].offsets = offsets;
    columns[0].bytes = "hiyou";
    columns[1].validity = validity;
    columns[1].integers = integers;
    columns[2].lists = lists;
    columns[2].offsets = offsets;
    columns[2].bytes = "hiyou";
    exeat_text_in text = {0};
    exeat_int_in integer = {1};
    exeat_list_in list = {2};
    int64_t value = 1;
    exeat_row row = {columns, 0};
    CHECK(exeat_is(exeat_text(&row, text), "hi"));
    CHECK(exeat_int(&row, integer, &value) && value == 7);
    CHECK(exeat_list_len(&row, list) == 2 && exeat_is(exeat_list_item(&row, list, 1), ""));
    CHECK(exeat_list_item(&row, list, 2).ptr == NULL);
    row.index = 1;
    CHECK(exeat_text(&row, text).ptr == NULL && !exeat_int(&row, integer, &value) && value == 7);
    CHECK(exeat_list_len(&row, list) == 0);
    row.index = 2;
    CHECK(exeat_is(exeat_text(&row, text), "you") && exeat_int(&row, integer, &value) && value == -9);
    CHECK(exeat_list_len(&row, list) == 1 && exeat_is(exeat_list_item(&row, list, 0), "you"));
}

static void test_output(void)
{
    exeat_plan plan;
    memset(&plan, 0, sizeof plan);
    exeat_text_out text = exeat_compute_text(&plan, exeat_s("text"));
    exeat_int_out integer = exeat_compute_int(&plan, exeat_s("int"));
    exeat_bool_out truth = exeat_compute_bool(&plan, exeat_s("bool"));
    exeat_str none = {NULL, 0};
    exeat_output out;
    exeat_output_begin(&out, &plan, 10);
    for (int i = 0; i < 10; i++) {
        if (i == 3) { /* nothing is written */
            exeat_output_end_row(&out, true);
            continue;
        }
        exeat_put_text(&out, text, exeat_s("first thought"));
        exeat_add_text(exeat_begin_text(&out, text), i == 4 ? "" : "ab");
        exeat_put_int(&out, integer, i);
        exeat_put_bool(&out, truth, i % 2 == 0);
        if (i == 6) {
            exeat_put_text(&out, text, none);
        }
        exeat_output_end_row(&out, i != 5); /* row 5 does not stay */
    }
    const int32_t *offsets = out.builders[0].values;
    const int64_t *integers = out.builders[1].values;
    const uint8_t *bits = out.builders[2].values;
    static const int32_t wanted[] = {0, 2, 4, 6, 6, 6, 6, 6, 8, 10, 12};
    CHECK(memcmp(offsets, wanted, sizeof wanted) == 0);
    CHECK(exeat_is(exeat_buf_str(&out.builders[0].text), "abababababab"));
    CHECK(out.builders[0].nulls && out.builders[0].validity[0] == 0x97 && out.builders[0].validity[1] == 0x03);
    CHECK(out.builders[1].nulls && out.builders[1].validity[0] == 0xD7 && integers[9] == 9);
    CHECK(bits[0] == 0x55 && bits[1] == 0x01);
    exeat_output_free(&out);
    exeat_output_begin(&out, &plan, 0);
    exeat_output_free(&out);
}

static void test_sink(void)
{
    exeat_sink out;
    memset(&out, 0, sizeof out);
    exeat_begin_file(&out, exeat_s("a.json"), "application/json");
    exeat_add_text(exeat_file(&out), "one");
    exeat_add_text(exeat_file(&out), " two");
    exeat_begin_file(&out, exeat_s("b.json"), "application/json");
    exeat_add_text(exeat_file(&out), "three");
    exeat_loss(&out, exeat_s("groups"), "no place");
    exeat_loss(&out, exeat_s("groups"), "too many");
    exeat_loss(&out, exeat_s("groups"), "no place");
    exeat_action(&out, exeat_s("{}"));
    exeat_sink_flush(&out);
    exeat_sink_flush(&out);
    CHECK(out.chunk_count == 4 && out.chunks[0].begins_file && !out.chunks[1].begins_file);
    CHECK(exeat_is(exeat_buf_str(&out.chunks[1].bytes), "one two"));
    CHECK(exeat_is(exeat_buf_str(&out.chunks[2].name), "b.json"));
    CHECK(out.loss_count == 2 && out.losses[0].rows == 2 && out.losses[1].rows == 1);
    CHECK(out.side_count == 1 && out.sides[0].action);
}

static void test_rejects(void)
{
    exeat_row row = {NULL, 4};
    exeat_str none = {NULL, 0};
    exeat_begin_call();
    for (int i = 0; i < 100; i++) {
        CHECK(exeat_reject(&row, "missing", i == 0 ? none : exeat_s("email"), "it is required") == EXEAT_REJECTED);
    }
    CHECK(exeat_reject_count == 100 && exeat_the_rejects[0].row == 4);
    CHECK(!exeat_the_rejects[0].has_field && exeat_the_rejects[99].has_field);
    exeat_begin_call();
    CHECK(exeat_reject_count == 0);
    exeat_fail("first");
    exeat_fail("second");
    CHECK(exeat_failed() && exeat_is(exeat_buf_str(&exeat_the_fault.message), "first"));
    exeat_begin_call();
    CHECK(!exeat_failed());
}

int main(void)
{
    test_texts();
    test_json_refusals();
    test_json_values();
    test_config();
    test_plan();
    test_rows();
    test_output();
    test_sink();
    test_rejects();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
