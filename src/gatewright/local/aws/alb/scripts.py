"""What Envoy has no filter of its own for, in Lua.

`TRACE` is run for each request of a listener, before anything else that acts on it. Those of `transforms` and `actions`
are run for requests to routes that name one; `filterContext` holds what the route says.
"""

from __future__ import annotations

from gatewright.local.aws.alb.answers import NAMESPACE, page

_LONGEST_PATH = 16 * 1024
_MOST_FORWARDED = 30

TRACE = """
local random, format, time = math.random, string.format, os.time
-- Every worker has a state of its own, whose numbers would otherwise be the same as the others'.
math.randomseed(time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 2147483647)
for _ = 1, 8 do random() end

local function new_id()
  return format("1-%08x-%08x%08x%08x", time(), random(0, 4294967295), random(0, 4294967295), random(0, 4294967295))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if #(headers:get(":path") or "") > @@LONGEST@@ then
    handle:respond({[":status"] = "414", ["content-type"] = "text/html"}, [[@@TOO_LONG@@]])
    return
  end
  local forwarded = headers:get("x-forwarded-for")
  if forwarded and select(2, forwarded:gsub(",", "")) >= @@MOST@@ then
    handle:respond({[":status"] = "463", ["content-type"] = "text/html"}, "")
    return
  end
  local sent = headers:get("x-amzn-trace-id")
  local id = new_id()
  local traced
  if not sent then
    traced = "Root=" .. id
  elseif not (";" .. sent):find("; *Root=") then
    traced = "Root=" .. id .. ";" .. sent
  else
    local rest = {}
    for field in sent:gmatch("[^;]+") do
      if not field:find("^ *Self=") then rest[#rest + 1] = field end
    end
    traced = "Self=" .. id .. ";" .. table.concat(rest, ";")
  end
  headers:replace("x-amzn-trace-id", traced)
end
"""
"""Adds X-Amzn-Trace-Id ("Request tracing for your Application Load Balancer"); refuses what ALBs refuse as too much."""

_APPEND_PORT = """
function envoy_on_request(handle)
  local headers = handle:headers()
  local host = headers:get(":authority")
  if host and not host:find(":%d+$") then headers:replace(":authority", host .. ":@@PORT@@") end
end
"""

TRANSFORM = """
function envoy_on_request(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local rewritten = metadata:get("@@NAMESPACE@@")
  if not rewritten then return end
  local headers = handle:headers()
  local path, host = rewritten["url-rewrite"], rewritten["host-header-rewrite"]
  if (path and not path:find("^/[^%c%s]*$")) or (host and not host:find("^[^%c%s/]+$")) then
    handle:respond({[":status"] = "500", ["content-type"] = "text/html"}, [[@@FAILED@@]])
    return
  end
  if path then
    metadata:set("@@NAMESPACE@@", "asked-path", headers:get(":path"))
    headers:replace(":path", path)
  end
  if host then
    metadata:set("@@NAMESPACE@@", "asked-host", headers:get(":authority"))
    headers:replace(":authority", host)
  end
end
"""
"""Puts in place what a rule's transforms have made of the URL and the Host ("Transforms for listener rules"): "if there
is a pattern match but the transform fails, we return an HTTP 500 error", as where the result is no path or no host.
What the client asked for is kept in the metadata, for access logs."""

REDIRECT = """
local function fill(template, parts)
  return (template:gsub("#{(%a+)}", parts))
end

function envoy_on_request(handle)
  local context = handle:filterContext()
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)%??(.*)$")
  local host = (headers:get(":authority") or ""):gsub(":%d+$", "")
  local parts = {
    protocol = context:get("own_protocol"), port = context:get("own_port"),
    host = host, path = path:gsub("^/", ""), query = query,
  }
  local location = context:get("protocol") .. "://" .. fill(context:get("host"), parts)
    .. ":" .. context:get("port") .. fill(context:get("path"), parts)
  local asked = fill(context:get("query"), parts)
  if asked ~= "" then location = location .. "?" .. asked end
  handle:respond(
    {[":status"] = context:get("status"), ["location"] = location, ["content-type"] = "text/html"}, context:get("body"))
end
"""
"""Redirects ("Redirect actions"). `protocol` and `port` have no placeholders left."""

