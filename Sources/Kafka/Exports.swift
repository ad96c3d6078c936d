// Records, names and positions are this library's vocabulary: who imports it needs them.
@_exported public import Model
