An OCSP response in ``cert.pem.ocsp``, beside ``cert.pem``, is stapled to TLS handshakes and reloaded when it changes.
