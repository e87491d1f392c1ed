The cost of a request falls: a GET with a browser's fields by half of what HTTP takes of it, one over HTTP/2 to a third.
The connections of a port wait in one epoll, inside whatever reactor runs, which saves another sixth of a small request.
An idle connection keeps 3.2 KiB instead of 4.4, and a server starts in three quarters of the time.
