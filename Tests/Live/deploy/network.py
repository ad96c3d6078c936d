"""Networks of containers, without an engine: a bridge for each network, a network namespace for each container."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


class Namespace:
    """A network namespace, held by a process that sleeps in it."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        mine, end = os.readlink("/proc/self/ns/net"), time.monotonic() + 30
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == mine:
            assert self.holder.poll() is None, "no network namespace can be made"
            assert time.monotonic() < end, "unshare does not go on"
            time.sleep(0.005)

    @property
    def enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.holder.pid), "-n"]

    def run(self, commands: str) -> None:
        subprocess.run([*self.enter, "sh", "-euc", commands], check=True, capture_output=True)

    def end(self) -> None:
        self.holder.kill()
        self.holder.wait()


class Networks:
    """Who is where. Names are found through a hosts file, as far as two share a network."""

    def __init__(self, names: list[str]) -> None:
        self.switch = Namespace()
        self.switch.run("".join(f"ip link add br{n} type bridge; ip link set br{n} up\n" for n in range(len(names))))
        self.numbers = {name: number for number, name in enumerate(names)}
        self.members: dict[str, tuple[Namespace, list[str], list[str]]] = {}

    def join(self, name: str, networks: list[str], aliases: list[str]) -> Namespace:
        """A namespace with an interface in each network."""
        if name in self.members:
            return self.members[name][0]
        member, namespace = len(self.members) + 2, Namespace()
        self.members[name] = (namespace, networks, [name, *aliases])
        namespace.run("ip link set lo up")
        for network in networks:
            number = self.numbers[network]
            inside, outside = f"eth{number}", f"v{member}x{number}"
            self.switch.run(
                f"ip link add {outside} type veth peer name {inside} netns {namespace.holder.pid}\n"
                f"ip link set {outside} master br{number} up")
            namespace.run(f"ip addr add {self.address(member, network)}/24 dev {inside}; ip link set {inside} up")
        return namespace

    def address(self, member: int, network: str) -> str:
        return f"10.77.{self.numbers[network]}.{member}"

    def write_hosts(self, name: str, path: Path) -> None:
        """What a container's /etc/hosts says: those it shares a network with, also who comes later."""
        _, mine, _ = self.members[name]
        lines = ["127.0.0.1 localhost"]
        for member, (_, networks, names) in enumerate(self.members.values(), start=2):
            shared = [network for network in mine if network in networks]
            if shared:
                lines.append(f"{self.address(member, shared[0])} {' '.join(names)}")
        path.write_text("\n".join(lines) + "\n")

    def end(self) -> None:
        for namespace, _, _ in self.members.values():
            namespace.end()
        self.switch.end()
