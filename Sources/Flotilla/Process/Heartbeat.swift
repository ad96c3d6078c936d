internal import Glibc
package import JSON
internal import Model
internal import Platform
internal import Synchronization

/// What a worker process says of itself every second.
package struct Heartbeat: Sendable {
    package let id: String
    package let json: String

    /// `admin`: where the process' admin port is.
    init(_ identity: WorkerIdentity, _ workers: [HandlerWorker], admin: String?, pace: Pace) {
        self.init(identity, admin: admin, cores: pace.cores) { list in
            for worker in workers {
                list.object {
                    Self.write(worker, to: &$0)
                    $0.member("rate", ((pace.rates[worker.job.name] ?? 0) * 10).rounded() / 10)
                }
            }
        }
    }

    /// Of a process whose workers are its own: `handlers` writes an object for each.
    package init(
        _ identity: WorkerIdentity, admin: String?, cores: Double, handlers: (inout JSONWriter) -> Void
    ) {
        id = identity.id
        var writer = JSONWriter()
        writer.object { json in
            json.member("id", identity.id)
            json.member("build", identity.build)
            json.member("pid", Int64(getpid()))
            if let admin { json.member("admin", admin) }
            json.member("at", Timestamp(milliseconds: Time.wallMilliseconds).description)
            json.member("memory_bytes", Self.memory)
            json.member("cores", (cores * 1000).rounded() / 1000)
            json.array("handlers") { handlers(&$0) }
        }
        json = writer.text
    }

    private static func write(_ worker: HandlerWorker, to json: inout JSONWriter) {
        json.member("handler", worker.job.name.rawValue)
        json.member("consumed", Int64(worker.figures.consumed))
        json.member("done", Int64(worker.figures.done))
        json.member("published", Int64(worker.figures.published))
        json.member("repeats", Int64(worker.figures.repeats))
        json.member("retried", Int64(worker.figures.retried))
        json.member("dead_lettered", Int64(worker.figures.deadLettered))
        json.member("in_flight", Int64(worker.outstanding))
        json.array("missing") { list in for name in worker.broken { list.append(name) } }
        json.array("stuck") { list in for partition in worker.stuckPartitions { list.append(partition.description) } }
        json.array("work") { list in
            for (place, work) in worker.work.sorted(by: { $0.key < $1.key }) {
                list.object { json in
                    json.member("partition", place.description)
                    switch work {
                    case .call(let took, let deadline):
                        json.member("took_ms", took)
                        json.member("deadline_ms", deadline)
                    case .again(let after): json.member("again_ms", after)
                    }
                }
            }
        }
        json.array("floods") { list in
            for flood in worker.floods {
                list.object { json in
                    json.member("fingerprint", flood.fingerprint)
                    json.member("last_minute", Int64(flood.lastMinute))
                    json.member("error", flood.sample)
                }
            }
        }
        json.array("partitions") { list in
            for place in worker.assignment { list.append(place.description) }
        }
        json.array("operator") { list in
            for pause in worker.standing {
                list.object { json in
                    if let partition = pause.partition { json.member("partition", Int64(partition.rawValue)) }
                    json.member("reason", pause.reason)
                    json.member("by", pause.by)
                    json.member("at", pause.at)
                }
            }
        }
        json.object("paused") { paused in
            for (place, reasons) in worker.paused.sorted(by: { $0.key < $1.key }) {
                paused.member(place.description, reasons.description)
            }
        }
    }

    /// What of the process is in memory.
    private static var memory: Int64 {
        guard let bytes = try? Files.read("/proc/self/statm", limit: 4096) else { return 0 }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Int64(words[1]) ?? 0 : 0) * Int64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
