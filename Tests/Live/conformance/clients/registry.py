"""All clients by name, in the order in which reports show them."""

from __future__ import annotations

from clients.aio import Aiokafka
from clients.base import Client
from clients.confluent import Confluent
from clients.kafka_python import KafkaPython
from clients.kcat import Kcat
from clients.swift import Swift, SwiftNewest

CLIENTS: dict[str, type[Client]] = {
    kind.name: kind for kind in (KafkaPython, Aiokafka, Confluent, Kcat, Swift, SwiftNewest)
}
