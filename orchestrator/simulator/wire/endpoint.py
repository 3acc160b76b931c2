"""What a host answers to a request: calls in either dialect, registered paths, and pages for everything else."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.simulator.errors import Failure
from orchestrator.simulator.wire import http, jsonrpc, xmlrpc

# Host's ref, method, parameters -> value.
Answer = Callable[[str, str, list[Any]], Any]


def handle(request: http.Request, host: str, answer: Answer, routes: Mapping[tuple[str, str], http.Route]) -> http.Response | http.Transfer:
    """The response; Malformed is answered with HTTP 500, Cut and Interrupted are the caller's to obey."""
    path = request.path.partition("?")[0]
    route = routes.get((request.verb, path))
    if route is not None:
        return route(request, host)
    if request.verb == "HEAD":
        return http.html("501 Method Not Implemented", "501 Method Not Implemented", "<p>Unknown HEAD not supported.<br /></p>")
    if request.verb != "POST":
        return http.forbidden()
    return call_json(request, host, answer) if path == "/jsonrpc" else call_xml(request, host, answer)


def call_xml(request: http.Request, host: str, answer: Answer) -> http.Response:
    """XML-RPC is served on every path that is nothing else."""
    method, params = xmlrpc.decode(request.body)
    try:
        body = xmlrpc.success(answer(host, method, params))
    except Failure as failure:
        body = xmlrpc.failure(failure.details)
    return http.Response("200 OK", "text/xml", body)


def call_json(request: http.Request, host: str, answer: Answer) -> http.Response:
    """JSON-RPC, failures in HTTP 200 as well."""
    call = jsonrpc.decode(request.body)
    try:
        body = jsonrpc.success(call, answer(host, call.method, call.params))
    except Failure as failure:
        body = jsonrpc.failure(call, failure.details)
    return http.Response("200 OK", "application/json", body)
