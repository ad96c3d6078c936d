// Drives Flotilla's Kafka client for suites in other languages: one JSON command a line on standard input, one JSON
// reply a line on standard output, in order. Keys, values and header values are base64.
//
//     {"id": 1, "op": "producer_open", "config": {"bootstrap": "127.0.0.1:9092"}}
//     {"id": 1, "ok": {"handle": 1}}
//
// Errors come as {"id": 1, "error": {"code": 3, "retriable": true, "fatal": false, "message": "…"}}. The end of the
// input closes everything. The first argument is the address of the brokers unless a config names its own.
import Foundation
import Kafka

@main
enum Main {
    static func main() async {
        let driver = Driver(address: CommandLine.arguments.dropFirst().first ?? "127.0.0.1:9092")
        while let line = readLine() {
            guard !line.isEmpty else { continue }
            var reply: [String: Any] = [:]
            do {
                let command = try Arguments(line: line)
                reply["id"] = command.fields["id"]
                reply["ok"] = try await driver.perform(command)
            } catch let fault as KafkaFault {
                reply["error"] = fault.json
            } catch {
                reply["error"] =
                    ["code": -1, "retriable": false, "fatal": false, "message": "\(error)"] as [String: Any]
            }
            write(reply)
        }
        await driver.closeAll()
    }

    private static func write(_ reply: [String: Any]) {
        guard var line = try? JSONSerialization.data(withJSONObject: reply) else { return }
        line.append(UInt8(ascii: "\n"))
        FileHandle.standardOutput.write(line)
    }
}
