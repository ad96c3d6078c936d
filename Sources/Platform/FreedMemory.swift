internal import CLinux

/// What becomes of memory that a process has freed.
public enum FreedMemory {
    /// Has the allocator keep what is freed, up to some megabytes a heap, instead of giving it back at once: a process
    /// through which batches of records run would take it anew from the kernel, page by page, a moment later. To be
    /// called before there are threads.
    public static func keep() { flotilla_keep_freed_memory() }

    /// Has it give back at once what is large, and share what is small between all threads: a process that mostly rests, and
    /// now and then looks at much for somebody, is to take no more afterwards than before. To be called before there are
    /// threads.
    public static func giveBack() { flotilla_give_back_freed_memory() }
}
