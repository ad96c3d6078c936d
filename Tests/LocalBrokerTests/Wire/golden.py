"""Prints golden vectors of the wire protocol: messages as kafka-python, a codec that is not ours, encodes them.

    .build/venv/bin/python Tests/LocalBrokerTests/Wire/golden.py > Tests/LocalBrokerTests/Wire/golden.txt

One line a message: kind, API key, version, variant, hex. Requests are frames without their length, responses frames with
it. Every API is there in every version that the broker speaks, "full" with all fields set and "empty" with as little as
the protocol allows. The Swift tests hold the same values: they must read each request as exactly these, and write each
response as exactly these bytes. What is encoded is also decoded again here, so that a vector is never half a message.

Made with kafka-python 3.0.12.
"""

import importlib
import uuid

MODULES = [
    "producer.produce", "producer.transaction", "consumer.fetch", "consumer.group", "consumer.metadata",
    "consumer.offsets", "metadata.api_versions", "metadata.find_coordinator", "metadata.metadata", "admin.acl",
    "admin.cluster", "admin.configs", "admin.groups", "admin.topics", "sasl",
]
CORRELATION = 0x01020304
CLIENT = "tëster"
TOPIC_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
GROUP = {"group_id": "billing"}
MEMBER = {"generation_id": 5, "member_id": "m-1", "group_instance_id": "i-1"}
PRODUCER = {"transactional_id": "tx", "producer_id": 9001, "producer_epoch": 3}
ACL = {
    "resource_type": 2, "resource_name": "orders", "resource_pattern_type": 3, "principal": "User:a", "host": "*",
    "operation": 3, "permission_type": 3,
}
FILTER = {
    "resource_type_filter": 2, "resource_name_filter": "orders", "pattern_type_filter": 3, "principal_filter": None,
    "host_filter": "*", "operation": 3, "permission_type": 3,
}
TXN_TOPICS = [{"name": "orders", "partitions": [0, 7]}]
OUTCOMES = [{"partition_index": 0, "error_code": 0}, {"partition_index": 7, "error_code": 3}]
BROKER = {"node_id": 1, "host": "127.0.0.1", "port": 9092}
RESOURCE = {"resource_type": 2, "resource_name": "orders"}

