/* Lines of JSON objects become Arrow columns of whole numbers, floats, booleans and strings.
 *
 * This reads what is plain, and nothing else: at the first thing that is not (a key twice, a value
 * of another type, anything that is no JSON) it gives up, and the caller asks a parser that knows
 * every case. So there is no error to report here, and what is returned is what that parser would
 * have said.
 *
 * The text must end with a line end, or with a NUL byte that is not counted: it stops every loop.
 * Columns follow the Arrow C data interface,
 * https://arrow.apache.org/docs/format/CDataInterface.html.
 */

#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef const unsigned char *Text;

enum { WHOLE, FLOAT, BOOLEAN, STRING };

enum { GUESSES = 64, INLINE = 12, DIGITS = 19 };

typedef struct {
    const char *name;
    int64_t length;
    int64_t kind;
} Field;

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

/* A string of Arrow's "utf8 view" type; a short one stands in place of prefix, buffer and offset. */
typedef struct {
    int32_t length;
    union {
        char bytes[INLINE];
        struct { char prefix[4]; int32_t buffer, offset; } far;
    };
} View;

typedef struct {
    Field field;
    int64_t rows, nulls;     /* rows that have a value, null or not */
    unsigned char *valid;    /* a bit per row, from the first null on */
    void *values;            /* int64_t, double, bits, or View */
    char *bytes;             /* of the strings that are not short */
    int64_t used;
} Column;

typedef struct { Text key; int64_t length; Column *column; } Guess;

typedef struct {
    Text text, end;
    Column *columns;
    int64_t count, capacity;
    Guess guesses[GUESSES];  /* which keys the record before had, in their order */
    int64_t known;
    int64_t deepest;         /* brackets within brackets that are read */
    unsigned char high;      /* whether a byte beyond ASCII was seen */
} Reader;

/* ---- values: each function returns where the value ends, or NULL where it gives up ---- */

static Text blank(Text at) {
    while (*at == ' ' || *at == '\t' || *at == '\r') at++;
    return at;
}

static int is_digit(unsigned char one) { return (unsigned char)(one - '0') < 10; }

static int is_hex(unsigned char one) {
    unsigned char lower = one | 32;
    return is_digit(one) || (lower >= 'a' && lower <= 'f');
}

typedef struct { uint64_t digits; int64_t count, exponent; int negative, whole; } Number;

static Text number(Text at, Number *found) {
    Text first;
    found->digits = 0, found->exponent = 0, found->whole = 1;
    found->negative = *at == '-';
    at += found->negative, first = at;
    if (!is_digit(*at)) return NULL;
    do found->digits = found->digits * 10 + (*at++ - '0'); while (is_digit(*at));
    if (*first == '0' && at > first + 1) return NULL;
    found->count = at - first;
    if (*at == '.') {
        first = ++at;
        if (!found->digits) while (*at == '0') at++;
        found->count = found->digits ? found->count : first - at;
        while (is_digit(*at)) found->digits = found->digits * 10 + (*at++ - '0');
        if (at == first) return NULL;
        found->count += at - first, found->exponent = first - at, found->whole = 0;
    }
    if ((*at | 32) == 'e') {
        int64_t power = 0;
        int down = *++at == '-';
        at += *at == '-' || *at == '+', first = at;
        while (is_digit(*at) && power < 10000) power = power * 10 + (*at++ - '0');
        if (at == first || is_digit(*at)) return NULL;
        found->exponent += down ? -power : power, found->whole = 0;
    }
    return at;
}

static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static int width(uint64_t one) { return one ? 64 - __builtin_clzll(one) : 0; }

