// What a test speaks of beside its handler, so that one import is enough.
@_exported public import Flotilla

@_exported public import struct Contracts.ConsumerPolicy
@_exported public import struct Contracts.RetryTier
