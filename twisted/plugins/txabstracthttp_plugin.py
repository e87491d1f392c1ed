"""Tell twistd and twist that there is a ``txabstracthttp`` command.

Every run of twistd imports this file, whatever it is asked to start, so it imports nothing else of ours.
"""

from twisted.application.service import ServiceMaker

txabstracthttp = ServiceMaker(
    "txabstracthttp",
    "txabstracthttp.tap",
    "An abstract HTTP server: your AbstractHttpServer subclass, or the demo, on any endpoints.",
    "txabstracthttp",
)
