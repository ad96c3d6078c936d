#include "CSimdjson.h"

#include <cstring>
#include <memory>
#include <new>
#include <simdjson.h>

// The depth that simdjson's own default is; it allocates for it.
static constexpr size_t depthLimit = 1024;
// Smaller memory is not worth having: most events fit.
static constexpr size_t smallest = 1024;

struct flotilla_json {
    simdjson::dom::parser parser;
    std::unique_ptr<uint8_t[]> source;
    size_t capacity = 0;
};

flotilla_json *flotilla_json_new(void) { return new (std::nothrow) flotilla_json; }

void flotilla_json_free(flotilla_json *json) { delete json; }

size_t flotilla_json_capacity(const flotilla_json *json) { return json->capacity; }

static bool grow(flotilla_json *json, size_t length) {
    size_t capacity = smallest;
    while (capacity < length) capacity *= 2;
    json->capacity = 0;
    json->source.reset(new (std::nothrow) uint8_t[capacity + simdjson::SIMDJSON_PADDING]);
    if (!json->source || json->parser.allocate(capacity, depthLimit) != simdjson::SUCCESS) return false;
    // The parser and its document grow apart: parsing would allocate the second one.
    if (json->parser.doc.allocate(capacity) != simdjson::SUCCESS) return false;
    json->capacity = capacity;
    return true;
}

static int hex(uint8_t byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 0;
}

// The unit of an escape `\uXXXX` that the parser has accepted, so its digits are there.
static int unit(const uint8_t *escape) {
    return hex(escape[2]) << 12 | hex(escape[3]) << 8 | hex(escape[4]) << 4 | hex(escape[5]);
}

// Whether each surrogate among the escapes has its other half: simdjson 3.0 lets some through that have not, and then
// the string is not UTF-8. Only for a document that was parsed, so that no escape is cut short.
static bool surrogates_are_pairs(const uint8_t *at, const uint8_t *end) {
    while ((at = static_cast<const uint8_t *>(std::memchr(at, '\\', end - at)))) {
        if (at[1] != 'u') {
            at += 2;
            continue;
        }
        int first = unit(at);
        at += 6;
        if (first >= 0xdc00 && first <= 0xdfff) return false;
        if (first < 0xd800 || first > 0xdbff) continue;
        if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return false;
        int second = unit(at);
        if (second < 0xdc00 || second > 0xdfff) return false;
        at += 6;
    }
    return true;
}

int flotilla_json_parse(flotilla_json *json, const uint8_t *bytes, size_t length, flotilla_json_parsed *parsed) {
    if (json->capacity < length || json->capacity == 0) {
        if (!grow(json, length)) return FLOTILLA_JSON_NO_MEMORY;
    }
    uint8_t *source = json->source.get();
    if (length != 0) std::memcpy(source, bytes, length);
    std::memset(source + length, 0, simdjson::SIMDJSON_PADDING);
    auto error = json->parser.parse(source, length, false).error();
    if (error != simdjson::SUCCESS) return error;
    if (!surrogates_are_pairs(source, source + length)) return FLOTILLA_JSON_LONE_SURROGATE;
    const auto &document = json->parser.doc;
    const auto &implementation = *json->parser.implementation;
    parsed->source = source;
    parsed->length = length;
    parsed->tape = document.tape.get();
    // The first word is the root and says where the last one is.
    parsed->words = static_cast<size_t>(document.tape[0] & simdjson::internal::JSON_VALUE_MASK);
    parsed->strings = document.string_buf.get();
    parsed->marks = implementation.structural_indexes.get();
    parsed->mark_count = implementation.n_structural_indexes;
    return FLOTILLA_JSON_OK;
}

const char *flotilla_json_error(int code) {
    return simdjson::error_message(static_cast<simdjson::error_code>(code));
}
