// simdjson's DOM behind plain C: C++ stays in this target.
//
// What a parse leaves is simdjson's tape, a documented array of words that Swift walks by itself: a call of C for every
// member that is looked at would cost more than the parse.
#ifndef FLOTILLA_CSIMDJSON_H
#define FLOTILLA_CSIMDJSON_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A parser with the memory that it parses into.
typedef struct flotilla_json flotilla_json;

/// What a parse left. It belongs to the parser and holds until its next parse.
typedef struct {
    /// The copy of the document; 64 zero bytes follow it.
    const uint8_t *source;
    size_t length;
    /// Words: the kind in the top byte, the rest is the kind's.
    const uint64_t *tape;
    size_t words;
    /// Unescaped strings: four bytes of length, then the bytes.
    const uint8_t *strings;
    /// Where in the source each bracket, comma, colon and scalar begins.
    const uint32_t *marks;
    size_t mark_count;
} flotilla_json_parsed;

/// What went wrong, of what our own code decides by.
enum { FLOTILLA_JSON_OK = 0, FLOTILLA_JSON_NO_MEMORY = -1, FLOTILLA_JSON_LONE_SURROGATE = -2 };

/// Null when there is no memory.
flotilla_json *flotilla_json_new(void);
void flotilla_json_free(flotilla_json *json);
/// How many bytes of document it has memory for.
size_t flotilla_json_capacity(const flotilla_json *json);
/// Copies a document and parses it: 0, one of ours, or simdjson's error.
int flotilla_json_parse(flotilla_json *json, const uint8_t *bytes, size_t length, flotilla_json_parsed *parsed);
/// simdjson's text for an error.
const char *flotilla_json_error(int code);

#ifdef __cplusplus
}
#endif

#endif
