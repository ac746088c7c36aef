-- Evaluates a web ACL inside of Envoy: the rules in order. `filters.py` makes one script of several texts:
--
-- First, what this filter is about: `ASKED`, the rate-based rule after which the next filter has to say whether the
-- request is one too many (or a number beyond the last rule); `ANSWERED`, the one of which it just said so (or 0);
-- `FAIL_OPEN`, whether a request passes where the evaluation itself fails.
-- Then transformations.lua, fields.lua, statements.lua and this one.
-- Last, the rules and what they refer to: `RULES`, `DEFAULT`, `PATTERNS`, and which function is the filter.

local RULES, DEFAULT, PATTERNS
local OUTCOME, VALUES, MATCHES, RATES = "gatewright.waf", "gatewright.waf.values", "gatewright.waf.matches",
    "gatewright.waf.rates"
local MARK = "x-gatewright-waf-limited"

local function words(text)
  local found = {}
  for word in (text or ""):gmatch("%S+") do found[#found + 1] = word end
  return found
end

local function record(request, action, rule)
  local metadata = request.metadata
  metadata:set(OUTCOME, "action", action)
  metadata:set(OUTCOME, "rule", rule)
end

local function insert_headers(request)
  for _, pair in ipairs(request.inserted) do request.headers:replace(pair[1], pair[2]) end
end

local function conclude(request, name, action)
  if action.type == "BLOCK" then
    record(request, "BLOCK", name)
    request.handle:respond(action.headers, action.body)
    return
  end
  for _, pair in ipairs(action.insert or {}) do table.insert(request.inserted, pair) end
  insert_headers(request)
  record(request, "ALLOW", name)
end

local function keep(request)
  local metadata = request.metadata
  if #request.labels > 0 then metadata:set(OUTCOME, "labels", table.concat(request.labels, " ")) end
  if #request.counted > 0 then metadata:set(OUTCOME, "counted", table.concat(request.counted, " ")) end
  if #request.skipped > 0 then metadata:set(OUTCOME, "skipped", table.concat(request.skipped, " ")) end
end

local function count(request, rule)
  table.insert(request.counted, rule.name)
  for _, pair in ipairs(rule.action.insert or {}) do table.insert(request.inserted, pair) end
end

-- Whether a rule applies; nil where the rate limiter has to be asked first.
local function applies(request, index, rule)
  if not rule.key then return rule.test(request) end
  if request.asked and index == ANSWERED then return request.limited end
  if not rule.test(request) then return false end
  local key = rule.key(request)
  if type(key) ~= "string" then return key == true end
  request.metadata:set(RATES, "rule" .. index, key)
  return nil
end

-- The rule of which to go on, or nothing where the request is decided or the rate limiter asked.
local function step(request, index)
  local rule = RULES[index]
  if rule.skipped then
    table.insert(request.skipped, rule.name)
    return index + 1
  end
  local applied = applies(request, index, rule)
  if applied == nil then
    keep(request)
    insert_headers(request)
    request.metadata:set(OUTCOME, "next", index)
    request.metadata:set(OUTCOME, "asked", true)
    return nil
  end
  if not applied then return index + 1 end
  for _, label in ipairs(rule.labels) do table.insert(request.labels, label) end
  if rule.action.type == "PASS" then
    table.insert(request.skipped, rule.name)
    return index + 1
  end
  if rule.action.type == "COUNT" then
    count(request, rule)
    return index + 1
  end
  if rule.only_counts then
    count(request, rule)
    return rule.leave
  end
  keep(request)
  conclude(request, rule.name, rule.action)
  return nil
end

local function text_of_peer(handle)
  local address = handle:streamInfo():downstreamDirectRemoteAddress()
  return address:match("^%[(.*)%]:%d+$") or address:match("^(.*):%d+$") or address
end

local function begin(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  local outcome, headers = metadata:get(OUTCOME) or {}, handle:headers()
  local limited = headers:get(MARK) ~= nil
  if limited then headers:remove(MARK) end
  return {
    handle = handle,
    headers = headers,
    metadata = metadata,
    peer = digits_of(text_of_peer(handle)),
    values = {},
    matches = metadata:get(MATCHES) or {},
    labels = words(outcome.labels),
    counted = words(outcome.counted),
    skipped = words(outcome.skipped),
    inserted = {},
    decided = outcome.action ~= nil,
    next = outcome.next or 1,
    asked = outcome.asked == true,
    limited = limited,
  }
end

local function decide(handle)
  local request = begin(handle)
  if request.decided then return end
  local index = request.next
  request.metadata:set(OUTCOME, "asked", false)
  while index <= #RULES and index <= ASKED do
    index = step(request, index)
    if not index then return end
  end
  keep(request)
  if index > #RULES then
    conclude(request, "Default_Action", DEFAULT)
  else
    insert_headers(request)
    request.metadata:set(OUTCOME, "next", index)
  end
end

-- Lays out what regular expressions are matched against, for the filters that do so.
local function prepare(handle)
  local request = begin(handle)
  for name, field in pairs(PATTERNS) do
    local values = {}
    for i, value in ipairs((values_of(request, field))) do
      values[i] = value:gsub("%z", "\1") -- metadata would end at a zero byte, and hide what follows
    end
    if #values > 0 then request.metadata:set(VALUES, name, values) end
  end
end

local function guarded(work)
  return function(handle)
    local done, problem = pcall(work, handle)
    if done then return end
    handle:logErr(tostring(problem))
    handle:streamInfo():dynamicMetadata():set(OUTCOME, "failed", true)
    if not FAIL_OPEN then handle:respond({ [":status"] = "500" }, "") end
  end
end
