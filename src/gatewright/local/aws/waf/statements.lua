-- Statements, and what rate-based rules count by (AWS WAF developer guide, "Rule statements").

local function holds(request, field, test, argument)
  local values, oversize = values_of(request, field)
  if oversize and field.oversize then return field.oversize == "MATCH" end
  for _, value in ipairs(values) do
    if test(value, argument) then return true end
  end
  return false
end

local function exactly(value, text) return value == text end
local function starts_with(value, text) return value:sub(1, #text) == text end
local function ends_with(value, text) return text == "" or value:sub(-#text) == text end
local function contains(value, text) return value:find(text, 1, true) ~= nil end

local function contains_word(value, text)
  local from = 1
  while true do
    local first, last = value:find(text, from, true)
    if not first then return false end
    if not value:sub(first - 1, first - 1):find("[%w_]") or first == 1 then
      if not value:sub(last + 1, last + 1):find("[%w_]") then return true end
    end
    from = first + 1
  end
end

local COMPARISONS = {
  EQ = function(a, b) return a == b end,
  NE = function(a, b) return a ~= b end,
  LE = function(a, b) return a <= b end,
  LT = function(a, b) return a < b end,
  GE = function(a, b) return a >= b end,
  GT = function(a, b) return a > b end,
}

local function size(value, constraint) return COMPARISONS[constraint[1]](#value, constraint[2]) end

local function matches(request, field, name)
  local _, oversize = values_of(request, field)
  if oversize and field.oversize then return field.oversize == "MATCH" end
  return request.matches[name] == true
end

local function ip4(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then return nil end
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  if a > 255 or b > 255 or c > 255 or d > 255 then return nil end
  return ("%08x"):format(((a * 256 + b) * 256 + c) * 256 + d)
end

local function groups_of(text)
  local groups = {}
  for group in text:gmatch("[^:]+") do
    local inner = group:find(".", 1, true) and ip4(group)
    if inner then
      groups[#groups + 1] = inner:sub(1, 4)
      groups[#groups + 1] = inner:sub(5, 8)
    elseif group:match("^%x%x?%x?%x?$") then
      groups[#groups + 1] = ("0"):rep(4 - #group) .. group:lower()
    else
      return nil
    end
  end
  return groups
end

local function ip6(text)
  if not text:find(":", 1, true) then return nil end
  local head, tail = text:match("^(.-)::(.*)$")
  local before, after = groups_of(head or text), groups_of(tail or "")
  if not before or not after then return nil end
  local missing = 8 - #before - #after
  if (head and missing < 1) or (not head and missing ~= 0) then return nil end
  local address = table.concat(before) .. ("0000"):rep(missing) .. table.concat(after)
  return address:match("^00000000000000000000ffff(%x+)$") or address -- an IPv4 address as IPv6
end

-- An address as hexadecimal digits: 8 for IPv4, 32 for IPv6; nil for what is none.
local function digits_of(text) return ip4(text) or ip6(text) end

local function trimmed(text) return text:match("^%s*(.-)%s*$") end

-- A set is sorted, disjoint ranges "first-last,..." of such addresses.
local function address_set(four, six)
  local set = {}
  for length, text in pairs({ [8] = four, [32] = six }) do
    local firsts, lasts = {}, {}
    for first, last in text:gmatch("(%x+)%-(%x+)") do
      firsts[#firsts + 1], lasts[#lasts + 1] = first, last
    end
    set[length] = { firsts, lasts }
  end
  return set
end

local function in_set(set, address)
  local firsts, lasts = set[#address][1], set[#address][2]
  local low, high = 1, #firsts
  while low <= high do
    local middle = math.floor((low + high) / 2)
    if address < firsts[middle] then
      high = middle - 1
    elseif address > lasts[middle] then
      low = middle + 1
    else
      return true
    end
  end
  return false
end

local function from_set(request, set)
  return request.peer ~= nil and in_set(set, request.peer)
end

-- The addresses of a header as text; nil where there is no such header.
local function forwarded(request, header, position)
  local text = request.headers:get(header)
  if not text then return nil end
  local found = {}
  for part in text:gmatch("[^,]+") do found[#found + 1] = trimmed(part) end
  if position == "FIRST" then return { found[1] or "" } end
  if position == "LAST" then return { found[#found] or "" } end
  for i = #found, 11, -1 do found[i] = nil end
  return found
end

local function forwarded_from_set(request, set, header, position, fallback)
  local found = forwarded(request, header, position)
  if not found then return false end
  for _, text in ipairs(found) do
    local address = digits_of(text)
    if not address then return fallback end
    if in_set(set, address) then return true end
  end
  return false
end

local function labelled(request, namespace, key)
  for _, label in ipairs(request.labels) do
    if label == key or label == namespace .. key then return true end
  end
  return false
end

local function labelled_within(request, namespace, key)
  for _, label in ipairs(request.labels) do
    if starts_with(label, key) or starts_with(label, namespace .. key) then return true end
  end
  return false
end

-- Keys of rate-based rules: a string, nil where the request has none, true where it matches without being counted

local function by_address(request) return request.peer end

local function by_forwarded_address(header, fallback)
  return function(request)
    local found = forwarded(request, header, "FIRST")
    if not found then return nil end
    return digits_of(found[1]) or fallback or nil
  end
end

local function by_field(field)
  return function(request)
    local values = values_of(request, field)
    if #values == 0 then return nil end
    return table.concat(values, ",")
  end
end

local function by_label(namespace)
  return function(request)
    local found = {}
    for _, label in ipairs(request.labels) do
      if starts_with(label, namespace) then found[#found + 1] = label end
    end
    table.sort(found)
    return found[1] and table.concat(found, ",") or nil
  end
end

local function by_all(keys)
  return function(request)
    local found = {}
    for i, key in ipairs(keys) do
      local value = key(request)
      if not value or value == true then return value end
      found[i] = value
    end
    return table.concat(found, "\n")
  end
end
