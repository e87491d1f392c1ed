WebSockets: ``newWebSocketConnection``, ``nextPendingWebSocketConnection`` and ``whenWebSocketConnected``,
``addWebSocketUpgradeVerifier``, and ``WebSocket``, which is an Autobahn protocol with ``async for``, ``receive``,
signals, and back-pressure both ways; ``webSocketProtocol`` takes an Autobahn class of yours. Message limits, pings,
permessage-deflate and the Origin policy are in the configuration, and safe by default.
