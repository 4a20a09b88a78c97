"""Every path, message, field number and enum that the original's protocols have (loggregator.md 2.1, 2.3, 2.4)."""

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing

V2_MESSAGES = {
    "Envelope": "1 timestamp:int64 2 source_id:string 8 instance_id:string 3 deprecated_tags:map 9 tags:map "
    "4 log:message 5 counter:message 6 gauge:message 7 timer:message 10 event:message",
    "Value": "1 text:string 2 integer:int64 3 decimal:double",
    "EnvelopeBatch": "1 batch:messages",
    "Log": "1 payload:bytes 2 type:enum",
    "Counter": "1 name:string 2 delta:uint64 3 total:uint64",
    "Gauge": "1 metrics:map",
    "GaugeValue": "1 unit:string 2 value:double",
    "Timer": "1 name:string 2 start:int64 3 stop:int64",
    "Event": "1 title:string 2 body:string",
    "IngressResponse": "",
    "BatchSenderResponse": "",
    "SendResponse": "",
    "EgressRequest": "1 shard_id:string 5 deterministic_name:string 2 legacy_selector:message 4 selectors:messages "
    "3 use_preferred_tags:bool",
    "EgressBatchRequest": "1 shard_id:string 5 deterministic_name:string 2 legacy_selector:message "
    "4 selectors:messages 3 use_preferred_tags:bool",
    "Selector": "1 source_id:string 2 log:message 3 counter:message 4 gauge:message 5 timer:message 6 event:message",
    "LogSelector": "",
    "CounterSelector": "1 name:string",
    "GaugeSelector": "1 names:strings",
    "TimerSelector": "",
    "EventSelector": "",
}
V1_SERVICE_MESSAGES = {
    "EnvelopeData": "1 payload:bytes",
    "PushResponse": "",
    "SubscriptionRequest": "1 shardID:string 2 filter:message",
    "Filter": "1 appID:string 2 log:message 3 metric:message",
    "LogFilter": "",
    "MetricFilter": "",
    "Response": "1 payload:bytes",
    "BatchResponse": "1 payload:byteses",
    "ContainerMetricsRequest": "1 appID:string",
    "ContainerMetricsResponse": "1 payload:byteses",
    "RecentLogsRequest": "1 appID:string",
    "RecentLogsResponse": "1 payload:byteses",
}
V1_MESSAGES = {
    "Envelope": "1 origin*:string 2 eventType*:enum 6 timestamp:int64 13 deployment:string 14 job:string "
    "15 index:string 16 ip:string 17 tags:map 7 httpStartStop:message 8 logMessage:message 9 valueMetric:message "
    "10 counterEvent:message 11 error:message 12 containerMetric:message",
    "LogMessage": "1 message*:bytes 2 message_type*:enum 3 timestamp*:int64 4 app_id:string 5 source_type:string "
    "6 source_instance:string",
    "HttpStartStop": "1 startTimestamp*:int64 2 stopTimestamp*:int64 3 requestId*:message 4 peerType*:enum "
    "5 method*:enum 6 uri*:string 7 remoteAddress*:string 8 userAgent*:string 9 statusCode*:int32 "
    "10 contentLength*:int64 12 applicationId:message 13 instanceIndex:int32 14 instanceId:string 15 forwarded:strings",
    "ValueMetric": "1 name*:string 2 value*:double 3 unit*:string",
    "CounterEvent": "1 name*:string 2 delta*:uint64 3 total:uint64",
    "ContainerMetric": "1 applicationId*:string 2 instanceIndex*:int32 3 cpuPercentage*:double 4 memoryBytes*:uint64 "
    "5 diskBytes*:uint64 6 memoryBytesQuota:uint64 7 diskBytesQuota:uint64",
    "Error": "1 source*:string 2 code*:int32 3 message*:string",
    "UUID": "1 low*:uint64 2 high*:uint64",
}
FILES: dict[str, tuple[FileDescriptor, dict[str, str]]] = {
    "loggregator.v2": (v2.DESCRIPTOR, V2_MESSAGES),
    "plumbing": (plumbing.DESCRIPTOR, V1_SERVICE_MESSAGES),
    "events": (v1.DESCRIPTOR, V1_MESSAGES),
}
SERVICES = {
    "Ingress/Sender": (v2, "stream Envelope", "IngressResponse"),
    "Ingress/BatchSender": (v2, "stream EnvelopeBatch", "BatchSenderResponse"),
    "Ingress/Send": (v2, "EnvelopeBatch", "SendResponse"),
    "Egress/Receiver": (v2, "EgressRequest", "stream Envelope"),
    "Egress/BatchedReceiver": (v2, "EgressBatchRequest", "stream EnvelopeBatch"),
    "DopplerIngestor/Pusher": (plumbing, "stream EnvelopeData", "PushResponse"),
    "Doppler/Subscribe": (plumbing, "SubscriptionRequest", "stream Response"),
    "Doppler/BatchSubscribe": (plumbing, "SubscriptionRequest", "stream BatchResponse"),
    "Doppler/ContainerMetrics": (plumbing, "ContainerMetricsRequest", "ContainerMetricsResponse"),
    "Doppler/RecentLogs": (plumbing, "RecentLogsRequest", "RecentLogsResponse"),
}
_TYPES = {
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_MESSAGE: "message",
}


