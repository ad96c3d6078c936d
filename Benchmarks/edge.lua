-- wrk's requests: made once, then sent in turns. KIND is event, list or lines; SIZE how many events a list or lines have.
local kind = os.getenv("KIND") or "event"
local headers = { ["Content-Type"] = kind == "lines" and "application/x-ndjson" or "application/json" }
if os.getenv("TOKEN") then headers["Authorization"] = "Bearer " .. os.getenv("TOKEN") end

local function event(number)
    local text = string.format(
        '{"event_type":"click","timestamp":%d,"campaign_id":"campaign-%03d","user_id":"user-%05d","value":1.5,'
            .. '"dimensions":{"country":"de","device":"phone"},"data":{"page":"https://shop.example/spring/%d","note":"',
        1790000000000 + number, number % 200, number, number)
    return text .. string.rep("x", 300 - #text - 3) .. '"}}'
end

local requests = {}
function init()
    local size = tonumber(os.getenv("SIZE")) or kind == "event" and 1 or kind == "list" and 500 or 2000
    for number = 1, kind == "event" and 200 or 4 do
        local events = {}
        for index = 1, size do events[index] = event(number * size + index) end
        local body = events[1]
        if kind == "list" then body = "[" .. table.concat(events, ",") .. "]" end
        if kind == "lines" then body = table.concat(events, "\n") .. "\n" end
        requests[number] = wrk.format("POST", "/v1/events", headers, body)
    end
end

local last = 0
function request()
    last = last % #requests + 1
    return requests[last]
end
