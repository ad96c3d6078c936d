"""A collector of traces: takes OTLP over HTTP, and reads it with OpenTelemetry's own classes."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from ports import free_port

Answer = Callable[[http.server.BaseHTTPRequestHandler], bool]


@dataclass
class Span:
    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, object]
    links: list[tuple[str, str]]
    error: str | None
    resource: dict[str, object] = field(repr=False, default_factory=dict)


class Collector:
    """`answer` may answer in its stead: it says whether it has."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.lock = threading.Lock()
        self.spans: list[Span] = []
        self.requests: list[dict[str, str]] = []
        self.faults: list[str] = []
        self.answer: Answer | None = None
        self.server: socketserver.TCPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Collector:
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with collector.lock:
                    collector.requests.append({"path": self.path} | {name.lower(): value for name, value in self.headers.items()})
                if collector.answer and collector.answer(self):
                    self.close_connection = True
                    return
                try:
                    collector.take(body)
                except Exception as fault:
                    with collector.lock:
                        collector.faults.append(repr(fault))
                reply(self, 200, ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def end(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest()
        assert request.ParseFromString(body) == len(body)
        # What the classes do not know of would be lost when it is written again.
        again = request.SerializeToString()
        request.DiscardUnknownFields()
        assert request.SerializeToString() == again
        found = []
        for resource_spans in request.resource_spans:
            resource = {pair.key: value(pair.value) for pair in resource_spans.resource.attributes}
            for scope in resource_spans.scope_spans:
                assert scope.scope.name == "flotilla"
                found += [span(wire, resource) for wire in scope.spans]
        with self.lock:
            self.spans += found

    def named(self, name: str, **attributes: object) -> list[Span]:
        with self.lock:
            return [one for one in self.spans if one.name == name and attributes.items() <= one.attributes.items()]

    def of(self, trace: str) -> list[Span]:
        with self.lock:
            return [one for one in self.spans if one.trace == trace]


def value(wire: AnyValue) -> object:
    kind = wire.WhichOneof("value")
    return None if kind is None else getattr(wire, kind)


def span(wire: WireSpan, resource: dict[str, object]) -> Span:
    assert len(wire.trace_id) == 16 and any(wire.trace_id), wire
    assert len(wire.span_id) == 8 and any(wire.span_id), wire
    assert len(wire.parent_span_id) in (0, 8), wire
    assert 0 < wire.start_time_unix_nano <= wire.end_time_unix_nano, wire
    attributes = {pair.key: value(pair.value) for pair in wire.attributes}
    assert len(attributes) == len(wire.attributes), wire
    return Span(
        service=str(resource["service.name"]), name=wire.name, kind=WireSpan.SpanKind.Name(wire.kind).removeprefix("SPAN_KIND_"),
        trace=wire.trace_id.hex(), id=wire.span_id.hex(), parent=wire.parent_span_id.hex(), start=wire.start_time_unix_nano,
        end=wire.end_time_unix_nano, attributes=attributes,
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in wire.links],
        error=wire.status.message if wire.status.code == Status.STATUS_CODE_ERROR else None, resource=resource)


def reply(request: http.server.BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> bool:
    request.send_response(status)
    for name, text in headers.items():
        request.send_header(name.replace("_", "-"), text)
    request.send_header("content-length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
    return True


def shown(spans: list[Span]) -> str:
    """A trace as a tree, for whoever reads a failed test."""
    known = {one.id for one in spans}
    lines: list[str] = []

    def tell(one: Span, depth: int) -> None:
        mark = f"  ERROR {one.error}" if one.error is not None else ""
        lines.append(f"{'  ' * depth}{one.service} {one.kind} {one.name}{mark}")
        for child in sorted(spans, key=lambda other: other.start):
            if child.parent == one.id:
                tell(child, depth + 1)

    for one in sorted(spans, key=lambda other: other.start):
        if one.parent not in known:
            tell(one, 0)
    return "\n".join(lines)
