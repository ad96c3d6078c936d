/// The names of all headers that the runtime writes.
package enum HeaderName {
    package static let retryAttempt = "retry-attempt"
    package static let retryTier = "retry-tier"
    package static let retryDue = "retry-due"
    package static let retryFirstFailed = "retry-first-failed"
    package static let retryLastFailed = "retry-last-failed"
    /// Whose attempts they were.
    package static let retryWorker = "retry-worker"
    package static let retryErrorType = "retry-error-type"
    package static let retryErrorMessage = "retry-error-message"

    package static let sourceTopic = "src-topic"
    package static let sourcePartition = "src-partition"
    package static let sourceOffset = "src-offset"
    package static let sourceTimestamp = "src-timestamp"
    package static let sourceGroup = "src-group"
    package static let sourceHandler = "src-handler"

    // Kafka's own names for dead letters, so that tools made for those understand ours.
    package static let dlqTopic = "__dlq.errors.topic"
    package static let dlqPartition = "__dlq.errors.partition"
    package static let dlqOffset = "__dlq.errors.offset"
    package static let dlqGroup = "__dlq.errors.group"
    package static let dlqDeliveryCount = "__dlq.errors.delivery.count"
    package static let dlqMessage = "__dlq.errors.message"

    package static let dlqID = "dlq-id"
    package static let dlqReason = "dlq-reason"
    package static let dlqErrorType = "dlq-error-type"
    package static let dlqErrorStack = "dlq-error-stack"
    package static let dlqFingerprint = "dlq-fingerprint"
    package static let dlqAt = "dlq-at"
    package static let dlqFirstFailed = "dlq-first-failed"
    package static let dlqStage = "dlq-stage"
    package static let dlqWorker = "dlq-worker"
    package static let dlqBuild = "dlq-build"
    package static let dlqTrace = "dlq-trace"
    package static let dlqReplays = "dlq-replays"
    package static let dlqReplayJob = "dlq-replay-job"
    /// It did not fail: it is read again because somebody said so.
    package static let dlqRewind = "dlq-rewind"
    package static let dlqBody = "dlq-body"
    package static let dlqBodySHA256 = "dlq-body-sha256"
    package static let dlqBodyBytes = "dlq-body-bytes"
    /// `omitted` when large headers of others were left out; they are still where the record was first.
    package static let dlqHeaders = "dlq-headers"

    /// Whether a header is one of ours; a copy carries each of them once, written anew.
    package static func isOurs(_ name: String) -> Bool {
        prefixes.contains { name.hasPrefix($0) }
    }

    private static let prefixes = ["retry-", "src-", "dlq-", "__dlq.errors."]
}