# name: (first version, last version, {variant: values})
REQUESTS = {
    "Produce": (0, 9, {
        "full": {
            "transactional_id": "tx", "acks": -1, "timeout_ms": 30000,
            "topic_data": [{"name": "orders", "partition_data": [
                {"index": 0, "records": b"RECORDS-0"}, {"index": 7, "records": b"R7"}]}],
        },
        "empty": {"transactional_id": None, "acks": 0, "timeout_ms": 0, "topic_data": [
            {"name": "", "partition_data": [{"index": 0, "records": None}, {"index": 1, "records": b""}]}]},
    }),
    "Fetch": (4, 12, {
        "full": {
            "cluster_id": "c-1", "replica_id": -1, "max_wait_ms": 500, "min_bytes": 1, "max_bytes": 52428800,
            "isolation_level": 1, "session_id": 77, "session_epoch": 2,
            "topics": [{"topic": "orders", "partitions": [{
                "partition": 7, "current_leader_epoch": 4, "fetch_offset": 1234567890123, "last_fetched_epoch": 3,
                "log_start_offset": 11, "partition_max_bytes": 1048576}]}],
            "forgotten_topics_data": [{"topic": "old", "partitions": [1, 2]}],
            "rack_id": "r1",
        },
        "empty": {
            "replica_id": -1, "max_wait_ms": 0, "min_bytes": 0, "max_bytes": 0, "isolation_level": 0, "session_id": 0,
            "session_epoch": -1, "topics": [], "forgotten_topics_data": [], "rack_id": "",
        },
    }),
    "ListOffsets": (1, 7, {
        "full": {"replica_id": -1, "isolation_level": 1, "topics": [{"name": "orders", "partitions": [
            {"partition_index": 0, "current_leader_epoch": 4, "timestamp": -2},
            {"partition_index": 7, "current_leader_epoch": -1, "timestamp": 1700000000000}]}]},
        "empty": {"replica_id": -1, "isolation_level": 0, "topics": []},
    }),
    "Metadata": (0, 12, {
        "full": {
            "topics": [{"topic_id": TOPIC_ID, "name": "orders"}], "allow_auto_topic_creation": False,
            "include_cluster_authorized_operations": True, "include_topic_authorized_operations": True,
        },
        "empty": {
            "topics": [], "allow_auto_topic_creation": True, "include_cluster_authorized_operations": False,
            "include_topic_authorized_operations": False,
        },
    }),
    "OffsetCommit": (2, 8, {
        "full": GROUP | {
            "generation_id_or_member_epoch": 5, "member_id": "m-1", "group_instance_id": "i-1",
            "retention_time_ms": -1,
            "topics": [{"name": "orders", "partitions": [
                {"partition_index": 7, "committed_offset": 42, "committed_leader_epoch": 4,
                 "committed_metadata": "note"},
                {"partition_index": 8, "committed_offset": 43, "committed_leader_epoch": -1,
                 "committed_metadata": None}]}],
        },
        "empty": GROUP | {
            "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None, "retention_time_ms": -1,
            "topics": [],
        },
    }),
    "OffsetFetch": (1, 7, {
        "full": GROUP | {"topics": [{"name": "orders", "partition_indexes": [0, 7]}], "require_stable": True},
        "empty": GROUP | {"topics": [], "require_stable": False},
    }),
    "FindCoordinator": (0, 3, {
        "full": {"key": "tx", "key_type": 1},
        "empty": {"key": "", "key_type": 0},
    }),
    "JoinGroup": (0, 7, {
        "full": GROUP | {
            "session_timeout_ms": 10000, "rebalance_timeout_ms": 300000, "member_id": "m-1",
            "group_instance_id": "i-1", "protocol_type": "consumer",
            "protocols": [{"name": "range", "metadata": b"\x00\x01"}, {"name": "sticky", "metadata": b""}],
        },
        "empty": GROUP | {
            "session_timeout_ms": 0, "rebalance_timeout_ms": 0, "member_id": "", "group_instance_id": None,
            "protocol_type": "", "protocols": [],
        },
    }),
    "Heartbeat": (0, 4, {
        "full": GROUP | MEMBER,
        "empty": GROUP | {"generation_id": -1, "member_id": "", "group_instance_id": None},
    }),
    "LeaveGroup": (0, 5, {
        "full": GROUP | {"member_id": "m-1", "members": [
            {"member_id": "m-1", "group_instance_id": "i-1", "reason": "done"},
            {"member_id": "m-2", "group_instance_id": None, "reason": None}]},
        "empty": GROUP | {"member_id": "", "members": []},
    }),
    "SyncGroup": (0, 5, {
        "full": GROUP | MEMBER | {
            "protocol_type": "consumer", "protocol_name": "range",
            "assignments": [{"member_id": "m-1", "assignment": b"\x00\x07"}],
        },
        "empty": GROUP | {
            "generation_id": 0, "member_id": "", "group_instance_id": None, "protocol_type": None,
            "protocol_name": None, "assignments": [],
        },
    }),
    "DescribeGroups": (0, 5, {
        "full": {"groups": ["billing", "mail"], "include_authorized_operations": True},
        "empty": {"groups": [], "include_authorized_operations": False},
    }),
    "ListGroups": (0, 4, {
        "full": {"states_filter": ["Stable", "Empty"]},
        "empty": {"states_filter": []},
    }),
    "SaslHandshake": (0, 1, {"full": {"mechanism": "PLAIN"}}),
    "ApiVersions": (0, 3, {"full": {"client_software_name": "tester", "client_software_version": "1.0"}}),
    "CreateTopics": (0, 7, {
        "full": {
            "topics": [
                {"name": "orders", "num_partitions": 6, "replication_factor": 1, "assignments": [],
                 "configs": [{"name": "retention.ms", "value": "1000"}, {"name": "segment.ms", "value": None}]},
                {"name": "placed", "num_partitions": -1, "replication_factor": -1,
                 "assignments": [{"partition_index": 0, "broker_ids": [1]}], "configs": []}],
            "timeout_ms": 30000, "validate_only": True,
        },
        "empty": {"topics": [], "timeout_ms": 0, "validate_only": False},
    }),
    "DeleteTopics": (0, 5, {
        "full": {"topic_names": ["orders", "placed"], "timeout_ms": 30000},
        "empty": {"topic_names": [], "timeout_ms": 0},
    }),
    "DeleteRecords": (0, 2, {
        "full": {"topics": [{"name": "orders", "partitions": [{"partition_index": 7, "offset": -1}]}],
                 "timeout_ms": 30000},
        "empty": {"topics": [], "timeout_ms": 0},
    }),
    "InitProducerId": (0, 4, {
        "full": {"transactional_id": "tx", "transaction_timeout_ms": 60000, "producer_id": 9001, "producer_epoch": 3},
        "empty": {"transactional_id": None, "transaction_timeout_ms": 0, "producer_id": -1, "producer_epoch": -1},
    }),
    "AddPartitionsToTxn": (0, 3, {"full": {
        "v3_and_below_transactional_id": "tx", "v3_and_below_producer_id": 9001, "v3_and_below_producer_epoch": 3,
        "v3_and_below_topics": TXN_TOPICS}}),
    "AddOffsetsToTxn": (0, 3, {"full": PRODUCER | GROUP}),
    "EndTxn": (0, 3, {"full": PRODUCER | {"committed": True}}),
    "TxnOffsetCommit": (0, 3, {"full": PRODUCER | GROUP | MEMBER | {"topics": [{"name": "orders", "partitions": [
        {"partition_index": 7, "committed_offset": 42, "committed_leader_epoch": 4, "committed_metadata": None}]}]}}),
    "DescribeAcls": (0, 2, {"full": FILTER}),
    "CreateAcls": (0, 2, {"full": {"creations": [ACL]}}),
    "DeleteAcls": (0, 2, {"full": {"filters": [FILTER]}}),
    "DescribeConfigs": (0, 4, {
        "full": {"resources": [RESOURCE | {"configuration_keys": ["retention.ms"]},
                               {"resource_type": 4, "resource_name": "1", "configuration_keys": None}],
                 "include_synonyms": True, "include_documentation": True},
        "empty": {"resources": [], "include_synonyms": False, "include_documentation": False},
    }),
    "AlterConfigs": (0, 2, {
        "full": {"resources": [RESOURCE | {"configs": [{"name": "retention.ms", "value": "1000"},
                                                       {"name": "segment.ms", "value": None}]}],
                 "validate_only": True},
        "empty": {"resources": [], "validate_only": False},
    }),
    "CreatePartitions": (0, 3, {
        "full": {"topics": [{"name": "orders", "count": 9, "assignments": [{"broker_ids": [1]}]},
                            {"name": "placed", "count": 2, "assignments": None}],
                 "timeout_ms": 30000, "validate_only": True},
        "empty": {"topics": [], "timeout_ms": 0, "validate_only": False},
    }),
    "DeleteGroups": (0, 2, {
        "full": {"groups_names": ["billing", "mail"]},
        "empty": {"groups_names": []},
    }),
    "IncrementalAlterConfigs": (0, 1, {
        "full": {"resources": [RESOURCE | {"configs": [
            {"name": "retention.ms", "config_operation": 0, "value": "1000"},
            {"name": "segment.ms", "config_operation": 1, "value": None}]}],
            "validate_only": True},
        "empty": {"resources": [], "validate_only": False},
    }),
    "OffsetDelete": (0, 0, {
        "full": GROUP | {"topics": [{"name": "orders", "partitions": [{"partition_index": 0},
                                                                      {"partition_index": 7}]}]},
        "empty": GROUP | {"topics": []},
    }),
    "DescribeCluster": (0, 1, {
        "full": {"include_cluster_authorized_operations": True, "endpoint_type": 2},
    }),
}

