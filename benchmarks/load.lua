-- Repeats one operation of the contract. OPERATION: claim, approve or complete. The ids of approve and
-- complete count up from FIRST. Prints one line of JSON.
local operation = os.getenv("OPERATION")
local id = tonumber(os.getenv("FIRST") or "1") - 1
local headers = { ["Content-Type"] = "application/json", ["Host"] = "127.0.0.1" }

function request()
  id = id + 1
  if operation == "claim" then
    return wrk.format("POST", "/dispatch/next", headers, '{"worker_id": "van-1"}')
  elseif operation == "approve" then
    return wrk.format("POST", "/task/approve", headers, '{"suggestion_id": ' .. id .. "}")
  end
  return wrk.format("POST", "/task/" .. id .. "/complete", headers, "")
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.3f, "p50": %.2f, "p95": %.2f, "p99": %.2f, "refused": %d, "lost": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
