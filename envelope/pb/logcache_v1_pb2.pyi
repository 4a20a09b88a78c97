from envelope.pb import loggregator_v2_pb2 as _loggregator_v2_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnvelopeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANY: _ClassVar[EnvelopeType]
    LOG: _ClassVar[EnvelopeType]
    COUNTER: _ClassVar[EnvelopeType]
    GAUGE: _ClassVar[EnvelopeType]
    TIMER: _ClassVar[EnvelopeType]
    EVENT: _ClassVar[EnvelopeType]
ANY: EnvelopeType
LOG: EnvelopeType
COUNTER: EnvelopeType
GAUGE: EnvelopeType
TIMER: EnvelopeType
EVENT: EnvelopeType

class SendRequest(_message.Message):
    __slots__ = ("envelopes", "local_only")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ONLY_FIELD_NUMBER: _ClassVar[int]
    envelopes: _loggregator_v2_pb2.EnvelopeBatch
    local_only: bool
    def __init__(self, envelopes: _Optional[_Union[_loggregator_v2_pb2.EnvelopeBatch, _Mapping]] = ..., local_only: _Optional[bool] = ...) -> None: ...

class SendResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadRequest(_message.Message):
    __slots__ = ("source_id", "start_time", "end_time", "limit", "envelope_types", "descending", "name_filter")
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_TYPES_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    NAME_FILTER_FIELD_NUMBER: _ClassVar[int]
    source_id: str
    start_time: int
    end_time: int
    limit: int
    envelope_types: _containers.RepeatedScalarFieldContainer[EnvelopeType]
    descending: bool
    name_filter: str
    def __init__(self, source_id: _Optional[str] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., limit: _Optional[int] = ..., envelope_types: _Optional[_Iterable[_Union[EnvelopeType, str]]] = ..., descending: _Optional[bool] = ..., name_filter: _Optional[str] = ...) -> None: ...

class ReadResponse(_message.Message):
    __slots__ = ("envelopes",)
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    envelopes: _loggregator_v2_pb2.EnvelopeBatch
    def __init__(self, envelopes: _Optional[_Union[_loggregator_v2_pb2.EnvelopeBatch, _Mapping]] = ...) -> None: ...

class MetaRequest(_message.Message):
    __slots__ = ("local_only",)
    LOCAL_ONLY_FIELD_NUMBER: _ClassVar[int]
    local_only: bool
    def __init__(self, local_only: _Optional[bool] = ...) -> None: ...

class MetaInfo(_message.Message):
    __slots__ = ("count", "expired", "oldest_timestamp", "newest_timestamp")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NEWEST_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    count: int
    expired: int
    oldest_timestamp: int
    newest_timestamp: int
    def __init__(self, count: _Optional[int] = ..., expired: _Optional[int] = ..., oldest_timestamp: _Optional[int] = ..., newest_timestamp: _Optional[int] = ...) -> None: ...

class MetaResponse(_message.Message):
    __slots__ = ("meta",)
    class MetaEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: MetaInfo
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetaInfo, _Mapping]] = ...) -> None: ...
    META_FIELD_NUMBER: _ClassVar[int]
    meta: _containers.MessageMap[str, MetaInfo]
    def __init__(self, meta: _Optional[_Mapping[str, MetaInfo]] = ...) -> None: ...

class PromQL(_message.Message):
    __slots__ = ()
    class InstantQueryRequest(_message.Message):
        __slots__ = ("query", "time")
        QUERY_FIELD_NUMBER: _ClassVar[int]
        TIME_FIELD_NUMBER: _ClassVar[int]
        query: str
        time: str
        def __init__(self, query: _Optional[str] = ..., time: _Optional[str] = ...) -> None: ...
    class RangeQueryRequest(_message.Message):
        __slots__ = ("query", "start", "end", "step")
        QUERY_FIELD_NUMBER: _ClassVar[int]
        START_FIELD_NUMBER: _ClassVar[int]
        END_FIELD_NUMBER: _ClassVar[int]
        STEP_FIELD_NUMBER: _ClassVar[int]
        query: str
        start: str
        end: str
        step: str
        def __init__(self, query: _Optional[str] = ..., start: _Optional[str] = ..., end: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...
    class InstantQueryResult(_message.Message):
        __slots__ = ("scalar", "vector", "matrix")
        SCALAR_FIELD_NUMBER: _ClassVar[int]
        VECTOR_FIELD_NUMBER: _ClassVar[int]
        MATRIX_FIELD_NUMBER: _ClassVar[int]
        scalar: PromQL.Scalar
        vector: PromQL.Vector
        matrix: PromQL.Matrix
        def __init__(self, scalar: _Optional[_Union[PromQL.Scalar, _Mapping]] = ..., vector: _Optional[_Union[PromQL.Vector, _Mapping]] = ..., matrix: _Optional[_Union[PromQL.Matrix, _Mapping]] = ...) -> None: ...
    class RangeQueryResult(_message.Message):
        __slots__ = ("matrix",)
        MATRIX_FIELD_NUMBER: _ClassVar[int]
        matrix: PromQL.Matrix
        def __init__(self, matrix: _Optional[_Union[PromQL.Matrix, _Mapping]] = ...) -> None: ...
    class Scalar(_message.Message):
        __slots__ = ("time", "value")
        TIME_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        time: str
        value: float
        def __init__(self, time: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class Vector(_message.Message):
        __slots__ = ("samples",)
        SAMPLES_FIELD_NUMBER: _ClassVar[int]
        samples: _containers.RepeatedCompositeFieldContainer[PromQL.Sample]
        def __init__(self, samples: _Optional[_Iterable[_Union[PromQL.Sample, _Mapping]]] = ...) -> None: ...
    class Point(_message.Message):
        __slots__ = ("time", "value")
        TIME_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        time: str
        value: float
        def __init__(self, time: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class Sample(_message.Message):
        __slots__ = ("metric", "point")
        class MetricEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        METRIC_FIELD_NUMBER: _ClassVar[int]
        POINT_FIELD_NUMBER: _ClassVar[int]
        metric: _containers.ScalarMap[str, str]
        point: PromQL.Point
        def __init__(self, metric: _Optional[_Mapping[str, str]] = ..., point: _Optional[_Union[PromQL.Point, _Mapping]] = ...) -> None: ...
    class Matrix(_message.Message):
        __slots__ = ("series",)
        SERIES_FIELD_NUMBER: _ClassVar[int]
        series: _containers.RepeatedCompositeFieldContainer[PromQL.Series]
        def __init__(self, series: _Optional[_Iterable[_Union[PromQL.Series, _Mapping]]] = ...) -> None: ...
    class Series(_message.Message):
        __slots__ = ("metric", "points")
        class MetricEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        METRIC_FIELD_NUMBER: _ClassVar[int]
        POINTS_FIELD_NUMBER: _ClassVar[int]
        metric: _containers.ScalarMap[str, str]
        points: _containers.RepeatedCompositeFieldContainer[PromQL.Point]
        def __init__(self, metric: _Optional[_Mapping[str, str]] = ..., points: _Optional[_Iterable[_Union[PromQL.Point, _Mapping]]] = ...) -> None: ...
    def __init__(self) -> None: ...