# Null asks for everything where a version has null.
REQUESTS["Metadata"][2]["all"] = REQUESTS["Metadata"][2]["empty"] | {"topics": None}
REQUESTS["OffsetFetch"][2]["all"] = REQUESTS["OffsetFetch"][2]["empty"] | {"topics": None}
NULL_SINCE = {("Metadata", "all"): 1, ("OffsetFetch", "all"): 2}

TXN_OUTCOMES = [{"partition_index": 0, "partition_error_code": 53}, {"partition_index": 7, "partition_error_code": 53}]
REFUSED_ACL = {"error_code": 54, "error_message": "no security"}
ALTERED = {"throttle_time_ms": 5, "responses": [
    RESOURCE | {"error_code": 0, "error_message": None},
    {"resource_type": 4, "resource_name": "1", "error_code": 40, "error_message": "bad value"}]}

# An error goes with what the broker sends beside it, so that defaults are seen too.
RESPONSES = {
    "Produce": {"responses": [{"name": "orders", "partition_responses": [
        {"index": 0, "error_code": 0, "base_offset": 1234567890123, "log_append_time_ms": -1, "log_start_offset": 11,
         "record_errors": [], "error_message": None},
        {"index": 7, "error_code": 87, "base_offset": -1, "log_append_time_ms": -1, "log_start_offset": -1,
         "record_errors": [{"batch_index": 2, "batch_index_error_message": "no key"},
                           {"batch_index": 3, "batch_index_error_message": None}],
         "error_message": "refused"}]}], "throttle_time_ms": 5},
    "Fetch": {"throttle_time_ms": 5, "error_code": 0, "session_id": 0, "responses": [
        {"topic": "orders", "partitions": [
            {"partition_index": 0, "error_code": 0, "high_watermark": 100, "last_stable_offset": 100,
             "log_start_offset": 11, "aborted_transactions": [], "preferred_read_replica": -1,
             "records": b"R" * 200},
            {"partition_index": 7, "error_code": 1, "high_watermark": -1, "last_stable_offset": -1,
             "log_start_offset": -1, "aborted_transactions": [], "preferred_read_replica": -1, "records": b""},
            {"partition_index": 8, "error_code": 0, "high_watermark": 7, "last_stable_offset": 7,
             "log_start_offset": 0, "aborted_transactions": [], "preferred_read_replica": -1,
             "records": b"S" * 3}]}]},
    "ListOffsets": {"throttle_time_ms": 5, "topics": [{"name": "orders", "partitions": [
        {"partition_index": 0, "error_code": 0, "timestamp": 1700000000000, "offset": 42, "leader_epoch": 4},
        {"partition_index": 7, "error_code": 3, "timestamp": -1, "offset": -1, "leader_epoch": -1}]}]},
    "Metadata": {"throttle_time_ms": 5, "brokers": [BROKER | {"rack": None}], "cluster_id": "c-1",
                 "controller_id": 1, "topics": [
        {"error_code": 0, "name": "orders", "topic_id": TOPIC_ID, "is_internal": False, "partitions": [
            {"error_code": 0, "partition_index": 7, "leader_id": 1, "leader_epoch": 4, "replica_nodes": [1],
             "isr_nodes": [1], "offline_replicas": []}]},
        {"error_code": 3, "name": "nope", "topic_id": None, "is_internal": False, "partitions": []}]},
    "OffsetCommit": {"throttle_time_ms": 5, "topics": [{"name": "orders", "partitions": OUTCOMES}]},
    "OffsetFetch": {"throttle_time_ms": 5, "error_code": 0, "topics": [{"name": "orders", "partitions": [
        {"partition_index": 0, "committed_offset": 42, "committed_leader_epoch": 4, "metadata": "note",
         "error_code": 0},
        {"partition_index": 7, "committed_offset": -1, "committed_leader_epoch": -1, "metadata": "",
         "error_code": 0}]}]},
    "FindCoordinator": BROKER | {"throttle_time_ms": 5, "error_code": 0, "error_message": None},
    "JoinGroup": {"throttle_time_ms": 5, "error_code": 0, "generation_id": 5, "protocol_type": "consumer",
                  "protocol_name": "range", "leader": "m-1", "member_id": "m-1", "members": [
        {"member_id": "m-1", "group_instance_id": "i-1", "metadata": b"\x00\x01"},
        {"member_id": "m-2", "group_instance_id": None, "metadata": b""}]},
    "Heartbeat": {"throttle_time_ms": 5, "error_code": 27},
    "LeaveGroup": {"throttle_time_ms": 5, "error_code": 0, "members": [
        {"member_id": "m-1", "group_instance_id": "i-1", "error_code": 0},
        {"member_id": "m-2", "group_instance_id": None, "error_code": 25}]},
    "SyncGroup": {"throttle_time_ms": 5, "error_code": 0, "protocol_type": "consumer", "protocol_name": "range",
                  "assignment": b"\x00\x07"},
    "DescribeGroups": {"throttle_time_ms": 5, "groups": [
        {"error_code": 0, "group_id": "billing", "group_state": "Stable", "protocol_type": "consumer",
         "protocol_data": "range", "members": [
             {"member_id": "m-1", "group_instance_id": "i-1", "client_id": "tester", "client_host": "/127.0.0.1",
              "member_metadata": b"\x00\x01", "member_assignment": b"\x00\x07"}]}]},
    "ListGroups": {"throttle_time_ms": 5, "error_code": 0, "groups": [
        {"group_id": "billing", "protocol_type": "consumer", "group_state": "Stable"}]},
    "SaslHandshake": {"error_code": 33, "mechanisms": []},
    "CreateTopics": {"throttle_time_ms": 5, "topics": [
        {"name": "orders", "topic_id": TOPIC_ID, "error_code": 0, "error_message": None, "num_partitions": 6,
         "replication_factor": 1, "configs": [
             {"name": "retention.ms", "value": "1000", "read_only": False, "config_source": 1,
              "is_sensitive": False}]},
        {"name": "placed", "topic_id": None, "error_code": 36, "error_message": "it exists",
         "num_partitions": -1, "replication_factor": -1, "configs": None}]},
    "DeleteTopics": {"throttle_time_ms": 5, "responses": [
        {"name": "orders", "error_code": 0, "error_message": None},
        {"name": "placed", "error_code": 3, "error_message": "unknown"}]},
    "DeleteRecords": {"throttle_time_ms": 5, "topics": [{"name": "orders", "partitions": [
        {"partition_index": 0, "low_watermark": 42, "error_code": 0},
        {"partition_index": 7, "low_watermark": -1, "error_code": 1}]}]},
    "InitProducerId": {"throttle_time_ms": 5, "error_code": 0, "producer_id": 9001, "producer_epoch": 0},
    "AddPartitionsToTxn": {"throttle_time_ms": 0, "results_by_topic_v3_and_below": [
        {"name": "orders", "results_by_partition": TXN_OUTCOMES}]},
    "AddOffsetsToTxn": {"throttle_time_ms": 0, "error_code": 53},
    "EndTxn": {"throttle_time_ms": 0, "error_code": 53},
    "TxnOffsetCommit": {"throttle_time_ms": 0, "topics": [{"name": "orders", "partitions": [
        {"partition_index": 7, "error_code": 53}]}]},
    "DescribeAcls": REFUSED_ACL | {"throttle_time_ms": 0, "resources": []},
    "CreateAcls": {"throttle_time_ms": 0, "results": [REFUSED_ACL]},
    "DeleteAcls": {"throttle_time_ms": 0, "filter_results": [REFUSED_ACL | {"matching_acls": []}]},
    "DescribeConfigs": {"throttle_time_ms": 5, "results": [
        RESOURCE | {"error_code": 0, "error_message": None, "configs": [
            {"name": "retention.ms", "value": "1000", "read_only": False, "config_source": 1, "is_default": False,
             "is_sensitive": False, "synonyms": [{"name": "retention.ms", "value": "1000", "source": 1}],
             "config_type": 5, "documentation": "how long"},
            {"name": "cleanup.policy", "value": None, "read_only": True, "config_source": 5, "is_default": True,
             "is_sensitive": True, "synonyms": [], "config_type": 0, "documentation": None}]},
        {"resource_type": 4, "resource_name": "9", "error_code": 42, "error_message": "no such broker",
         "configs": []}]},
    "AlterConfigs": ALTERED,
    "CreatePartitions": {"throttle_time_ms": 5, "results": [
        {"name": "orders", "error_code": 0, "error_message": None},
        {"name": "placed", "error_code": 37, "error_message": "fewer"}]},
    "DeleteGroups": {"throttle_time_ms": 5, "results": [
        {"group_id": "billing", "error_code": 0}, {"group_id": "mail", "error_code": 68}]},
    "IncrementalAlterConfigs": ALTERED,
    "OffsetDelete": {"error_code": 0, "throttle_time_ms": 5, "topics": [{"name": "orders", "partitions": OUTCOMES}]},
    "DescribeCluster": {"throttle_time_ms": 5, "error_code": 0, "error_message": None, "endpoint_type": 1,
                        "cluster_id": "c-1", "controller_id": 1,
                        "brokers": [{"broker_id": 1, "host": "127.0.0.1", "port": 9092, "rack": None}]},
}