/* The float next to digits / 10^power: a quotient of 64 bits or more, rounded to 53, half to even. */
static double divided(uint64_t digits, int64_t power) {
    uint64_t by = 1, bits;
    int shift = 64 - width(digits);
    unsigned __int128 whole = (unsigned __int128)(digits << shift) << 64, quotient, lost, half;
    while (power--) by *= 10;
    quotient = whole / by;
    int spare = width((uint64_t)(quotient >> 64));
    spare = (spare ? 64 + spare : width((uint64_t)quotient)) - 53;
    half = (unsigned __int128)1 << (spare - 1);
    lost = quotient & (half * 2 - 1);
    uint64_t kept = (uint64_t)(quotient >> spare);
    kept += lost > half || (lost == half && (quotient * by != whole || kept & 1));
    bits = (uint64_t)(1023 + spare - 64 - shift) << 52;
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return (double)kept * scale;
}

/* One operation is exact where digits and power are floats themselves (Clinger, PLDI 1990). */
static int as_float(const Number *from, double *into) {
    int64_t power = from->exponent;
    double value = (double)from->digits;
    if (FLT_EVAL_METHOD != 0 || from->count > DIGITS || power < -22 || power > 22) return 0;
    if (from->digits <= 1ULL << 53 || !power)
        value = power < 0 ? value / TENS[-power] : value * TENS[power];
    else if (power < 0 && power >= -19)
        value = divided(from->digits, -power);
    else return 0;
    *into = from->negative ? -value : value;
    return 1;
}

static Text literal(Text at, const char *word) {
    while (*word) if (*at++ != (unsigned char)*word++) return NULL;
    return at;
}

/* The code unit of four hexadecimal digits, and where they end. */
static Text unit(Text at, uint32_t *found) {
    *found = 0;
    for (int n = 0; n < 4; n++, at++) {
        if (!is_hex(*at)) return NULL;
        *found = *found << 4 | ((*at & 15) + (*at > '9' ? 9 : 0));
    }
    return at;
}

/* The code point of an escape, from behind its "u"; half of a surrogate pair is none. */
static Text point(Text at, uint32_t *found) {
    uint32_t low;
    if (!(at = unit(at, found)) || *found >> 11 != 0xD800 >> 11) return at;
    if (*found >> 10 == 0xDC00 >> 10 || at[0] != '\\' || at[1] != 'u') return NULL;
    if (!(at = unit(at + 2, &low)) || low >> 10 != 0xDC00 >> 10) return NULL;
    *found = 0x10000 + ((*found & 1023) << 10 | (low & 1023));
    return at;
}

/* What ends a run of plain characters in a string: a quote, a backslash, what may not be there. */
static const unsigned char STOPS[256] = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    ['"'] = 1, ['\\'] = 1};

/* The closing quote, from behind the opening one, and whether there are escapes between them. */
static Text quoted(Reader *reader, Text at, int *escaped) {
    unsigned char high = 0;
    uint32_t ignored;
    for (*escaped = 0;;) {
        while (!STOPS[*at]) high |= *at++;
        if (*at == '"') break;
        if (*at++ != '\\') return NULL;
        *escaped = 1;
        if (*at == 'u') at = point(at + 1, &ignored);
        else at = *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
        if (!at) return NULL;
    }
    reader->high |= high & 128;
    return at;
}

static Text passed(Reader *reader, Text at, int depth);

static Text passed_pairs(Reader *reader, Text at, int depth) {
    unsigned char close = *at == '{' ? '}' : ']';
    int named = close == '}', ignored;
    at = blank(at + 1);
    if (*at == close) return at + 1;
    for (;; at = blank(at + 1)) {
        if (named) {
            if (*at != '"' || !(at = quoted(reader, at + 1, &ignored))) return NULL;
            at = blank(at + 1);
            if (*at != ':') return NULL;
            at = blank(at + 1);
        }
        if (!(at = passed(reader, at, depth + 1))) return NULL;
        at = blank(at);
        if (*at == close) return at + 1;
        if (*at != ',') return NULL;
    }
}

/* A value that nobody asked for: it must be JSON all the same. */
static Text passed(Reader *reader, Text at, int depth) {
    Number ignored;
    int escaped;
    switch (*at) {
    case '"': at = quoted(reader, at + 1, &escaped); return at ? at + 1 : NULL;
    case '{': case '[': return depth < reader->deepest ? passed_pairs(reader, at, depth) : NULL;
    case 't': return literal(at, "true");
    case 'f': return literal(at, "false");
    case 'n': return literal(at, "null");
    default: return number(at, &ignored);
    }
}

