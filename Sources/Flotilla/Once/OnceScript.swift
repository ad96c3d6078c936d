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
/// the work; and sorted by their shards, which the caller does in a fraction of the time.
enum OnceScript {
    static let shards = 16

    /// The shard of an id: by its last byte, which is a digest's.
    static func shard(of key: OnceKey) -> Int { Int(truncatingIfNeeded: key.low) & (shards - 1) }

    /// KEYS: the handler's prefix. ARGV: verb, partition (8 bytes), generation, window ms, lease ms, ids (16 bytes each,
    /// those of a shard together, in the order of the shards), how many each shard has (2 bytes each), a number of 4 bytes
    /// for each id: the replays of a claim, else the fence; for `finish` then one byte for each id, its ending, and two
    /// bytes, its attempts. Nothing for all of them is what they mostly are: no replays, fence 1, done.
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
        local window, lease, ids, sizes = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7]
        local numbers, endings, attempts = ARGV[8], ARGV[9], ARGV[10]
        local count = #ids / 16
        local sub, byte, pack, unpack_ = string.sub, string.byte, struct.pack, struct.unpack
        if verb ~= 'remember' and generation < tonumber(redis.call('HGET', generations, place) or '0') then
            return string.rep('F' .. string.rep('\0', 7), count)
        end
        local number = math.floor(now / window)
        local expiry = string.format('%.0f', math.ceil((number + 2) * window - now) + lease)
        local none = string.rep('\0', 7)
        local answers = {}
        local until_ = now + lease
        local function claimed(fence, ends, starts, tries, replays)
            return 'C' .. pack('>I4I8I8I1I2I4', fence, generation, ends, starts, tries, replays) .. place
        end
        -- What nearly every id meets is made once: a claim of something new, and the end of one of ours.
        local isClaim = verb == 'claim' and numbers == ''
        local isFinish = verb == 'finish' and numbers == '' and endings == ''
        local fresh, yes = claimed(1, until_, 0, 0, 0), 'Y' .. none
        local usual, usually = isClaim and 'G' .. pack('>I4I2I1', 1, 0, 0) or yes, 0
        local head, tail = sub(fresh, 1, 13), sub(fresh, 25)
        local current = prefix .. ':' .. string.format('%.0f', number) .. ':'
        local last = prefix .. ':' .. string.format('%.0f', number - 1) .. ':'
        local first = 0
        for shard = 0, 15 do
            local size = unpack_('>I2', sizes, shard * 2 + 1)
            local fields, writes, written = {}, {}, 0
            local values, missing = {}, 0
            if size > 0 then
                for n = 1, size do
                    local at = (first + n) * 16
                    fields[n] = sub(ids, at - 15, at)
                end
                values = redis.call('HMGET', current .. shard, unpack(fields))
                for n = 1, size do
                    if not values[n] then missing = missing + 1 end
                end
            end
            if missing > 0 and missing == size then
                values = redis.call('HMGET', last .. shard, unpack(fields))
            elseif missing > 0 then
                local some, places = {}, {}
                for n = 1, size do
                    if not values[n] then
                        some[#some + 1] = fields[n]
                        places[#places + 1] = n
                    end
                end
                local older = redis.call('HMGET', last .. shard, unpack(some))
                for n = 1, #places do values[places[n]] = older[n] end
            end
            for n = 1, size do
                local i, value, new = first + n, values[n], nil
                if not value and isClaim then
                    usually, new = usually + 1, fresh
                elseif isFinish and value and sub(value, 1, 13) == head and sub(value, 25) == tail then
                    usually, new = usually + 1, 'D'
                else
                    local state = value and byte(value, 1) or 0
                    local given = numbers ~= '' and unpack_('>I4', numbers, i * 4 - 3) or verb ~= 'claim' and 1 or 0
                    local fence, owner, ends, starts, tries, replays, where = 0, 0, 0, 0, 0, 0, ''
                    if state == 67 then
                        fence, owner, ends, starts, tries, replays = unpack_('>I4I8I8I1I2I4', value, 2)
                        where = sub(value, 29, 36)
                    elseif state == 82 then
                        fence, tries, replays = unpack_('>I4I2I4', value, 2)
                    elseif state ~= 0 and #value > 1 then
                        replays = unpack_('>I4', value, 2)
                    end
                    local answer
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
                            local ending = endings == '' and 68 or byte(endings, i)
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
                end
                if new then
                    writes[written + 1], writes[written + 2] = fields[n], new
                    written = written + 2
                end
            end
            if written > 0 then
                redis.call('HSET', current .. shard, unpack(writes))
                redis.call('PEXPIRE', current .. shard, expiry)
            end
            first = first + size
        end
        if usually == count then return string.rep(usual, count) end
        for i = 1, count do answers[i] = answers[i] or usual end
        return table.concat(answers)
        """#)
}
