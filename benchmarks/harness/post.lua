-- What wrk sends to be echoed: as many octets as its argument says; built once, not for each request.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"

init = function(args)
   wrk.body = string.rep("x", tonumber(args[1]))
end
