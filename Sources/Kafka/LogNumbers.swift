public import Model
public import Platform

// What lines of a log write as numbers.
extension Partition: LogNumber {}
extension Offset: LogNumber {}
