-- wrk's figures as one line of JSON. Nothing runs per request: a script that did would slow wrk down.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "microseconds": %d, "bytes": %d, "errors": %d}\n', summary.requests,
    summary.duration, summary.bytes, e.connect + e.read + e.write + e.status + e.timeout))
end
