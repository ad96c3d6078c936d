extension JSONWriter {
    /// A member that is an object of texts. A name that occurs more than once has a list of its values.
    package mutating func object(_ name: String, grouping texts: some Sequence<(name: String, text: String)>) {
        var (names, values): ([String], [String: [String]]) = ([], [:])
        for (name, text) in texts {
            if values[name] == nil { names.append(name) }
            values[name, default: []].append(text)
        }
        object(name) { json in
            for name in names {
                let all = values[name] ?? []
                if all.count == 1 {
                    json.member(name, all[0])
                } else {
                    json.array(name) { list in for value in all { list.append(value) } }
                }
            }
        }
    }
}
