-- Parts of a request: lists of strings, and whether there was more than is inspected (FieldToMatch).

local HEADER_BYTES, HEADER_COUNT = 8192, 200 -- what AWS WAF inspects of headers and of cookies

local function path_and_query(request)
  local target = request.headers:get(":path") or ""
  local path, query = target:match("^([^?]*)%?(.*)$")
  return path or target, query or ""
end

local function arguments(request)
  local _, query = path_and_query(request)
  local found = {}
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=(.*)$")
    found[#found + 1] = { name or pair, value or "" }
  end
  return found
end

local OWN = { ["x-forwarded-proto"] = true, ["x-request-id"] = true } -- not the client's

local function header_pairs(request)
  local found = {}
  for name, value in pairs(request.headers) do
    if name == ":authority" then name = "host" end
    if name:sub(1, 1) ~= ":" and not OWN[name] and not name:find("^x%-envoy%-") and not name:find("^x%-gatewright%-") then
      found[#found + 1] = { name, value }
    end
  end
  return found
end

local function cookie_pairs(request)
  local found = {}
  for pair in (request.headers:get("cookie") or ""):gmatch("[^;]+") do
    local name, value = pair:match("^%s*([^=]*)=?(.-)%s*$")
    found[#found + 1] = { name, value }
  end
  return found
end

local function within_limits(found)
  local size = 0
  for index, pair in ipairs(found) do
    size = size + #pair[1] + #pair[2]
    if index > HEADER_COUNT or size > HEADER_BYTES then
      local kept = {}
      for i = 1, index - 1 do kept[i] = found[i] end
      return kept, true
    end
  end
  return found, false
end

local function of_pairs(all, field)
  local found, oversize = within_limits(all)
  local values = {}
  for _, pair in ipairs(found) do
    local listed = field.names and field.names[pair[1]:lower()]
    if not field.names or listed == field.included then
      if field.scope ~= "VALUE" then values[#values + 1] = pair[1] end
      if field.scope ~= "KEY" then values[#values + 1] = pair[2] end
    end
  end
  return values, oversize
end

local PARTS = {
  uri_path = function(request) return { (path_and_query(request)) } end,
  query_string = function(request) return { (select(2, path_and_query(request))) } end,
  method = function(request) return { request.headers:get(":method") or "" } end,
  header = function(request, field)
    local values = {}
    for i = 0, request.headers:getNumValues(field.name) - 1 do
      values[#values + 1] = request.headers:getAtIndex(field.name, i)
    end
    return values
  end,
  argument = function(request, field)
    local values = {}
    for _, pair in ipairs(arguments(request)) do
      if pair[1]:lower() == field.name then values[#values + 1] = pair[2] end
    end
    return values
  end,
  arguments = function(request)
    local values = {}
    for _, pair in ipairs(arguments(request)) do values[#values + 1] = pair[2] end
    return values
  end,
  cookie = function(request, field)
    local values = {}
    for _, pair in ipairs(cookie_pairs(request)) do
      if pair[1] == field.name then values[#values + 1] = pair[2] end
    end
    return values
  end,
  headers = function(request, field) return of_pairs(header_pairs(request), field) end,
  cookies = function(request, field) return of_pairs(cookie_pairs(request), field) end,
  header_order = function(request)
    local names = {}
    for _, pair in ipairs(header_pairs(request)) do names[#names + 1] = pair[1]:lower() end
    return { table.concat(names, ":") }
  end,
}

local function values_of(request, field)
  local known = request.values[field]
  if known then return known.values, known.oversize end
  local values, oversize = PARTS[field.part](request, field)
  for i, value in ipairs(values) do
    for _, transformation in ipairs(field.transformations) do value = TRANSFORMATIONS[transformation](value) end
    values[i] = value
  end
  request.values[field] = { values = values, oversize = oversize }
  return values, oversize
end