/* ---- columns ---- */

static size_t bits(int64_t rows) { return (size_t)(rows + 7) / 8; }

static int add_null(Reader *reader, Column *column) {
    int64_t row = column->rows++;
    if (!column->valid) {
        if (!(column->valid = malloc(bits(reader->capacity)))) return 0;
        memset(column->valid, 255, bits(reader->capacity));
    }
    column->valid[row / 8] &= ~(1 << row % 8);
    column->nulls++;
    if (column->field.kind == STRING) ((View *)column->values)[row] = (View){0};
    return 1;
}

static int has_bytes(Reader *reader, Column *column) {
    return column->bytes || (column->bytes = malloc(reader->end - reader->text));
}

static int add_string(Reader *reader, Column *column, const char *from, int64_t length) {
    View *view = (View *)column->values + column->rows++;
    *view = (View){.length = (int32_t)length};
    if (length <= INLINE) return memcpy(view->bytes, from, length), 1;
    if (!has_bytes(reader, column)) return 0;
    memcpy(view->far.prefix, from, 4);
    view->far.offset = (int32_t)column->used;
    memmove(column->bytes + column->used, from, length);
    column->used += length;
    return 1;
}

static char *utf8(uint32_t one, char *into) {
    if (one < 0x80) return *into++ = (char)one, into;
    int more = one < 0x800 ? 1 : one < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    *into++ = (char)(first[more] | one >> 6 * more);
    while (more--) *into++ = (char)(0x80 | (one >> 6 * more & 63));
    return into;
}

/* The string between two quotes, in plain bytes; it is never longer than it was. */
static int add_escaped(Reader *reader, Column *column, Text at, Text end) {
    static const char plain[] = "\"\\/\b\f\n\r\t", escapes[] = "\"\\/bfnrt";
    if (!has_bytes(reader, column)) return 0;
    char *start = column->bytes + column->used, *into = start;
    while (at < end) {
        if (*at != '\\') { *into++ = (char)*at++; continue; }
        if (at[1] != 'u') { *into++ = plain[strchr(escapes, at[1]) - escapes], at += 2; continue; }
        uint32_t found;
        at = point(at + 2, &found);
        into = utf8(found, into);
    }
    return add_string(reader, column, start, into - start);
}

static Text add_value(Reader *reader, Column *column, Text at) {
    int64_t row = column->rows;
    Number found;
    Text end;
    int escaped;
    if (*at == 'n') return (at = literal(at, "null")) && add_null(reader, column) ? at : NULL;
    switch (column->field.kind) {
    case STRING:
        if (*at != '"' || !(end = quoted(reader, at + 1, &escaped))) return NULL;
        if (escaped) return add_escaped(reader, column, at + 1, end) ? end + 1 : NULL;
        return add_string(reader, column, (const char *)at + 1, end - at - 1) ? end + 1 : NULL;
    case BOOLEAN:
        if (*at == 't') ((unsigned char *)column->values)[row / 8] |= 1 << row % 8;
        column->rows++;
        return literal(at, *at == 't' ? "true" : "false");
    case FLOAT:
        if (!(at = number(at, &found))) return NULL;
        column->rows++;
        return as_float(&found, (double *)column->values + row) ? at : NULL;
    default:
        if (!(at = number(at, &found)) || !found.whole || found.count >= DIGITS) return NULL;
        column->rows++;
        ((int64_t *)column->values)[row] = (int64_t)(found.negative ? -found.digits : found.digits);
        return at;
    }
}

/* ---- records ---- */

/* As memcmp() == 0, without a call. */
static int same(Text one, Text other, int64_t length) {
    uint64_t a, b;
    for (; length >= 8; one += 8, other += 8, length -= 8) {
        memcpy(&a, one, 8), memcpy(&b, other, 8);
        if (a != b) return 0;
    }
    while (length-- > 0) if (*one++ != *other++) return 0;
    return 1;
}

