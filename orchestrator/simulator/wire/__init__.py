"""XenAPI on the wire: HTTP with XML-RPC on every path and JSON-RPC on /jsonrpc."""
