-- Text transformations (WAFv2 API reference, TextTransformation), by their names as `TRANSFORMATIONS`.

local function url_decode(text)
  return (text:gsub("%+", " "):gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

local function url_decode_uni(text)
  text = text:gsub("%%[uU](%x%x)(%x%x)", function(high, low)
    local code = tonumber(low, 16)
    if high:lower() == "ff" and code >= 1 and code <= 0x5e then code = code + 0x20 end -- a full-width character
    return string.char(code)
  end)
  return url_decode(text)
end

local function compress_white_space(text)
  return (text:gsub("[\t\n\v\f\r\160 ]+", " "))
end

local ENTITIES = { quot = '"', nbsp = "\160", lt = "<", gt = ">", amp = "&", apos = "'" }

local function byte_or(code, otherwise)
  if code and code < 256 then return string.char(code) end
  return otherwise
end

local function html_entity_decode(text)
  return (text:gsub("&#?%w+;?", function(entity)
    local hex = entity:match("^&#[xX](%x+)")
    if hex then return byte_or(tonumber(hex, 16), entity) end
    local decimal = entity:match("^&#(%d+)")
    if decimal then return byte_or(tonumber(decimal), entity) end
    return ENTITIES[(entity:match("^&(%a+);$") or ""):lower()]
  end))
end

local function cmd_line(text)
  text = text:gsub("[\\\"'^]", ""):gsub("[,;]", " "):gsub("%s+", " "):gsub(" ([/(])", "%1")
  return text:lower()
end

local ALPHABET = {}
for i = 1, 64 do
  ALPHABET[("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):sub(i, i)] = i - 1
end

local function decode_base64(digits)
  local bytes, bits, size = {}, 0, 0
  for digit in digits:gmatch(".") do
    bits, size = bits * 64 + ALPHABET[digit], size + 6
    if size >= 8 then
      size = size - 8
      bytes[#bytes + 1] = string.char(math.floor(bits / 2 ^ size))
      bits = bits % 2 ^ size
    end
  end
  return table.concat(bytes)
end

local function base64_decode(text)
  local digits = text:match("^([%w+/]*)=*$")
  if not digits or #digits % 4 == 1 then return text end
  return decode_base64(digits)
end

local function base64_decode_ext(text)
  return decode_base64((text:gsub("=.*$", ""):gsub("[^%w+/]", "")))
end

local function from_hex(digits)
  return (digits:gsub("%x%x", function(code) return string.char(tonumber(code, 16)) end))
end

local function hex_decode(text)
  if #text % 2 == 1 or text:find("%X") then return text end
  return from_hex(text)
end

local function sql_hex_decode(text)
  return (text:gsub("0[xX](%x+)", function(digits)
    if #digits % 2 == 0 then return from_hex(digits) end
  end))
end

local function replace_comments(text)
  return (text:gsub("/%*.-%*/", " "):gsub("/%*.*$", " "))
end

local function normalize_path(text)
  local parts, rooted = {}, text:sub(1, 1) == "/"
  for part in text:gmatch("[^/]+") do
    if part == ".." then
      if #parts > 0 and parts[#parts] ~= ".." then
        parts[#parts] = nil
      elseif not rooted then
        parts[#parts + 1] = part
      end
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  local path = (rooted and "/" or "") .. table.concat(parts, "/")
  if #parts > 0 and (text:find("/$") or text:find("/%.%.?$")) then path = path .. "/" end
  return path
end

local TRANSFORMATIONS = {
  LOWERCASE = string.lower,
  UPPERCASE = string.upper,
  URL_DECODE = url_decode,
  URL_DECODE_UNI = url_decode_uni,
  COMPRESS_WHITE_SPACE = compress_white_space,
  REMOVE_WHITESPACE = function(text) return (text:gsub("[%s\160]+", "")) end,
  TRIM = function(text) return text:match("^%s*(.-)%s*$") end,
  TRIM_LEFT = function(text) return (text:gsub("^%s+", "")) end,
  TRIM_RIGHT = function(text) return text:match("^(.-)%s*$") end,
  HTML_ENTITY_DECODE = html_entity_decode,
  CMD_LINE = cmd_line,
  BASE64_DECODE = base64_decode,
  BASE64_DECODE_EXT = base64_decode_ext,
  HEX_DECODE = hex_decode,
  SQL_HEX_DECODE = sql_hex_decode,
  REPLACE_COMMENTS = replace_comments,
  NORMALIZE_PATH = normalize_path,
  NORMALIZE_PATH_WIN = function(text) return normalize_path((text:gsub("\\", "/"))) end,
  REMOVE_NULLS = function(text) return (text:gsub("%z", "")) end,
  REPLACE_NULLS = function(text) return (text:gsub("%z", " ")) end,
}
