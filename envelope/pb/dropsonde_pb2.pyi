from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    Client: _ClassVar[PeerType]
    Server: _ClassVar[PeerType]

class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GET: _ClassVar[Method]
    POST: _ClassVar[Method]
    PUT: _ClassVar[Method]
    DELETE: _ClassVar[Method]
    HEAD: _ClassVar[Method]
    ACL: _ClassVar[Method]
    BASELINE_CONTROL: _ClassVar[Method]
    BIND: _ClassVar[Method]
    CHECKIN: _ClassVar[Method]
    CHECKOUT: _ClassVar[Method]
    CONNECT: _ClassVar[Method]
    COPY: _ClassVar[Method]
    DEBUG: _ClassVar[Method]
    LABEL: _ClassVar[Method]
    LINK: _ClassVar[Method]
    LOCK: _ClassVar[Method]
    MERGE: _ClassVar[Method]
    MKACTIVITY: _ClassVar[Method]
    MKCALENDAR: _ClassVar[Method]
    MKCOL: _ClassVar[Method]
    MKREDIRECTREF: _ClassVar[Method]
    MKWORKSPACE: _ClassVar[Method]
    MOVE: _ClassVar[Method]
    OPTIONS: _ClassVar[Method]
    ORDERPATCH: _ClassVar[Method]
    PATCH: _ClassVar[Method]
    PRI: _ClassVar[Method]
    PROPFIND: _ClassVar[Method]
    PROPPATCH: _ClassVar[Method]
    REBIND: _ClassVar[Method]
    REPORT: _ClassVar[Method]
    SEARCH: _ClassVar[Method]
    SHOWMETHOD: _ClassVar[Method]
    SPACEJUMP: _ClassVar[Method]
    TEXTSEARCH: _ClassVar[Method]
    TRACE: _ClassVar[Method]
    TRACK: _ClassVar[Method]
    UNBIND: _ClassVar[Method]
    UNCHECKOUT: _ClassVar[Method]
    UNLINK: _ClassVar[Method]
    UNLOCK: _ClassVar[Method]
    UPDATE: _ClassVar[Method]
    UPDATEREDIRECTREF: _ClassVar[Method]
    VERSION_CONTROL: _ClassVar[Method]
Client: PeerType
Server: PeerType
GET: Method
POST: Method
PUT: Method
DELETE: Method
HEAD: Method
ACL: Method
BASELINE_CONTROL: Method
BIND: Method
CHECKIN: Method
CHECKOUT: Method
CONNECT: Method
COPY: Method
DEBUG: Method
LABEL: Method
LINK: Method
LOCK: Method
MERGE: Method
MKACTIVITY: Method
MKCALENDAR: Method
MKCOL: Method
MKREDIRECTREF: Method
MKWORKSPACE: Method
MOVE: Method
OPTIONS: Method
ORDERPATCH: Method
PATCH: Method
PRI: Method
PROPFIND: Method
PROPPATCH: Method
REBIND: Method
REPORT: Method
SEARCH: Method
SHOWMETHOD: Method
SPACEJUMP: Method
TEXTSEARCH: Method
TRACE: Method
TRACK: Method
UNBIND: Method
UNCHECKOUT: Method
UNLINK: Method
UNLOCK: Method
UPDATE: Method
UPDATEREDIRECTREF: Method
VERSION_CONTROL: Method