def described(field: FieldDescriptor) -> str:
    """Write a field as the tables above do: `*` is one that proto2 requires, a plural one that repeats."""
    kind = _TYPES[field.type]
    if field.is_repeated:
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        kind = "map" if is_map else f"{kind}es" if kind == "bytes" else f"{kind}s"
    return f"{field.number} {field.name}{'*' if field.is_required else ''}:{kind}"


def pairs(text: str) -> set[str]:
    words = text.split()
    return {f"{number} {name}" for number, name in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, (_, messages) in FILES.items() for name in messages]
)
def test_a_message_has_the_fields_of_the_original(package: str, name: str) -> None:
    file, messages = FILES[package]
    message: Descriptor = file.message_types_by_name[name]

    assert file.package == package
    assert {described(field) for field in message.fields} == pairs(messages[name])


@pytest.mark.parametrize("path", SERVICES)
def test_a_method_has_the_name_and_the_shape_of_the_original(path: str) -> None:
    service, name = path.split("/")
    module, request, answer = SERVICES[path]

    method = module.DESCRIPTOR.services_by_name[service].methods_by_name[name]

    shape = f"{'stream ' * method.client_streaming}{method.input_type.name}"
    assert (shape, f"{'stream ' * method.server_streaming}{method.output_type.name}") == (request, answer)


@pytest.mark.parametrize(
    ("enum", "numbers"),
    [
        (v2.Log.DESCRIPTOR.enum_types[0], {"OUT": 0, "ERR": 1}),
        (v1.LogMessage.DESCRIPTOR.enum_types_by_name["MessageType"], {"OUT": 1, "ERR": 2}),
        (v1.DESCRIPTOR.enum_types_by_name["PeerType"], {"Client": 1, "Server": 2}),
        (
            v1.Envelope.DESCRIPTOR.enum_types_by_name["EventType"],
            {
                "HttpStartStop": 4,
                "LogMessage": 5,
                "ValueMetric": 6,
                "CounterEvent": 7,
                "Error": 8,
                "ContainerMetric": 9,
            },
        ),
    ],
)
def test_an_enum_has_the_numbers_of_the_original(enum: EnumDescriptor, numbers: dict[str, int]) -> None:
    assert {value.name: value.number for value in enum.values} == numbers


def test_methods_are_numbered_as_in_the_original() -> None:
    numbers = {value.name: value.number for value in v1.DESCRIPTOR.enum_types_by_name["Method"].values}

    assert [numbers[name] for name in ("GET", "POST", "PUT", "DELETE", "HEAD")] == [1, 2, 3, 4, 5]
    assert numbers["VERSION_CONTROL"] == max(numbers.values()) == len(numbers) == 44


def test_json_has_the_names_of_the_original() -> None:
    """The original overrides the names that protojson would give these."""
    fields = v2.Envelope.DESCRIPTOR.fields_by_name

    assert [fields[name].json_name for name in ("source_id", "instance_id", "deprecated_tags")] == [
        "source_id",
        "instance_id",
        "deprecated_tags",
    ]
