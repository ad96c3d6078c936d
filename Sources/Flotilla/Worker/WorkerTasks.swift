/// The tasks of a worker. All of them begin here: one that did not would be out of a test's sight.
package enum WorkerTasks {
    /// Where they run: nil is the process' own pool. A test names an executor that it drives itself, and with a clock
    /// that it moves itself one run is like another.
    @TaskLocal package static var executor: (any TaskExecutor)?

    @discardableResult
    static func begin<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Task<Value, Never> {
        Task(executorPreference: executor, operation: body)
    }
}