static Column *named(Reader *reader, Text key, int64_t length) {
    for (Column *one = reader->columns; one < reader->columns + reader->count; one++)
        if (one->field.length == length && !memcmp(one->field.name, key, length)) return one;
    return NULL;
}

/* The column of a key, NULL if nobody wants it; `at` moves behind the closing quote. */
static Column *keyed(Reader *reader, Text *at, int64_t place) {
    Guess *guess = reader->guesses + place;
    Text key = *at, end;
    int escaped;
    if (place < reader->known && guess->length < reader->end - key
            && key[guess->length] == '"' && same(key, guess->key, guess->length)) {
        *at = key + guess->length + 1;
        return guess->column;
    }
    if (!(end = quoted(reader, key, &escaped)) || escaped) return *at = NULL, NULL;
    *at = end + 1;
    Column *column = named(reader, key, end - key);
    if (place < GUESSES && place <= reader->known) {
        *guess = (Guess){key, end - key, column};
        if (place == reader->known) reader->known++;
    }
    return column;
}

/* One record, from behind its opening brace to behind the closing one. */
static Text record(Reader *reader, Text at, int64_t row) {
    int64_t place = 0, found = 0;
    at = blank(at);
    if (*at == '}') at++;
    else for (;; at = blank(at + 1), place++) {
        if (*at++ != '"') return NULL;
        Column *column = keyed(reader, &at, place);
        if (!at) return NULL;
        at = blank(at);
        if (*at != ':') return NULL;
        at = blank(at + 1);
        if (column && column->rows > row) return NULL;
        at = column ? add_value(reader, column, at) : passed(reader, at, 1);
        if (!at) return NULL;
        found += column != NULL;
        at = blank(at);
        if (*at == '}') { at++; break; }
        if (*at != ',') return NULL;
    }
    if (found < reader->count)
        for (Column *one = reader->columns; one < reader->columns + reader->count; one++)
            if (one->rows == row && !add_null(reader, one)) return NULL;
    return at;
}

static int64_t records(Reader *reader) {
    int64_t row = 0;
    for (Text at = reader->text; at < reader->end; at++) {
        at = blank(at);
        if (*at == '{') {
            at = record(reader, at + 1, row++);
            if (!at) return -1;
            at = blank(at);
        }
        if (at < reader->end && *at != '\n') return -1;
    }
    return row;
}

static int64_t breaks(Text text, int64_t length) {
    int64_t count = 0;
    while (length > 0) {  /* a byte counts so many, so that many are compared at once */
        int64_t part = length < 240 ? length : 240;
        unsigned char found = 0;
        for (int64_t n = 0; n < part; n++) found += text[n] == '\n';
        count += found, text += part, length -= part;
    }
    return count;
}

static int opened(Reader *reader, const Field *fields) {
    if (!(reader->columns = calloc(reader->count + 1, sizeof(Column)))) return 0;
    for (int64_t n = 0; n < reader->count; n++) {
        static const size_t sizes[] = {8, 8, 0, sizeof(View)};
        Column *one = reader->columns + n;
        one->field = fields[n];
        one->values = one->field.kind == BOOLEAN
            ? calloc(bits(reader->capacity), 1) : malloc(sizes[one->field.kind] * reader->capacity);
        if (!one->values) return 0;
    }
    return 1;
}

static void closed(Column *column) {
    free(column->valid), free(column->values), free(column->bytes);
}

/* ---- what is handed over ---- */

typedef struct { const void *buffers[4]; int64_t sizes[1]; } Buffers;

static void release_column(struct ArrowArray *array) {
    Buffers *held = array->private_data;
    for (int n = 0; n < (array->n_buffers == 4 ? 3 : 2); n++) free((void *)held->buffers[n]);
    free(held);
    array->release = NULL;
}

static void release_columns(struct ArrowArray *array) {
    for (int64_t n = 0; n < array->n_children; n++)
        if (array->children[n]->release) array->children[n]->release(array->children[n]);
    free(array->private_data);
    array->release = NULL;
}

static void release_schema(struct ArrowSchema *schema) {
    free(schema->private_data);
    schema->release = NULL;
}

