-- What wrk sends for the workload post-64k; built once, not for each request.
wrk.method = "POST"
wrk.body = string.rep("x", 65536)
wrk.headers["Content-Type"] = "application/octet-stream"
