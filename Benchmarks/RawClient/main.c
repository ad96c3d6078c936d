// The shortest loops that librdkafka allows, in C: what a broker can take and give, and what a client in any language is
// to be compared with.
//
//   raw-client BROKERS TOPIC produce COUNT SIZE [NAME=VALUE …]     an idempotent producer, acks=all, keyed round robin
//   raw-client BROKERS TOPIC consume COUNT [NAME=VALUE …]          one consumer, all partitions from their start
//   raw-client BROKERS TOPIC headers COUNT [NAME=VALUE …]          … that has librdkafka unpack each record's headers
//   raw-client BROKERS TOPIC latency COUNT SIZE [NAME=VALUE …]     one record at a time, each until it is acknowledged
//
// Prints: records seconds; for latency: the microseconds that half, and 99 of 100, do not exceed
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "raw-client: %s: %s\n", what, why);
    exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(name, why);
}

static long delivered, failed;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *context) {
    (void)client, (void)context;
    if (message->err) failed++; else delivered++;
}

static rd_kafka_t *make_client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char why[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (!client) fail("client", why);
    return client;
}

static int partitions_of(rd_kafka_t *client, rd_kafka_topic_t *topic, const char *name) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, topic, &metadata, 10000);
    if (error) fail(name, rd_kafka_err2str(error));
    int count = metadata->topics[0].partition_cnt;
    if (count == 0) fail(name, "no such topic");
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static void produce(rd_kafka_conf_t *conf, const char *name, long count, size_t size) {
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "5");
    set(conf, "queue.buffering.max.messages", "1000000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = make_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    int partitions = partitions_of(client, topic, name);
    char *payload = malloc(size);
    for (size_t i = 0; i < size; i++) payload[i] = (char)('a' + i % 26);
    double start = now();
    for (long i = 0; i < count; i++) {
        while (rd_kafka_produce(topic, (int32_t)(i % partitions), RD_KAFKA_MSG_F_COPY, payload, size, NULL, 0, NULL)) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
            rd_kafka_poll(client, 5);
        }
        if (i % 1000 == 0) rd_kafka_poll(client, 0);
    }
    while (delivered + failed < count) rd_kafka_poll(client, 100);
    double seconds = now() - start;
    if (failed) fail("produce", "records were not delivered");
    printf("%ld %.6f\n", delivered, seconds);
    free(payload);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
}

static void consume(rd_kafka_conf_t *conf, const char *name, long count, int unpacks) {
    set(conf, "group.id", "raw-client");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.min.messages", "1000000");
    rd_kafka_t *client = make_client(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    int partitions = partitions_of(client, topic, name);
    rd_kafka_topic_partition_list_t *assignment = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(assignment, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    double start = now();
    rd_kafka_assign(client, assignment);
    long seen = 0;
    while (seen < count) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 10000);
        if (!message) fail("consume", "nothing came for ten seconds");
        if (message->err) fail("consume", rd_kafka_message_errstr(message));
        rd_kafka_headers_t *headers;
        if (unpacks && rd_kafka_message_headers(message, &headers)) fail("headers", "a record has none");
        seen++;
        rd_kafka_message_destroy(message);
    }
    printf("%ld %.6f\n", seen, now() - start);
    rd_kafka_topic_partition_list_destroy(assignment);
    rd_kafka_topic_destroy(topic);
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void latency(rd_kafka_conf_t *conf, const char *name, long count, size_t size) {
    set(conf, "enable.idempotence", "true");
    set(conf, "acks", "all");
    set(conf, "linger.ms", "0");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = make_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    partitions_of(client, topic, name);
    char *payload = calloc(1, size);
    double *took = calloc((size_t)count, sizeof *took);
    for (long i = -50; i < count; i++) {  // the first ones pay for the connection
        double start = now();
        long before = delivered;
        if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload, size, NULL, 0, NULL))
            fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        while (delivered == before && !failed) rd_kafka_poll(client, 100);
        if (failed) fail("produce", "a record was not delivered");
        if (i >= 0) took[i] = (now() - start) * 1e6;
    }
    qsort(took, (size_t)count, sizeof *took, by_size);
    printf("%.1f %.1f\n", took[count / 2], took[count * 99 / 100]);
    free(took);
    free(payload);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
}

int main(int count, char **arguments) {
    if (count < 5)
        fail("usage", "raw-client BROKERS TOPIC produce COUNT SIZE | latency COUNT SIZE | consume COUNT [NAME=VALUE ...] | headers ...");
    int unpacks = !strcmp(arguments[3], "headers");
    int consumes = unpacks || !strcmp(arguments[3], "consume");
    if (!consumes && count < 6) fail("usage", "produce COUNT SIZE, latency COUNT SIZE");
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", arguments[1]);
    for (int i = consumes ? 5 : 6; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (!value) fail("not NAME=VALUE", arguments[i]);
        *value = 0;
        set(conf, arguments[i], value + 1);
    }
    long records = atol(arguments[4]);
    if (records < 1) fail("usage", "COUNT is at least 1");
    if (consumes) consume(conf, arguments[2], records, unpacks);
    else if (!strcmp(arguments[3], "produce")) produce(conf, arguments[2], records, (size_t)atol(arguments[5]));
    else latency(conf, arguments[2], records, (size_t)atol(arguments[5]));
    return 0;
}
