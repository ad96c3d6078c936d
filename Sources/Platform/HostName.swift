/// Names of machines, before the resolver is asked.
public enum HostName {
    /// What to ask the resolver for. `localhost` is this machine by definition (RFC 6761); where /etc/hosts is missing,
    /// as on a bare system, asking for it would ask the network.
    public static func resolvable(_ name: String) -> String {
        name == "localhost" ? "127.0.0.1" : name
    }
}
