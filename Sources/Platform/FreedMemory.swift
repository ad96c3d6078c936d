internal import CLinux

/// What becomes of memory that a process has freed.
public enum FreedMemory {
    /// Has the allocator keep what is freed, up to some megabytes a heap, instead of giving it back at once: a process
    /// through which batches of records run would take it anew from the kernel, page by page, a moment later. To be
    /// called before there are threads.
    public static func keep() { flotilla_keep_freed_memory() }
}
