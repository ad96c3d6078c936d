// libmicrohttpd: HTTP/1.1 over sockets and TLS. Variadic functions do not reach Swift, so
// those that are needed have a plain one here.
#ifndef FLOTILLA_CMICROHTTPD_H
#define FLOTILLA_CMICROHTTPD_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

typedef struct {
    unsigned int connections, idle_seconds;
    size_t memory;
    MHD_AccessHandlerCallback access;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void *context;
    // PEM texts; null without TLS, and the last one where clients need no certificate.
    const char *certificate, *key, *authority;
    // What the library said while it started.
    char complaint[512];
    int has_started;
} flotilla_http_options;

// What the library has to say matters only while it starts: later it tells of every peer that hangs up.
static inline void flotilla_http_complain(void *context, const char *format, va_list arguments) {
    flotilla_http_options *options = context;
    if (!options->has_started) vsnprintf(options->complaint, sizeof options->complaint, format, arguments);
}

// Paths and queries stay as they came: decoding in place would cut them at %00.
static inline size_t flotilla_http_keep(void *context, struct MHD_Connection *connection, char *text) {
    (void)context, (void)connection;
    return strlen(text);
}

// Neither listens nor has a thread: it serves the connections which it is given, whenever it is run. `options` is to live
// as long as it does.
static inline struct MHD_Daemon *flotilla_http_start(flotilla_http_options *options) {
    unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};
    if (options->certificate) {
        int count = 0;
        flags |= MHD_USE_TLS;
        tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate};
        tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key};
        // By itself the library takes what RFC 8996 has ended.
        tls[count++] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
        if (options->authority)
            tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)options->authority};
        tls[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    } else {
        // Reads and writes at once instead of asking epoll first.
        flags |= MHD_USE_TURBO;
    }
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, options->access, options->context,
        MHD_OPTION_EXTERNAL_LOGGER, flotilla_http_complain, options,
        MHD_OPTION_CONNECTION_LIMIT, options->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->memory,
        MHD_OPTION_NOTIFY_COMPLETED, options->completed, options->context,
        MHD_OPTION_NOTIFY_CONNECTION, options->connection, options->context,
        MHD_OPTION_UNESCAPE_CALLBACK, flotilla_http_keep, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, tls,
        MHD_OPTION_END);
    options->has_started = 1;
    return daemon;
}

// Readable when there is something to run it for.
static inline int flotilla_http_epoll(struct MHD_Daemon *daemon) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info ? info->epoll_fd : -1;
}

// After so many milliseconds it is to be run in any case; -1 is never.
static inline int flotilla_http_patience(struct MHD_Daemon *daemon) {
    MHD_UNSIGNED_LONG_LONG milliseconds;
    if (MHD_get_timeout(daemon, &milliseconds) != MHD_YES) return -1;
    return milliseconds < INT_MAX ? (int)milliseconds : INT_MAX;
}

// Opens a connection, or closes the socket if it cannot. On return that has happened: a library that runs no thread of its
// own puts nothing off. Nobody asks here who the peer is.
static inline void flotilla_http_give(struct MHD_Daemon *daemon, int socket) {
    struct sockaddr_in peer = {.sin_family = AF_INET};
    (void)MHD_add_connection(daemon, socket, (struct sockaddr *)&peer, sizeof peer);
}

static inline int flotilla_http_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

static inline void *flotilla_http_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

// The common name of the client's certificate, if it showed one that the authority signed, that holds today and that may
// be a client's: its length, or -1. Who shows none is let in by the library; that is for the caller to decide.
static inline long flotilla_http_peer(struct MHD_Connection *connection, char *name, size_t size) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info ? info->tls_session : NULL;
    unsigned int count = 0, status = 0;
    // Else a server of the same authority would be a caller.
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    if (!session || gnutls_certificate_verify_peers(session, &purpose, 1, &status) != 0 || status != 0) return -1;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t certificate;
    if (!list || count == 0 || gnutls_x509_crt_init(&certificate) != 0) return -1;
    long length = -1;
    if (gnutls_x509_crt_import(certificate, &list[0], GNUTLS_X509_FMT_DER) == 0 &&
        gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) == 0)
        length = (long)size;
    gnutls_x509_crt_deinit(certificate);
    return length;
}

#endif
