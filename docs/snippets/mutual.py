from pathlib import Path

from twisted.internet import defer, task
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    trustRootFromCertificates,
)
from txabstracthttp import AbstractHttpServer


class Members(AbstractHttpServer):
    def handleRequest(self, request, socket):
        member = request.peerCertificate.getSubject().commonName.decode()
        socket.respond(f"welcome, {member}")
        return True


def options():
    own = PrivateCertificate.loadPEM(Path("key.pem").read_bytes() + Path("cert.pem").read_bytes())
    clients = Certificate.loadPEM(Path("clients.pem").read_bytes())
    return CertificateOptions(
        privateKey=own.privateKey.original,
        certificate=own.original,
        trustRoot=trustRootFromCertificates([clients]),
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )


async def main(reactor):
    server = Members(reactor)
    server.sslSetup(options())
    server.listen("127.0.0.1", 8443)
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
