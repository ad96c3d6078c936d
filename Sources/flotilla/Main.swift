internal import Platform

@main
enum Main {
    static func main() {
        TerminationSignals.block()
    }
}
