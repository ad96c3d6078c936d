extension SchemaCompiler {
    /// Refuses schemas that come back to themselves without having gone into the value: they would go round for ever.
    mutating func findCircles() {
        enum Mark { case fresh, open, done }
        var marks = [Mark](repeating: .fresh, count: nodes.count)
        var circles: [Int] = []
        func visit(_ index: Int) {
            guard marks[index] == .fresh else {
                if marks[index] == .open { circles.append(index) }
                return
            }
            marks[index] = .open
            for next in (nodes[index].combined?.nodes ?? []) + [nodes[index].reference].compactMap({ $0 }) {
                visit(next)
            }
            marks[index] = .done
        }
        for index in nodes.indices { visit(index) }
        for circle in circles {
            let pointer = known.first { $0.value == circle }?.key ?? ""
            refuse(pointer, "comes back to itself without going into the value")
        }
    }
}