static int give_column(Column *column, struct ArrowArray *into) {
    Buffers *held = calloc(1, sizeof(Buffers));
    int far = column->field.kind == STRING && column->bytes;
    if (!held) return 0;
    held->buffers[0] = column->valid, held->buffers[1] = column->values;
    if (far) {
        void *less = realloc(column->bytes, column->used + 1);
        held->buffers[2] = less ? less : column->bytes;
        held->sizes[0] = column->used, held->buffers[3] = held->sizes;
    }
    *into = (struct ArrowArray){
        .length = column->rows, .null_count = column->nulls,
        .n_buffers = far ? 4 : column->field.kind == STRING ? 3 : 2,
        .buffers = held->buffers, .release = release_column, .private_data = held};
    if (into->n_buffers == 3) held->buffers[2] = held->sizes;
    return 1;
}

/* All columns as one array of structs, and its schema; what is given is no longer the reader's. */
static int give(Reader *reader, int64_t rows, struct ArrowArray *array, struct ArrowSchema *schema) {
    static const char *formats[] = {"l", "g", "b", "vu"};
    static const void *no_buffers[1] = {NULL};
    int64_t count = reader->count;
    char *arrays = calloc(count + 1, sizeof(void *) + sizeof(struct ArrowArray));
    char *schemas = calloc(count + 1, sizeof(void *) + sizeof(struct ArrowSchema));
    if (!arrays || !schemas) return free(arrays), free(schemas), 0;
    struct ArrowArray **one = (void *)arrays, *child = (void *)(one + count + 1);
    struct ArrowSchema **two = (void *)schemas, *part = (void *)(two + count + 1);
    *array = (struct ArrowArray){.length = rows, .n_buffers = 1, .buffers = no_buffers,
        .children = one, .release = release_columns, .private_data = arrays};
    *schema = (struct ArrowSchema){.format = "+s", .name = "", .n_children = count,
        .children = two, .release = release_schema, .private_data = schemas};
    for (int64_t n = 0; n < count; n++) {
        Column *column = reader->columns + n;
        one[n] = child + n, two[n] = part + n;
        part[n] = (struct ArrowSchema){.format = formats[column->field.kind],
            .name = column->field.name, .flags = 2 /* nullable */, .release = release_schema};
        if (!give_column(column, one[n])) return array->release(array), free(schemas), 0;
        *column = (Column){.field = column->field};
        array->n_children++;
    }
    return 1;
}

/* What this was compiled from: its callers do not call what was made of another text. */
#ifndef SOURCE_CRC
#define SOURCE_CRC 0
#endif
const uint32_t pds_json_lines_source = SOURCE_CRC;

typedef struct { int64_t breaks, high; } Seen;

/* Reads `length` bytes into the columns that `fields` name, in their order.
 *
 * No object or list may stand deeper than `deepest`, the record itself being the first. Returns
 * the number of rows, or -1 where it gave up: then nothing is given. Both Arrow structs must be
 * released by who called. `seen` tells how many line ends there are, and whether a byte beyond
 * ASCII was seen: whether the text is UTF-8 is not looked at here.
 */
int64_t pds_json_lines(Text text, int64_t length, int64_t deepest, const Field *fields,
                       int64_t count, struct ArrowArray *array, struct ArrowSchema *schema,
                       Seen *seen) {
    if (length >= INT32_MAX || deepest < 1) return -1;
    Reader *reader = calloc(1, sizeof(Reader));
    if (!reader) return -1;
    reader->text = text, reader->end = text + length;
    reader->count = count, reader->deepest = deepest;
    seen->breaks = breaks(text, length);
    reader->capacity = seen->breaks + 1;
    int64_t rows = opened(reader, fields) ? records(reader) : -1;
    if (rows >= 0 && !give(reader, rows, array, schema)) rows = -1;
    seen->high = reader->high;
    for (int64_t n = 0; reader->columns && n < count; n++) closed(reader->columns + n);
    free(reader->columns), free(reader);
    return rows;
}
