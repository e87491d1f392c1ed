HTTP/2, behind the same ``handleRequest``: by ALPN on every TLS endpoint, with prior knowledge on plain ones, and behind
``haproxy:``. ``Http2Configuration`` takes effect. WebSockets over HTTP/2 (RFC 8441) reach the same verifiers, queue and
``WebSocket``. Floods and rapid resets have budgets, and ``close`` lets streams finish. ``HttpRequest`` has
``tlsVersion`` and ``tlsCipher``.
