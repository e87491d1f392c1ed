from twisted.application.internet import TimerService
from twisted.application.service import Application, MultiService
from twisted.logger import Logger
from txabstracthttp import HttpServerService

from hello import Hello

log = Logger()
services = MultiService()
HttpServerService(Hello(), ["tcp:8080:interface=127.0.0.1"]).setServiceParent(services)
TimerService(60, log.info, "still here").setServiceParent(services)

application = Application("hello")
services.setServiceParent(application)
