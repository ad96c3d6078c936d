internal import AdminPort
internal import Kafka
internal import Model
internal import Platform

// What /metrics tells of workers. docs/observability.md says what each means, and what to do about it.
extension MetricsText {
    mutating func add(_ workers: [HandlerWorker]) {
        messaging(workers)
        endings(workers)
        memory(workers)
        partitions(workers)
        troubles(workers)
    }

    /// Under the names of OpenTelemetry's conventions for messaging.
    private mutating func messaging(_ workers: [HandlerWorker]) {
        func labels(_ worker: HandlerWorker, _ topic: TopicName) -> Labels {
            [
                ("handler", worker.job.name.rawValue), ("messaging_system", "kafka"),
                ("messaging_destination_name", worker.job.namespace.topic(topic).rawValue),
            ]
        }
        func read(_ worker: HandlerWorker, _ topic: TopicName) -> Labels {
            labels(worker, topic) + [("messaging_consumer_group_name", worker.job.group.rawValue)]
        }
        add(
            "messaging_client_consumed_messages_total", .counter, "Records that were taken up to be handled.",
            workers.eachTopic { (read($0, $1.topic), Double($1.consumed.value)) })
        add(
            "messaging_client_sent_messages_total", .counter, "Outputs that the log has acknowledged.",
            workers.flatMap { worker in
                worker.figures.sent.map { (labels(worker, $0.topic), Double($0.count.value)) }
            })
        add(
            "messaging_process_duration_seconds", "How long calls of the handler took.",
            workers.eachTopic { (read($0, $1.topic), $1.durations) })
    }

    /// How events ended, and how often they were tried for it.
    private mutating func endings(_ workers: [HandlerWorker]) {
        func labels(_ worker: HandlerWorker, _ topic: TopicFigures, _ name: String, _ value: String) -> Labels {
            [("handler", worker.job.name.rawValue), ("topic", topic.topic.rawValue), (name, value)]
        }
        add(
            "flotilla_outcomes_total", .counter,
            "Records that are finished: done, known as done before, sent to a retry topic, or to the dead letters.",
            workers.eachTopic { worker, topic in
                [
                    ("done", topic.done.value), ("repeat", topic.repeats.value),
                    ("retry", topic.retried.reduce(0) { $0 + $1.count.value }),
                    ("dead", topic.dead.values.reduce(0) { $0 + $1.value }),
                ].map { (labels(worker, topic, "outcome", $0.0), Double($0.1)) }
            }.flatMap { $0 })
        add(
            "flotilla_attempts_total", .counter,
            "Events that the handler was called for: well, failed, or something that it needs was missing.",
            workers.eachTopic { worker, topic in
                [("ok", topic.succeeded.value), ("failed", topic.failed.value), ("missing", topic.missing.value)]
                    .map { (labels(worker, topic, "result", $0.0), Double($0.1)) }
            }.flatMap { $0 })
        add(
            "flotilla_retries_total", .counter, "Records that went to a retry topic, by its delay.",
            workers.eachTopic { worker, topic in
                topic.retried.map { (labels(worker, topic, "tier", "\($0.tier)"), Double($0.count.value)) }
            }.flatMap { $0 })
        add(
            "flotilla_dead_letters_total", .counter, "Records that went to the dead letters, by the reason.",
            workers.eachTopic { worker, topic in
                DeadLetterReason.allCases.map {
                    (labels(worker, topic, "reason", $0.rawValue), Double(topic.dead[$0]?.value ?? 0))
                }
            }.flatMap { $0 })
        add(
            "flotilla_replay_outcomes_total", .counter,
            "Replayed records that are finished, wherever they ended: done, known as done before, or dead again.",
            workers.flatMap { worker in
                WorkerFigures.ReplayEnding.allCases.map {
                    (
                        [("handler", worker.job.name.rawValue), ("outcome", $0.rawValue)],
                        Double(worker.figures.replayed($0))
                    )
                }
            })
    }

    private mutating func memory(_ workers: [HandlerWorker]) {
        add(
            "flotilla_claims_total", .counter,
            "Answers of the once-only memory; unasked are events handled while it was away, stale ones claims it had lost.",
            workers.flatMap { worker in
                WorkerFigures.ClaimResult.allCases.map {
                    (
                        [("handler", worker.job.name.rawValue), ("result", $0.rawValue)],
                        Double(worker.figures.claims[$0]?.value ?? 0)
                    )
                }
            })
        add(
            "flotilla_outbox_age_seconds", .gauge,
            "For how long the oldest output of a handler with state has waited for the log.",
            workers.compactMap { worker in
                worker.outboxAge.map { ([("handler", worker.job.name.rawValue)], Double($0) / 1000) }
            })
    }

