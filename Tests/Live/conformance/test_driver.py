"""That the two columns of the Swift client are what they say: two librdkafkas."""

from __future__ import annotations

import confluent_kafka
import pytest

from broker import Broker
from clients.swift import Swift, SwiftNewest


def test_the_swift_client_runs_with_both_librdkafkas(broker: Broker, pytestconfig: pytest.Config) -> None:
    chosen = pytestconfig.getoption("--clients").split(",")
    if not {Swift.name, SwiftNewest.name} <= set(chosen):
        pytest.skip("the Swift client is not among the chosen ones")
    versions = []
    for client in (Swift(broker.address), SwiftNewest(broker.address)):
        driver = client.driver()
        versions.append(driver.ask("version")["librdkafka"])
        driver.end()
    system, newest = versions
    assert newest == confluent_kafka.libversion()[0]
    assert system != newest
