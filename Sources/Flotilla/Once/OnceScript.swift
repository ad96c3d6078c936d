internal import Redis

/// What runs inside of Redis, where nobody can come in between.
///
/// Ids are fields of hashes, one hash for each window of time and sixteenth of the ids: a hash of many fields takes a
/// third of the memory of a key for each id, and goes whole when its time is over. This window's hash and the last one's
/// are looked into, so an id is known for one to two windows. What is said of an id is written to this window's hash,
/// which counts before the last one's.
///
/// A field's value begins with its state: `D` done, `X` dead letter, `R` released, `C` claimed; numbers are packed.
/// All ids of a call come in one argument and all answers in one string, because arguments and replies cost more than
/// the work.
enum OnceScript {
    /// KEYS: the handler's prefix. ARGV: verb, partition (8 bytes), generation, window ms, lease ms, ids (16 bytes each),
    /// and a number of 4 bytes for each id: the replays of a claim, else the fence; for `finish` then one byte for each
    /// id, its ending, and two bytes, its attempts.
    ///
    /// Answers 8 bytes for each id: a letter, a number of 4 bytes, one of 2, one of 1.
    static let script = RedisScript(
        #"""
        local verb, place, generation = ARGV[1], ARGV[2], tonumber(ARGV[3])
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
        local prefix = KEYS[1]
        local generations = prefix .. ':generations'
        if verb == 'takeover' then
            local before = tonumber(redis.call('HGET', generations, place) or '0')
            local mine = math.max(before + 1, now)
            redis.call('HSET', generations, place, string.format('%.0f', mine))
            return string.format('%.0f', mine)
        end
        local window, lease, ids, numbers = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
        local endings, attempts = ARGV[8], ARGV[9]
        local count = #ids / 16
        local sub, byte, pack, unpack_ = string.sub, string.byte, struct.pack, struct.unpack
        if verb ~= 'remember' and generation < tonumber(redis.call('HGET', generations, place) or '0') then
            return string.rep('F' .. string.rep('\0', 7), count)
        end
        local number = math.floor(now / window)
        local expiry = math.ceil((number + 2) * window - now) + lease
        local shards = {}
        for i = 1, count do
            local shard = byte(ids, i * 16) % 16
            local list = shards[shard]
            if not list then list = {}; shards[shard] = list end
            list[#list + 1] = i
        end
        local none = string.rep('\0', 7)
        local answers = {}
        local until_ = now + lease
        local function claimed(fence, ends, starts, tries, replays)
            return 'C' .. pack('>I4I8I8I1I2I4', fence, generation, ends, starts, tries, replays) .. place
        end
        -- What nearly every id meets is made once: a claim of something new, and the end of one of ours.
        local fresh, freshly = claimed(1, until_, 0, 0, 0), 'G' .. pack('>I4I2I1', 1, 0, 0)
        local mine, yes = pack('>I8', generation), 'Y' .. none
        local isFinish, isClaim = verb == 'finish', verb == 'claim'
        for shard, list in pairs(shards) do
            local key = prefix .. ':' .. string.format('%.0f', number) .. ':' .. shard
            local fields = {}
            for n = 1, #list do
                local i = list[n]
                fields[n] = sub(ids, i * 16 - 15, i * 16)
            end
            local values = redis.call('HMGET', key, unpack(fields))
            local missing, places = {}, {}
            for n = 1, #list do
                if not values[n] then
                    missing[#missing + 1] = fields[n]
                    places[#places + 1] = n
                end
            end
            if #missing > 0 then
                local last = prefix .. ':' .. string.format('%.0f', number - 1) .. ':' .. shard
                local older = redis.call('HMGET', last, unpack(missing))
                for n = 1, #places do values[places[n]] = older[n] end
            end
            local writes = {}
            for n = 1, #list do
                local i, value = list[n], values[n]
                if not value and isClaim and numbers == '' then
                    answers[i] = freshly
                    writes[#writes + 1] = fields[n]
                    writes[#writes + 1] = fresh
                elseif isFinish and value and #value == 36 and byte(endings, i) == 68 and sub(value, 6, 13) == mine
                    and sub(value, 29, 36) == place and sub(value, 2, 5) == sub(numbers, i * 4 - 3, i * 4)
                    and sub(value, 25, 28) == '\0\0\0\0' then
                    answers[i] = yes
                    writes[#writes + 1] = fields[n]
                    writes[#writes + 1] = 'D'
                else
                local state = value and byte(value, 1) or 0
                local given = numbers ~= '' and unpack_('>I4', numbers, i * 4 - 3) or 0
                local fence, owner, ends, starts, tries, replays, where = 0, 0, 0, 0, 0, 0, ''
                if state == 67 then
                    fence, owner, ends, starts, tries, replays = unpack_('>I4I8I8I1I2I4', value, 2)
                    where = sub(value, 29, 36)
                elseif state == 82 then
                    fence, tries, replays = unpack_('>I4I2I4', value, 2)
                elseif state ~= 0 and #value > 1 then
                    replays = unpack_('>I4', value, 2)
                end
                local answer, new
                if verb == 'claim' then
                    if (state == 68 or state == 88) and given <= replays then
                        answer = (state == 68 and 'D' or 'X') .. none
                    elseif state == 67 and where ~= place and ends > now then
                        answer = 'B' .. pack('>I4I2I1', math.min(ends - now, 4294967295), 0, 0)
                    else
                        local held = state == 67 and (where ~= place or owner ~= generation)
                        if state ~= 67 then starts = 0 end
                        if state == 68 or state == 88 then tries = 0 end
                        -- What is over keeps no fence; the time is one that nobody has had.
                        if state == 68 or state == 88 then fence = now end
                        fence = (fence + 1) % 4294967296
                        replays = math.max(replays, given)
                        new = claimed(fence, until_, starts, tries, replays)
                        answer = 'G' .. pack('>I4I2I1', fence, tries, math.min(starts, 127) + (held and 128 or 0))
                    end
                elseif verb == 'remember' then
                    if state ~= 68 then
                        new = replays > 0 and 'D' .. pack('>I4', replays) or 'D'
                    end
                    answer = yes
                elseif state == 67 and where == place and owner == generation and fence == given then
                    answer = yes
                    if verb == 'renew' then
                        new = claimed(fence, until_, starts, tries, replays)
                    elseif verb == 'start' then
                        new = claimed(fence, until_, math.min(starts + 1, 127), tries, replays)
                    elseif verb == 'back' then
                        new = claimed(fence, ends, 0, tries, replays)
                    else
                        local ending = byte(endings, i)
                        if ending == 82 then
                            new = 'R' .. pack('>I4I2I4', fence, unpack_('>I2', attempts, i * 2 - 1), replays)
                        else
                            new = string.char(ending)
                            if replays > 0 then new = new .. pack('>I4', replays) end
                        end
                    end
                else
                    answer = 'N' .. none
                end
                answers[i] = answer
                if new then
                    writes[#writes + 1] = fields[n]
                    writes[#writes + 1] = new
                end
                end
            end
            if #writes > 0 then
                redis.call('HSET', key, unpack(writes))
                redis.call('PEXPIRE', key, expiry)
            end
        end
        return table.concat(answers)
        """#)
}
