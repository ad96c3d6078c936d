// The shortest edge that libmicrohttpd and librdkafka allow, in C: what ours is to be compared with. It checks nothing.
//
//   raw-edge BROKERS TOPIC PORT [NAME=VALUE …]     until SIGTERM
//
// A body becomes a record; its connection waits, suspended, until the log has acknowledged it.
#define _GNU_SOURCE
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    struct MHD_Connection *connection;
    size_t count;
    int state;  // 0: the body comes; 1: published; 2: acknowledged
    rd_kafka_resp_err_t error;
    int32_t partition;
    int64_t offset;
    char body[4096];
} request;

static rd_kafka_t *client;
static rd_kafka_topic_t *topic;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "raw-edge: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(name, why);
}

static void on_delivery(rd_kafka_t *from, const rd_kafka_message_t *message, void *context) {
    (void)from, (void)context;
    request *asked = message->_private;
    asked->error = message->err;
    asked->partition = message->partition;
    asked->offset = message->offset;
    asked->state = 2;
    MHD_resume_connection(asked->connection);
}

// The text of a JSON string that stands behind `name` in the body; enough for the bodies of a benchmark.
static const char *text(const request *asked, const char *name, size_t *count) {
    const char *at = memmem(asked->body, asked->count, name, strlen(name));
    if (!at) return NULL;
    at += strlen(name);
    const char *end = memchr(at, '"', asked->count - (size_t)(at - asked->body));
    *count = end ? (size_t)(end - at) : 0;
    return at;
}

static enum MHD_Result answer(const request *asked) {
    char body[128];
    int count = snprintf(body, sizeof body, "{\"partition\":%d,\"offset\":%lld}", asked->partition, (long long)asked->offset);
    struct MHD_Response *response = MHD_create_response_from_buffer((size_t)count, body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(asked->connection, asked->error ? 503 : 202, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result access_handler(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                      const char *version, const char *data, size_t *size, void **place) {
    (void)context, (void)url, (void)method, (void)version;
    request *asked = *place;
    if (!asked) {
        asked = *place = calloc(1, sizeof *asked);
        asked->connection = connection;
        return MHD_YES;
    }
    if (*size > 0) {
        if (*size > sizeof asked->body - asked->count) return MHD_NO;
        memcpy(asked->body + asked->count, data, *size);
        asked->count += *size;
        *size = 0;
        return MHD_YES;
    }
    if (asked->state == 2) return answer(asked);
    if (asked->state == 1) return MHD_YES;
    asked->state = 1;
    size_t key_count = 0;
    const char *key = text(asked, "\"campaign_id\":\"", &key_count);
    MHD_suspend_connection(connection);
    rd_kafka_resp_err_t error = rd_kafka_producev(
        client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_count),
        RD_KAFKA_V_VALUE(asked->body, asked->count), RD_KAFKA_V_OPAQUE(asked), RD_KAFKA_V_END);
    if (error) {
        asked->error = error;
        asked->state = 2;
        MHD_resume_connection(connection);
    }
    return MHD_YES;
}

static void completed(void *context, struct MHD_Connection *connection, void **place, enum MHD_RequestTerminationCode code) {
    (void)context, (void)connection, (void)code;
    free(*place);
    *place = NULL;
}

static volatile sig_atomic_t over;
static void end(int number) { over = number; }

int main(int count, char **arguments) {
    if (count < 4) fail("usage", "raw-edge BROKERS TOPIC PORT [NAME=VALUE …]");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", arguments[1]);
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "1");
    for (int index = 4; index < count; index++) {
        char *value = strchr(arguments[index], '=');
        if (!value) fail(arguments[index], "is not NAME=VALUE");
        *value = 0;
        set(conf, arguments[index], value + 1);
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    char why[512];
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!client) fail("client", why);
    topic = rd_kafka_topic_new(client, arguments[2], NULL);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_TURBO,
        (unsigned short)atoi(arguments[3]), NULL, NULL, access_handler, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2u,
        MHD_OPTION_CONNECTION_LIMIT, 2000u, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (!daemon) fail("port", arguments[3]);
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    while (!over) rd_kafka_poll(client, 100);
    // What is under way has its answer before anything goes.
    rd_kafka_flush(client, 5000);
    MHD_stop_daemon(daemon);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return 0;
}
