struct WireFault: Error {}
