// What a handler's author meets in signatures, so that one import is enough.
@_exported public import JSON
@_exported public import Model
@_exported public import Postgres

@_exported public import struct Platform.Log
@_exported public import struct Platform.Timestamp
@_exported public import struct Tracing.Span