# Known, so that they can be refused, but not offered.
UNADVERTISED = {"SaslHandshake", "AddPartitionsToTxn", "AddOffsetsToTxn", "EndTxn", "TxnOffsetCommit"}


def api_versions(error: int) -> dict:
    return {"error_code": error, "throttle_time_ms": 0, "api_keys": [
        {"api_key": message_class(name + "Request").API_KEY, "min_version": first, "max_version": last}
        for name, (first, last, _) in REQUESTS.items() if name not in UNADVERTISED]}


def message_class(name: str) -> type:
    for module in MODULES:
        found = getattr(importlib.import_module(f"kafka.protocol.{module}"), name, None)
        if found is not None:
            return found
    raise SystemExit(f"kafka-python has no {name}")


def structured(field: object, value: object, version: int) -> object:
    """The library's own objects in place of dictionaries, which its encoder does not take."""
    if value is None or not (field.is_struct() or field.is_struct_array()):
        return value
    if field.is_struct_array():
        return [structure(field, item, version) for item in value]
    return structure(field, value, version)


def structure(field: object, values: dict, version: int) -> object:
    fields = {name: structured(field.fields[name], value, version) for name, value in values.items()}
    return field.data_class(**fields)


def encoded(name: str, values: dict, version: int, framed: bool) -> bytes:
    cls = message_class(name)
    fields = {key: structured(cls.fields[key], value, version) for key, value in values.items()}
    message = cls(version=version, **fields)
    if framed:
        message.with_header(correlation_id=CORRELATION)
    else:
        message.with_header(correlation_id=CORRELATION, client_id=CLIENT)
    data = bytes(message.encode(header=True, framed=framed))
    again = cls.decode(data, version=version, header=True, framed=framed)
    for key, field in cls.fields.items():
        if key in values and field.for_version_q(version) and not field.tagged_field_q(version):
            check(field, values[key], getattr(again, key), version, f"{name} {version} {key}")
    return data


