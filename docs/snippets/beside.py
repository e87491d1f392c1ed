"""One process, one reactor: this server beside a twisted.web site."""

from twisted.internet import endpoints, reactor
from twisted.web import resource, server, static

from hello import Hello

root = resource.Resource()
root.putChild(b"", static.Data(b"old", "text/plain"))
endpoints.serverFromString(reactor, "tcp:8443:interface=127.0.0.1").listen(server.Site(root))
hello = Hello()
hello.bind("tcp:8080:interface=127.0.0.1")
reactor.addSystemEventTrigger("before", "shutdown", hello.close)
reactor.run()
