"""Floor 1: RFC 9112, 9113 and the handshake of RFC 6455, without any input or output of their own.

Octets go in, events come out; method calls go in, octets come out.  Nothing here knows Twisted.
"""
