from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnvelopeData(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class PushResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Filter(_message.Message):
    __slots__ = ("appID", "log", "metric")
    APPID_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    appID: str
    log: LogFilter
    metric: MetricFilter
    def __init__(self, appID: _Optional[str] = ..., log: _Optional[_Union[LogFilter, _Mapping]] = ..., metric: _Optional[_Union[MetricFilter, _Mapping]] = ...) -> None: ...

class LogFilter(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MetricFilter(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SubscriptionRequest(_message.Message):
    __slots__ = ("shardID", "filter")
    SHARDID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    shardID: str
    filter: Filter
    def __init__(self, shardID: _Optional[str] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class BatchResponse(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, payload: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ContainerMetricsRequest(_message.Message):
    __slots__ = ("appID",)
    APPID_FIELD_NUMBER: _ClassVar[int]
    appID: str
    def __init__(self, appID: _Optional[str] = ...) -> None: ...

class ContainerMetricsResponse(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, payload: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RecentLogsRequest(_message.Message):
    __slots__ = ("appID",)
    APPID_FIELD_NUMBER: _ClassVar[int]
    appID: str
    def __init__(self, appID: _Optional[str] = ...) -> None: ...

class RecentLogsResponse(_message.Message):
    __slots__ = ("payload",)
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, payload: _Optional[_Iterable[bytes]] = ...) -> None: ...
