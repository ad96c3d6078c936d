// libcurl: HTTP as a client. Its options are variadic, which does not reach Swift, so a request is one function here.
#ifndef FLOTILLA_CCURL_H
#define FLOTILLA_CCURL_H

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    long status, retry_after;
    char *body;
    size_t count, limit;
    char error[CURL_ERROR_SIZE];
} flotilla_curl_answer;

static inline size_t flotilla_curl_take(char *bytes, size_t size, size_t count, void *context) {
    flotilla_curl_answer *answer = context;
    size_t more = size * count;
    // Less than was given ends the transfer with an error.
    if (more > answer->limit - answer->count) return 0;
    char *grown = realloc(answer->body, answer->count + more);
    if (!grown) return 0;
    memcpy(grown + answer->count, bytes, more);
    answer->body = grown;
    answer->count += more;
    return more;
}

// Asks for what is at a URL, without following where it points to. As below otherwise.
static inline int flotilla_curl_get(CURL *curl, const char *url, long milliseconds, flotilla_curl_answer *answer) {
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, flotilla_curl_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    int code = curl_easy_perform(curl);
    if (code && !answer->error[0]) strncpy(answer->error, curl_easy_strerror(code), CURL_ERROR_SIZE - 1);
    if (!code) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    return code;
}

// Posts a body and waits for the answer. 0 or curl's code; `answer->body` is the caller's to free.
static inline int flotilla_curl_post(CURL *curl, const char *url, struct curl_slist *headers, const void *body,
                                     size_t count, long milliseconds, flotilla_curl_answer *answer) {
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, flotilla_curl_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    int code = curl_easy_perform(curl);
    if (code) {
        if (!answer->error[0]) strncpy(answer->error, curl_easy_strerror(code), CURL_ERROR_SIZE - 1);
        return code;
    }
    curl_off_t wait = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
    answer->retry_after = (long)wait;
    return 0;
}

#endif
