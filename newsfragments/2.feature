The abstract HTTP/1.1 server: subclass ``AbstractHttpServer``, override ``handleRequest``, and ``bind`` it to any
number of Twisted endpoints, plain and TLS. ``twistd txabstracthttp``, ``twist txabstracthttp`` and
``python -m txabstracthttp`` serve a demo or a class of yours.