class Envelope(_message.Message):
    __slots__ = ("origin", "eventType", "timestamp", "deployment", "job", "index", "ip", "tags", "httpStartStop", "logMessage", "valueMetric", "counterEvent", "error", "containerMetric")
    class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HttpStartStop: _ClassVar[Envelope.EventType]
        LogMessage: _ClassVar[Envelope.EventType]
        ValueMetric: _ClassVar[Envelope.EventType]
        CounterEvent: _ClassVar[Envelope.EventType]
        Error: _ClassVar[Envelope.EventType]
        ContainerMetric: _ClassVar[Envelope.EventType]
    HttpStartStop: Envelope.EventType
    LogMessage: Envelope.EventType
    ValueMetric: Envelope.EventType
    CounterEvent: Envelope.EventType
    Error: Envelope.EventType
    ContainerMetric: Envelope.EventType
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    EVENTTYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    HTTPSTARTSTOP_FIELD_NUMBER: _ClassVar[int]
    LOGMESSAGE_FIELD_NUMBER: _ClassVar[int]
    VALUEMETRIC_FIELD_NUMBER: _ClassVar[int]
    COUNTEREVENT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CONTAINERMETRIC_FIELD_NUMBER: _ClassVar[int]
    origin: str
    eventType: Envelope.EventType
    timestamp: int
    deployment: str
    job: str
    index: str
    ip: str
    tags: _containers.ScalarMap[str, str]
    httpStartStop: HttpStartStop
    logMessage: LogMessage
    valueMetric: ValueMetric
    counterEvent: CounterEvent
    error: Error
    containerMetric: ContainerMetric
    def __init__(self, origin: _Optional[str] = ..., eventType: _Optional[_Union[Envelope.EventType, str]] = ..., timestamp: _Optional[int] = ..., deployment: _Optional[str] = ..., job: _Optional[str] = ..., index: _Optional[str] = ..., ip: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., httpStartStop: _Optional[_Union[HttpStartStop, _Mapping]] = ..., logMessage: _Optional[_Union[LogMessage, _Mapping]] = ..., valueMetric: _Optional[_Union[ValueMetric, _Mapping]] = ..., counterEvent: _Optional[_Union[CounterEvent, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., containerMetric: _Optional[_Union[ContainerMetric, _Mapping]] = ...) -> None: ...

class UUID(_message.Message):
    __slots__ = ("low", "high")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    low: int
    high: int
    def __init__(self, low: _Optional[int] = ..., high: _Optional[int] = ...) -> None: ...

class HttpStartStop(_message.Message):
    __slots__ = ("startTimestamp", "stopTimestamp", "requestId", "peerType", "method", "uri", "remoteAddress", "userAgent", "statusCode", "contentLength", "applicationId", "instanceIndex", "instanceId", "forwarded")
    STARTTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STOPTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    REQUESTID_FIELD_NUMBER: _ClassVar[int]
    PEERTYPE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    REMOTEADDRESS_FIELD_NUMBER: _ClassVar[int]
    USERAGENT_FIELD_NUMBER: _ClassVar[int]
    STATUSCODE_FIELD_NUMBER: _ClassVar[int]
    CONTENTLENGTH_FIELD_NUMBER: _ClassVar[int]
    APPLICATIONID_FIELD_NUMBER: _ClassVar[int]
    INSTANCEINDEX_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    FORWARDED_FIELD_NUMBER: _ClassVar[int]
    startTimestamp: int
    stopTimestamp: int
    requestId: UUID
    peerType: PeerType
    method: Method
    uri: str
    remoteAddress: str
    userAgent: str
    statusCode: int
    contentLength: int
    applicationId: UUID
    instanceIndex: int
    instanceId: str
    forwarded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, startTimestamp: _Optional[int] = ..., stopTimestamp: _Optional[int] = ..., requestId: _Optional[_Union[UUID, _Mapping]] = ..., peerType: _Optional[_Union[PeerType, str]] = ..., method: _Optional[_Union[Method, str]] = ..., uri: _Optional[str] = ..., remoteAddress: _Optional[str] = ..., userAgent: _Optional[str] = ..., statusCode: _Optional[int] = ..., contentLength: _Optional[int] = ..., applicationId: _Optional[_Union[UUID, _Mapping]] = ..., instanceIndex: _Optional[int] = ..., instanceId: _Optional[str] = ..., forwarded: _Optional[_Iterable[str]] = ...) -> None: ...

class LogMessage(_message.Message):
    __slots__ = ("message", "message_type", "timestamp", "app_id", "source_type", "source_instance")
    class MessageType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUT: _ClassVar[LogMessage.MessageType]
        ERR: _ClassVar[LogMessage.MessageType]
    OUT: LogMessage.MessageType
    ERR: LogMessage.MessageType
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    APP_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_INSTANCE_FIELD_NUMBER: _ClassVar[int]
    message: bytes
    message_type: LogMessage.MessageType
    timestamp: int
    app_id: str
    source_type: str
    source_instance: str
    def __init__(self, message: _Optional[bytes] = ..., message_type: _Optional[_Union[LogMessage.MessageType, str]] = ..., timestamp: _Optional[int] = ..., app_id: _Optional[str] = ..., source_type: _Optional[str] = ..., source_instance: _Optional[str] = ...) -> None: ...

class ValueMetric(_message.Message):
    __slots__ = ("name", "value", "unit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    unit: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class CounterEvent(_message.Message):
    __slots__ = ("name", "delta", "total")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    delta: int
    total: int
    def __init__(self, name: _Optional[str] = ..., delta: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class ContainerMetric(_message.Message):
    __slots__ = ("applicationId", "instanceIndex", "cpuPercentage", "memoryBytes", "diskBytes", "memoryBytesQuota", "diskBytesQuota")
    APPLICATIONID_FIELD_NUMBER: _ClassVar[int]
    INSTANCEINDEX_FIELD_NUMBER: _ClassVar[int]
    CPUPERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    MEMORYBYTES_FIELD_NUMBER: _ClassVar[int]
    DISKBYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORYBYTESQUOTA_FIELD_NUMBER: _ClassVar[int]
    DISKBYTESQUOTA_FIELD_NUMBER: _ClassVar[int]
    applicationId: str
    instanceIndex: int
    cpuPercentage: float
    memoryBytes: int
    diskBytes: int
    memoryBytesQuota: int
    diskBytesQuota: int
    def __init__(self, applicationId: _Optional[str] = ..., instanceIndex: _Optional[int] = ..., cpuPercentage: _Optional[float] = ..., memoryBytes: _Optional[int] = ..., diskBytes: _Optional[int] = ..., memoryBytesQuota: _Optional[int] = ..., diskBytesQuota: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("source", "code", "message")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    source: str
    code: int
    message: str
    def __init__(self, source: _Optional[str] = ..., code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...