    private mutating func partitions(_ workers: [HandlerWorker]) {
        func gauge(_ name: String, _ help: String, _ value: (HandlerWorker) -> Int) {
            add(name, .gauge, help, workers.map { ([("handler", $0.job.name.rawValue)], Double(value($0))) })
        }
        gauge("flotilla_in_flight", "Records that were read and are not finished.") { $0.outstanding }
        gauge("flotilla_partitions", "Partitions that this worker has.") { $0.assignment.count }
        let lags = workers.flatMap { worker in
            worker.lags.sorted { $0.key < $1.key }.map { (labels: worker.labels($0.key), lag: $0.value) }
        }
        add(
            "flotilla_lag_records", .gauge, "Records of a partition that are not finished.",
            lags.map { ($0.labels, Double($0.lag.records)) })
        add(
            "flotilla_actionable_lag_records", .gauge,
            "Those that a worker could do something about: due, and waiting for no dependency and no operator.",
            lags.map { ($0.labels, Double($0.lag.actionable)) })
        add(
            "flotilla_lag_seconds", .gauge, "For how long the oldest unfinished record of a partition has waited.",
            lags.map { ($0.labels, Double($0.lag.milliseconds) / 1000) })
        add(
            "flotilla_lag_looked_seconds", .gauge, "How long ago the oldest of a handler's figures of lag was found.",
            workers.compactMap { worker in
                worker.lagAge.map { ([("handler", worker.job.name.rawValue)], Double($0) / 1000) }
            })
        add(
            "flotilla_retention_seconds", .gauge,
            "For how long the broker keeps a topic's records: who is later loses them.",
            workers.flatMap { worker in
                worker.retentions.sorted { $0.key < $1.key }.map { topic, time in
                    (
                        [("handler", worker.job.name.rawValue), ("topic", topic.rawValue)],
                        Double(time.milliseconds) / 1000
                    )
                }
            })
        add(
            "flotilla_commit_age_seconds", .gauge, "For how long something could have been committed and was not.",
            workers.flatMap { worker in
                worker.commitAges.sorted { $0.key < $1.key }.map { (worker.labels($0.key), Double($0.value) / 1000) }
            })
        add(
            "flotilla_rebalances_total", .counter, "Changes of what the group gives this worker.",
            workers.flatMap { worker in
                WorkerFigures.Rebalance.allCases.map {
                    (
                        [("handler", worker.job.name.rawValue), ("change", $0.rawValue)],
                        Double(worker.figures.rebalances[$0]?.value ?? 0)
                    )
                }
            })
    }

    private mutating func troubles(_ workers: [HandlerWorker]) {
        add(
            "flotilla_paused_partitions", .gauge, "Partitions that are not fetched, by the reason.",
            workers.flatMap { worker in
                PauseReasons.each.map { reason in
                    (
                        [("handler", worker.job.name.rawValue), ("reason", reason.description)],
                        Double(worker.paused.values.count { $0.contains(reason) })
                    )
                }
            })
        add(
            "flotilla_breaker_state", .gauge,
            "1 for the state that the breaker of a dependency is in; told once it was missing, of the memory always.",
            workers.flatMap { worker in
                worker.breakers.flatMap { breaker in
                    ["closed", "half-open", "open"].map { state in
                        (
                            [
                                ("handler", worker.job.name.rawValue), ("dependency", breaker.dependency),
                                ("state", state),
                            ], breaker.state == state ? 1 : 0
                        )
                    }
                }
            })
        add(
            "flotilla_floods", .gauge, "Failures that many events have in common at this moment.",
            workers.map { ([("handler", $0.job.name.rawValue)], Double($0.floods.count)) })
    }
}

extension HandlerWorker {
    /// Those of a partition's own figures.
    fileprivate func labels(_ place: TopicPartition) -> MetricsText.Labels {
        [
            ("handler", job.name.rawValue), ("topic", job.topics[place.topic]?.topic.rawValue ?? place.topic.rawValue),
            ("partition", "\(place.partition)"),
        ]
    }
}

extension [HandlerWorker] {
    fileprivate func eachTopic<Value>(_ body: (HandlerWorker, TopicFigures) -> Value) -> [Value] {
        flatMap { worker in worker.figures.topics.map { body(worker, $0) } }
    }
}
