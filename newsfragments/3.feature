Content streams both ways: ``streamsBody``, ``deliverBody``, ``content`` and ``async for`` on requests; ``begin``,
``write``, ``finish``, producers, ``sendFile``, interim responses and trailers on responses; ``detach`` hands a
connection to another protocol. TLS material given by path is reloaded when it changes, certificates are chosen by
name (SNI), clients may prove who they are. ``haproxy:`` takes the PROXY protocol, versions 1 and 2, before TLS.