FORWARD = """
local function cookies(headers)
  local found = {}
  for i = 0, headers:getNumValues("cookie") - 1 do
    for name, value in headers:getAtIndex("cookie", i):gmatch("([^=; ]+)=([^;]*)") do found[name] = value end
  end
  return found
end

local function set(headers, name, value, seconds)
  local cookie = name .. "=" .. value
  if seconds then
    cookie = cookie .. "; Expires=" .. os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds)
  end
  return cookie .. "; Path=/"
end

local function add(headers, name, value, seconds)
  local cookie = set(headers, name, value, seconds)
  headers:add("set-cookie", cookie)
  headers:add("set-cookie", (cookie:gsub("^[^=]+", name .. "CORS", 1)) .. "; SameSite=None; Secure")
end

local function is_incompatible(version, headers, protocol)
  local is_grpc = (headers:get("content-type") or ""):find("^application/grpc") ~= nil
  if version == "HTTP1" then return is_grpc end
  if protocol ~= "HTTP/2" then return true end
  return version == "GRPC" and headers:get(":method") ~= "POST"
end

function envoy_on_request(handle)
  local context = handle:filterContext()
  local headers = handle:headers()
  if is_incompatible(context:get("version"), headers, handle:streamInfo():protocol()) then
    handle:respond({[":status"] = "464", ["content-type"] = "text/html"}, "")
    return
  end
  headers:remove("@@TARGET@@")
  local kind = context:get("stickiness")
  if not kind then return end
  local sent = cookies(headers)
  local name = kind == "app_cookie" and "AWSALBAPP-0" or "AWSALB"
  local value = sent[name] or sent[name .. "CORS"]
  if kind == "app_cookie" and not sent[context:get("cookie")] then value = nil end
  if value and value ~= "_remove_" then
    headers:add("@@TARGET@@", value)
    handle:streamInfo():dynamicMetadata():set("@@NAMESPACE@@", "target", value)
  end
end

function envoy_on_response(handle)
  local context = handle:filterContext()
  local headers = handle:headers()
  local group = context:get("group")
  if group then add(headers, "AWSALBTG", group, tonumber(context:get("group_seconds"))) end
  local kind = context:get("stickiness")
  if not kind then return end
  local known = (handle:streamInfo():dynamicMetadata():get("@@NAMESPACE@@") or {})["target"]
  local value = headers:get("@@TARGET@@") or known
  headers:remove("@@TARGET@@")
  if kind == "lb_cookie" then
    if value then add(headers, "AWSALB", value, tonumber(context:get("seconds"))) end
    return
  end
  for i = 0, headers:getNumValues("set-cookie") - 1 do
    if headers:getAtIndex("set-cookie", i):find(context:get("cookie") .. "=", 1, true) == 1 then
      if value then headers:add("set-cookie", set(headers, "AWSALBAPP-0", value, tonumber(context:get("seconds")))) end
      return
    end
  end
  if not known then headers:add("set-cookie", set(headers, "AWSALBAPP-0", "_remove_", 604800)) end
end
"""
"""Sticky sessions ("Sticky sessions for your Application Load Balancer"), and 464 for what a group doesn't speak."""

TARGET_HEADER = "x-gatewright-target"
"""The endpoint of a session, between the script and Envoy's filter for sessions; never sent to anybody."""


def trace() -> str:
    """The script for all requests."""
    return (
        TRACE.replace("@@LONGEST@@", str(_LONGEST_PATH))
        .replace("@@MOST@@", str(_MOST_FORWARDED))
        .replace("@@TOO_LONG@@", page(414))
    )


def append_port(port: int) -> str:
    """Appends the listener's port to a Host without one."""
    return _APPEND_PORT.replace("@@PORT@@", str(port))


def transforms() -> dict[str, str]:
    """The scripts that routes with transforms name."""
    return {"transform": TRANSFORM.replace("@@NAMESPACE@@", NAMESPACE).replace("@@FAILED@@", page(500))}


def actions() -> dict[str, str]:
    """The scripts that routes name for what they do."""
    forward = FORWARD.replace("@@TARGET@@", TARGET_HEADER).replace("@@NAMESPACE@@", NAMESPACE)
    return {"redirect": REDIRECT, "forward": forward}