def check(field: object, value: object, decoded: object, version: int, where: str) -> None:
    if value is None:
        assert decoded is None, where
    elif field.is_struct_array():
        assert len(value) == len(decoded), where
        for one, other in zip(value, decoded):
            for key, inner in one.items():
                if field.fields[key].for_version_q(version):
                    check(field.fields[key], inner, getattr(other, key), version, f"{where}.{key}")
    else:
        assert value == decoded, f"{where}: {value} is read as {decoded}"


def main() -> None:
    print("# DO NOT EDIT: made by golden.py with kafka-python. Kind, API key, version, variant, hex.")
    for name, (first, last, variants) in REQUESTS.items():
        key = message_class(name + "Request").API_KEY
        for version in range(first, last + 1):
            for variant, values in variants.items():
                if version >= NULL_SINCE.get((name, variant), 0):
                    print("request", key, version, variant, encoded(name + "Request", values, version, False).hex())
    RESPONSES["ApiVersions"] = api_versions(error=0)
    for name, values in RESPONSES.items():
        first, last, _ = REQUESTS[name]
        key = message_class(name + "Response").API_KEY
        for version in range(first, last + 1):
            print("response", key, version, "full", encoded(name + "Response", values, version, True).hex())
    print("response", 18, 0, "too-new", encoded("ApiVersionsResponse", api_versions(error=35), 0, True).hex())


main()
