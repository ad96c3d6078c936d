final class LogFile { let descriptor: Int32 = 0 }
struct LogSlice { let file: LogFile; let position: Int; let count: Int }
