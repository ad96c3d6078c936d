// libcurl: HTTP as a client, and mail. Its options are variadic, which does not reach Swift, so what uses them is a
// function here.
#ifndef FLOTILLA_CCURL_H
#define FLOTILLA_CCURL_H

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

// MARK: One request that is waited for

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

// Asks for what is at a URL, without following where it points to; `direct` is past any proxy. As below otherwise.
static inline int flotilla_curl_get(CURL *curl, const char *url, int direct, long milliseconds,
                                    flotilla_curl_answer *answer) {
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (direct) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
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

// MARK: Transfers of a multi handle

// Whether a server may be connected to.
typedef int (*flotilla_admits)(const struct sockaddr *address);

// A request or a mail on its way. Nothing that a peer sends is kept but the beginning of an answer's body.
typedef struct {
    CURL *curl;
    struct curl_slist *headers, *recipients, *names;
    unsigned long long ticket;
    char *upload;
    size_t upload_count, upload_at;
    flotilla_admits admits;
    // Beyond this an answer is not read.
    size_t received, limit;
    int is_refused, is_admitted, has_headers, is_cut;
    char reply[256];
    size_t reply_count;
    char error[CURL_ERROR_SIZE];
} flotilla_transfer;

static inline void flotilla_transfer_free(flotilla_transfer *transfer) {
    if (!transfer) return;
    if (transfer->curl) curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->recipients);
    curl_slist_free_all(transfer->names);
    free(transfer->upload);
    free(transfer);
}

static inline int flotilla_transfer_counts(flotilla_transfer *transfer, size_t more) {
    transfer->received += more;
    if (transfer->received <= transfer->limit) return 1;
    transfer->is_cut = 1;
    return 0;
}

static inline size_t flotilla_transfer_header(char *bytes, size_t size, size_t count, void *context) {
    flotilla_transfer *transfer = context;
    if (!flotilla_transfer_counts(transfer, size * count)) return 0;
    // The empty line behind them; what goes before an answer (100, 103) has one too, and says nothing.
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (size * count <= 2 && bytes[0] < ' ' && status >= 200) transfer->has_headers = 1;
    return size * count;
}

static inline size_t flotilla_transfer_body(char *bytes, size_t size, size_t count, void *context) {
    flotilla_transfer *transfer = context;
    size_t more = size * count, room = sizeof transfer->reply - transfer->reply_count;
    memcpy(transfer->reply + transfer->reply_count, bytes, more < room ? more : room);
    transfer->reply_count += more < room ? more : room;
    return flotilla_transfer_counts(transfer, more) ? more : 0;
}

static inline size_t flotilla_transfer_read(char *buffer, size_t size, size_t count, void *context) {
    flotilla_transfer *transfer = context;
    size_t left = transfer->upload_count - transfer->upload_at, room = size * count;
    size_t more = left < room ? left : room;
    memcpy(buffer, transfer->upload + transfer->upload_at, more);
    transfer->upload_at += more;
    return more;
}

// The address is judged where it is connected to, so no second look-up can bring another one.
static inline curl_socket_t flotilla_transfer_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    flotilla_transfer *transfer = context;
    (void)purpose;
    if (!transfer->admits(&address->addr)) {
        transfer->is_refused = 1;
        return CURL_SOCKET_BAD;
    }
    transfer->is_admitted = 1;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// A connection that was kept was opened for another transfer, which may have been allowed more.
static inline int flotilla_transfer_connected(void *context, char *remote, char *local, int remote_port, int local_port) {
    flotilla_transfer *transfer = context;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    (void)local, (void)remote_port, (void)local_port;
    int is_admitted = 0;
    if (remote && inet_pton(AF_INET, remote, &v4.sin_addr) == 1) {
        is_admitted = transfer->admits((struct sockaddr *)&v4);
    } else if (remote && inet_pton(AF_INET6, remote, &v6.sin6_addr) == 1) {
        is_admitted = transfer->admits((struct sockaddr *)&v6);
    }
    if (is_admitted) return CURL_PREREQFUNC_OK;
    transfer->is_refused = 1;
    transfer->is_admitted = 0;
    return CURL_PREREQFUNC_ABORT;
}

// What both kinds have in common; null when there is no memory. `admits`: null admits every address.
static inline flotilla_transfer *flotilla_transfer_new(unsigned long long ticket, const char *url, long milliseconds,
                                                       const void *upload, size_t count, flotilla_admits admits,
                                                       const char *authorities) {
    flotilla_transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer) return NULL;
    transfer->ticket = ticket;
    transfer->limit = 64 << 10;
    transfer->admits = admits;
    transfer->curl = curl_easy_init();
    transfer->upload = malloc(count ? count : 1);
    transfer->upload_count = count;
    if (!transfer->curl || !transfer->upload) {
        flotilla_transfer_free(transfer);
        return NULL;
    }
    memcpy(transfer->upload, upload, count);
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    // A look-up that hangs is left to itself, or its end would be waited for by all others.
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    // A proxy of the environment would be the address that is judged.
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds < 5000 ? milliseconds : 5000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, flotilla_transfer_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, flotilla_transfer_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    if (authorities) curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
    if (admits) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, flotilla_transfer_open);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
        curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, flotilla_transfer_connected);
        curl_easy_setopt(curl, CURLOPT_PREREQDATA, transfer);
    }
    return transfer;
}

static inline int flotilla_transfer_add_header(flotilla_transfer *transfer, const char *line) {
    struct curl_slist *list = curl_slist_append(transfer->headers, line);
    if (!list) return 0;
    transfer->headers = list;
    return 1;
}

// `HOST:PORT:ADDRESS,ADDRESS`: a name that is known without looking it up.
static inline int flotilla_transfer_add_name(flotilla_transfer *transfer, const char *entry) {
    struct curl_slist *list = curl_slist_append(transfer->names, entry);
    if (!list) return 0;
    transfer->names = list;
    return curl_easy_setopt(transfer->curl, CURLOPT_RESOLVE, list) == CURLE_OK;
}

// Makes it a POST with the headers that were added.
static inline void flotilla_transfer_be_post(flotilla_transfer *transfer) {
    curl_easy_setopt(transfer->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(transfer->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDS, transfer->upload);
    curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->upload_count);
}

// Makes it a mail to one recipient. Without a user nobody logs in.
static inline int flotilla_transfer_be_mail(flotilla_transfer *transfer, const char *from, const char *to,
                                            const char *user, const char *password, int needs_tls) {
    transfer->recipients = curl_slist_append(NULL, to);
    if (!transfer->recipients) return 0;
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)(needs_tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, transfer->recipients);
    if (user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
    }
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)transfer->upload_count);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, flotilla_transfer_read);
    curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
    return 1;
}

// A transfer that has ended, with curl's code; null when there is none.
static inline flotilla_transfer *flotilla_transfer_next_ended(CURLM *multi, int *code) {
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        flotilla_transfer *transfer = NULL;
        *code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        return transfer;
    }
    return NULL;
}

static inline long flotilla_transfer_status(flotilla_transfer *transfer) {
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static inline long long flotilla_transfer_retry_after(flotilla_transfer *transfer) {
    curl_off_t wait = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &wait);
    return wait;
}

static inline const char *flotilla_transfer_error(flotilla_transfer *transfer, int code) {
    return transfer->error[0] ? transfer->error : curl_easy_strerror(code);
}

#endif
