/*
 * The work as an Extism plugin, behind the protocol that README.md describes. The host is C because
 * Extism's runtime comes as a shared library: built from source it would bring a second wasmtime.
 *
 *     exeat-peers-extism GUEST.wasm INPUT.ndjson
 */

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* As much of libextism's interface as is called here. */
typedef struct ExtismPlugin ExtismPlugin;
typedef struct ExtismFunction ExtismFunction;
typedef uint64_t ExtismSize;
ExtismPlugin *extism_plugin_new(const uint8_t *wasm, ExtismSize wasm_size, const ExtismFunction **functions,
                                ExtismSize n_functions, bool with_wasi, char **errmsg);
int32_t extism_plugin_call(ExtismPlugin *plugin, const char *func_name, const uint8_t *data, ExtismSize data_len);
const char *extism_plugin_error(ExtismPlugin *plugin);
const uint8_t *extism_plugin_output_data(ExtismPlugin *plugin);
ExtismSize extism_plugin_output_length(ExtismPlugin *plugin);

static const char FUNCTION[] = "transform";

/* A contender: a name, and how many rows a call has. */
struct peer {
    const char *name;
    size_t rows_per_call;
};

static const struct peer PEERS[] = {{"extism-batch", 1024}, {"extism-row", 1}};
static const size_t N_PEERS = sizeof PEERS / sizeof PEERS[0];

struct buffer {
    uint8_t *data;
    size_t length;
};

/* The rows of the input: row i begins at starts[i], and starts[count] is the end of the last one. */
struct rows {
    struct buffer text;
    size_t *starts;
    size_t count;
};

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t size) {
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL)
        die("no memory for %zu bytes", size);
    return memory;
}

static struct buffer read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("cannot open %s: %s", path, strerror(errno));
    long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0)
        die("cannot tell the size of %s: %s", path, strerror(errno));
    struct buffer content = {allocate((size_t)size), (size_t)size};
    if (fread(content.data, 1, content.length, file) != content.length)
        die("cannot read %s", path);
    fclose(file);
    return content;
}

static size_t count_lines(const uint8_t *data, size_t length) {
    size_t lines = 0;
    for (size_t at = 0; at < length; at++)
        lines += data[at] == '\n';
    return lines;
}

static struct rows read_rows(const char *path) {
    struct rows rows = {.text = read_file(path)};
    rows.count = count_lines(rows.text.data, rows.text.length);
    rows.starts = allocate((rows.count + 1) * sizeof rows.starts[0]);
    rows.starts[0] = 0;
    size_t row = 0;
    for (size_t at = 0; at < rows.text.length; at++)
        if (rows.text.data[at] == '\n')
            rows.starts[++row] = at + 1;
    return rows;
}

/* FNV-1a, as in src/digest.rs. */
static uint64_t digest(const uint8_t *data, size_t length) {
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t at = 0; at < length; at++)
        hash = (hash ^ data[at]) * 0x100000001b3;
    return hash;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void print_json_text(const char *text) {
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20)
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

static void answer_error(const char *peer, const char *error) {
    printf("{\"peer\":");
    print_json_text(peer);
    printf(",\"error\":");
    print_json_text(error);
    puts("}");
}

/*
 * Loads the plugin once, at its first use. The empty call makes the instance, which belongs to no
 * round.
 */
static const char *load(const char *path, ExtismPlugin **plugin) {
    if (*plugin != NULL)
        return NULL;
    struct buffer wasm = read_file(path);
    char *error = NULL;
    ExtismPlugin *loaded = extism_plugin_new(wasm.data, wasm.length, NULL, 0, false, &error);
    free(wasm.data);
    if (loaded == NULL)
        return error != NULL ? error : "the plugin cannot be loaded";
    *plugin = loaded;
    if (extism_plugin_call(loaded, FUNCTION, (const uint8_t *)"", 0) != 0)
        return extism_plugin_error(loaded);
    return NULL;
}

/* Does the work over the first rows, and answers. */
static void round_of(const struct peer *peer, ExtismPlugin *plugin, const struct rows *rows, size_t count,
                     struct buffer *out, size_t out_capacity) {
    out->length = 0;
    uint64_t begun = now_ns();
    for (size_t row = 0; row < count; row += peer->rows_per_call) {
        size_t end = count - row < peer->rows_per_call ? count : row + peer->rows_per_call;
        const uint8_t *input = rows->text.data + rows->starts[row];
        if (extism_plugin_call(plugin, FUNCTION, input, rows->starts[end] - rows->starts[row]) != 0) {
            const char *error = extism_plugin_error(plugin);
            answer_error(peer->name, error != NULL ? error : "the call failed");
            return;
        }
        size_t length = extism_plugin_output_length(plugin);
        if (length > out_capacity - out->length) {
            answer_error(peer->name, "the plugin writes more than there is room for");
            return;
        }
        /* The next call takes the output back. */
        if (length > 0)
            memcpy(out->data + out->length, extism_plugin_output_data(plugin), length);
        out->length += length;
    }
    uint64_t took = now_ns() - begun;
    printf("{\"peer\":\"%s\",\"rows\":%zu,\"rows_out\":%zu,\"ns\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\"}\n",
           peer->name, count, count_lines(out->data, out->length), took, digest(out->data, out->length));
}

static const struct peer *find_peer(const char *name) {
    for (size_t at = 0; at < N_PEERS; at++)
        if (strcmp(PEERS[at].name, name) == 0)
            return &PEERS[at];
    return NULL;
}

static void announce(const struct rows *rows) {
    printf("{\"ready\":true,\"rows\":%zu,\"peers\":[", rows->count);
    for (size_t at = 0; at < N_PEERS; at++)
        printf("%s\"%s\"", at > 0 ? "," : "", PEERS[at].name);
    puts("]}");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 3)
        die("usage: exeat-peers-extism GUEST.wasm INPUT.ndjson");
    /* No cache of compiled plugins in the home of whoever measures. */
    setenv("EXTISM_CACHE_CONFIG", "", 1);
    struct rows rows = read_rows(argv[2]);
    /* A pseudonym may be longer than its address, but not by as much as the row. */
    struct buffer out = {allocate(rows.text.length * 2), 0};
    ExtismPlugin *plugin = NULL;
    announce(&rows);

    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *separator = strchr(line, ' ');
        size_t count = separator != NULL ? strtoul(separator + 1, NULL, 10) : 0;
        if (separator != NULL)
            *separator = '\0';
        const struct peer *peer = find_peer(line);
        const char *error = NULL;
        if (peer == NULL)
            answer_error(line, "there is no such peer");
        else if (count < 1 || count > rows.count)
            answer_error(line, "there are not so many rows");
        else if ((error = load(argv[1], &plugin)) != NULL)
            answer_error(line, error);
        else
            round_of(peer, plugin, &rows, count, &out, rows.text.length * 2);
        fflush(stdout);
    }
    free(line);
    return EXIT_SUCCESS;
}
