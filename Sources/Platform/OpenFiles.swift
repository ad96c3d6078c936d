internal import Glibc

/// How many files and sockets this process may have open.
public enum OpenFiles {
    /// Raises the limit as far as the system allows without privileges: the default of 1024 is from another time.
    public static func raiseLimit() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
